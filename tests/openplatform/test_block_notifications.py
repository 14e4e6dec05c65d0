"""A blocked host is asked about at each send: nothing reaches it, and what is owed stays owed."""

import pytest
from django.utils import timezone

from openplatform.blocks import lists
from openplatform.models import BlockEntry
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, owed, serve  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


def test_a_blocked_host_is_not_called_until_it_is_lifted(app, serve):  # noqa: F811 - the fixtures' names
    server = serve(answers(200))
    notification = owed(app, server.url)
    entry = BlockEntry.block(kind="notify_host", text="127.0.0.1", reason="x", by="olga", now=timezone.now())
    lists.forget()

    now = timezone.now()
    deliver(notification, now=now)
    (attempt,) = notification.attempts.all()
    assert server.requests == []
    assert (attempt.error, attempt.status_code) == ("host_blocked", None)
    assert notification.status == "owed"
    assert now < notification.next_attempt_at

    entry.lift(by="olga", now=timezone.now())
    lists.forget()
    assert deliver(notification, now=notification.next_attempt_at).status == "delivered"
    assert len(server.requests) == 1
