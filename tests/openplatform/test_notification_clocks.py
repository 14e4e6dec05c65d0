"""A clock that was wrong for a while, ahead or behind, costs a notification no more than the usual waits."""

from datetime import timedelta

import pytest
from django.utils import timezone

from openplatform.clocks import CLOCKS_APART_MAX
from openplatform.models import Notification, NotifyEndpoint, WebhookSecret
from openplatform.models.endpoint import PROBE_NEVER_LATER
from openplatform.models.notification import HINT_AGAIN_AFTER, LEASE, NotificationStatus
from openplatform.notifications import turns
from openplatform.notifications.delivery import Outcome, record_outcome
from openplatform.notifications.sweep import sweep_notifications
from openplatform.notifications.turns import claim
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, new_secret, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]
NOW = timezone.now()
SOON = NOW + timedelta(seconds=1)
HOURS_AHEAD = NOW + timedelta(hours=6)


@pytest.fixture
def queue(monkeypatch):
    told = []
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: told.append(kwargs["notification_id"]) or True)
    return told


def many(app, count):
    return [owed(app, "https://a.example/n", now=NOW, object_no=number) for number in range(count)]


def test_what_was_given_out_by_a_clock_that_was_ahead_is_given_out_again(app, queue):
    """Its rows would wait for that hour to come, and hold all places of their app until then."""
    rows = many(app, 4)
    sweep_notifications(now=HOURS_AHEAD)
    assert queue == [row.pk for row in rows[:2]]
    sweep_notifications(now=SOON)
    assert queue == [row.pk for row in (*rows[:2], *rows[:2])]


def test_a_worker_that_died_with_a_clock_that_was_ahead_holds_neither_its_row_nor_its_place(app, queue, settings):
    settings.NOTIFICATION_IN_FLIGHT_MAX = 1
    first, second = many(app, 2)
    assert claim(first.pk, now=HOURS_AHEAD)
    Notification.objects.filter(pk=first.pk).update(next_attempt_at=NOW)
    assert sweep_notifications(now=SOON) == 1
    assert claim(first.pk, now=SOON)
    assert claim(second.pk, now=SOON) is None, "that one's place is taken, by the clock of today"


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=1), CLOCKS_APART_MAX])
def test_a_clock_that_is_a_little_ahead_is_believed(app, queue, settings, ahead):
    settings.NOTIFICATION_IN_FLIGHT_MAX = 1
    taken, told, third = many(app, 3)
    assert claim(taken.pk, now=NOW + ahead)
    Notification.remember_hints([told.pk], now=NOW + ahead)
    assert sweep_notifications(now=NOW) == 0
    assert claim(third.pk, now=NOW) is None
    settings.NOTIFICATION_IN_FLIGHT_MAX = 3
    sweep_notifications(now=NOW)
    assert queue == [third.pk]
    assert claim(taken.pk, now=NOW) is None


def test_a_clock_that_goes_back_during_an_attempt_neither_loses_it_nor_its_schedule(app):
    row = owed(app, "https://a.example/n", now=NOW)
    claimed = claim(row.pk, now=HOURS_AHEAD)
    for later, outcome in ((NOW, Outcome(status_code=500)), (SOON, Outcome(status_code=200))):
        record_outcome(claimed=claimed, outcome=outcome, attempted_at=HOURS_AHEAD, duration_ms=1, now=later)
        row.refresh_from_db()
        if row.status == NotificationStatus.OWED:
            assert timedelta(seconds=15) <= row.next_attempt_at - later <= timedelta(seconds=16.5)
            claimed = claim(row.pk, now=row.next_attempt_at)
    assert (row.status, row.delivered_at) == (NotificationStatus.DELIVERED, SOON)


def test_a_probe_that_a_clock_put_off_by_hours_goes_now(app, queue):
    row = owed(app, "https://a.example/n", now=NOW)
    endpoint = NotifyEndpoint.lock_or_add(app_id=app.pk, host=row.notify_host)
    for wait, is_due in ((timedelta(hours=6), True), (PROBE_NEVER_LATER, False), (timedelta(0), True)):
        endpoint.pause(now=NOW, probe_wait=wait)
        assert sweep_notifications(now=NOW) == int(is_due)
        Notification.forget_hints([row.pk])
        assert (claim(row.pk, now=NOW) is not None) is is_due
        Notification.objects.update(lease_until=None)


def test_a_clock_that_is_behind_neither_breaks_a_secret_nor_keeps_an_old_one(app, serve):
    behind = NOW - timedelta(minutes=5)
    old, new = new_secret(app, now=NOW), new_secret(app, now=NOW)
    assert old != new
    current = WebhookSecret.current_id(app_id=app.pk)
    assert WebhookSecret.end_overlap(app=app, current=current, now=behind) == 1
    assert [secret.pk for secret in WebhookSecret.live(app_id=app.pk, now=NOW)] == [current]
    third = WebhookSecret.rotate(app=app, current=current, now=behind)
    assert third
    assert len(WebhookSecret.live(app_id=app.pk, now=NOW)) == 2
    assert deliver(owed(app, serve(answers(200)).url)).status == NotificationStatus.DELIVERED


def test_the_lease_outlasts_every_attempt_also_by_clocks_that_are_apart(settings):
    """Two workers would be at one row: its merchant would hear it twice."""
    assert timedelta(seconds=settings.NOTIFICATION_TIMEOUT_S) + CLOCKS_APART_MAX / 2 < LEASE
    assert HINT_AGAIN_AFTER <= LEASE
