"""The web process. Tracing starts here, after gunicorn has forked: a batch thread made before a fork is dead."""

import os

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Utf8Request(WSGIRequest):
    """Its query and its form are UTF-8. With Django's own, the charset of Content-Type decides: a header that nobody
    signs would change what a signed query means, and one that names no text encoding breaks any address.
    """

    @property
    def encoding(self) -> None:
        """None stands for Django's default, which is UTF-8."""
        return

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        pass


class Handler(WSGIHandler):
    request_class = Utf8Request


django.setup(set_prefix=False)
application = Handler()

from config import tracing  # noqa: E402 - needs the apps

tracing.start(service="fenpay-web")
