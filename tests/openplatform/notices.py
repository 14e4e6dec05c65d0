"""What the tests of notifications share: owing one, a merchant's server, and delivering to it."""

import pytest
from django.db import transaction
from django.utils import timezone

from openplatform.models import WebhookSecret
from openplatform.notifications import owe
from openplatform.notifications.delivery import deliver_notification
from tests.openplatform import harness
from tests.openplatform.merchants import merchant_server

DATA = {"order_no": "17", "amount": "40.30", "amount_fen": 4030, "subject": "两杯咖啡"}
DEADLINE_S = 0.5


def owed(app, url, *, now=None, object_no=17, data=DATA, **kwargs):
    with transaction.atomic():
        return owe(
            app=app, event_type="order.succeeded", object_no=object_no, object_version=3, data=data, notify_url=url,
            now=now or timezone.now(), **kwargs,
        )  # fmt: skip


@pytest.fixture
def app(platform_key):
    return harness.an_app()


@pytest.fixture
def serve(settings):
    """`serve(behaviour)`: a merchant's server that we are allowed to call."""
    settings.NOTIFICATION_ALLOW_HTTP = True
    settings.NOTIFICATION_TIMEOUT_S = DEADLINE_S
    settings.NOTIFICATION_PRIVATE_HOSTS = []
    opened = []

    def start(behaviour):
        context = merchant_server(behaviour)
        server = context.__enter__()
        opened.append(context)
        settings.NOTIFICATION_PRIVATE_HOSTS = [*settings.NOTIFICATION_PRIVATE_HOSTS, server.host]
        return server

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def deliver(notification, *, now=None):
    deliver_notification(notification_id=notification.pk, clock=lambda: now or timezone.now())
    notification.refresh_from_db()
    return notification


def new_secret(app, *, now=None):
    """After whatever secret is the current one."""
    current = WebhookSecret.current_id(app_id=app.pk)
    return WebhookSecret.rotate(app=app, current=current, now=now or timezone.now())
