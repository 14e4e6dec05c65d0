"""The web process. Tracing starts here, after gunicorn has forked: a batch thread made before a fork is dead."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from config import tracing  # noqa: E402 - needs the apps

tracing.start(service="fenpay-web")
