"""WSGI entry point of the demo merchant."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sandbox.demomerchant.settings")
application = get_wsgi_application()
