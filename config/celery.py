"""The Celery application. Tasks are hints: whatever they were told to do is also found by a sweep of the database."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("fenpay")
app.config_from_object("django.conf:settings", namespace=None)
app.autodiscover_tasks()
