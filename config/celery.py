"""The Celery application. Tasks are hints: whatever they were told to do is also found by a sweep of the database."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("fenpay")
app.add_defaults(lambda: settings.CELERY)
app.autodiscover_tasks()
