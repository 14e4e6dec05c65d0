"""The hosts at which an app is told: registered by an operator, asked about when one is named and at each send."""

import pytest
from django.utils import timezone

from openplatform.blocks import lists
from openplatform.blocks.values import ListingRefused
from openplatform.models import NotifyHost
from openplatform.models.blocks import AlreadyListed
from openplatform.models.notification import NotificationStatus
from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]


def register(app, text):
    host = NotifyHost.register(app=app, text=text, reason="shop", by="olga", now=timezone.now())
    lists.forget()
    return host


def may(app, host):
    return lists.current_lists().may_be_told(app_id=app.pk, host=host)


def test_an_app_is_told_anywhere_until_it_has_its_first_host(app):
    assert may(app, "shop.example")
    host = register(app, "Shop.Example.")
    assert [may(app, name) for name in ("shop.example", "www.shop.example", "example", "other.example")] == [
        True, False, False, False,
    ]  # fmt: skip
    assert may(harness.an_app(), "other.example"), "another app's hosts are its own"
    host.lift(by="olga", now=timezone.now())
    lists.forget()
    assert may(app, "other.example")


def test_where_hosts_are_required_an_app_without_one_is_told_nowhere(app, settings):
    settings.NOTIFICATION_HOSTS_REQUIRED = True
    assert not may(app, "shop.example")
    register(app, "shop.example")
    assert may(app, "shop.example")


def test_it_is_asked_again_at_each_send_and_what_is_owed_stays_owed(app, serve):
    server = serve(answers(200))
    other = register(app, "shop.example")
    notification = deliver(owed(app, server.url))
    assert notification.attempts.get().error == "host_not_registered"
    assert (server.requests, notification.status) == ([], NotificationStatus.OWED)
    register(app, "127.0.0.1")
    assert deliver(notification, now=notification.next_attempt_at).status == NotificationStatus.DELIVERED
    assert other.state(now=timezone.now()) == "live"


def test_a_host_is_entered_once_and_only_as_a_host(app):
    register(app, "shop.example")
    with pytest.raises(AlreadyListed):
        register(app, "SHOP.example")
    register(harness.an_app(), "shop.example")
    for text in ("https://shop.example/n", "shop.example:8443", "shop", "127.1", "*.shop.example", ""):
        with pytest.raises(ListingRefused):
            register(app, text)
