"""Backlogs, dead hosts and made-up hosts of one app cost the sweep, and so every other app, next to nothing."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from openplatform.models import Notification, NotifyEndpoint
from openplatform.notifications import turns
from openplatform.notifications.sweep import sweep_notifications, wake_next
from tests.openplatform import harness
from tests.openplatform.notices import app, owed

pytestmark = pytest.mark.django_db
__all__ = ["app"]
PLACES = 2


@pytest.fixture(autouse=True)
def limits(settings):
    settings.NOTIFICATION_IN_FLIGHT_MAX = PLACES


@pytest.fixture
def queue(monkeypatch):
    """What workers were told, in the broker's order."""
    told = []
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: told.append(kwargs["notification_id"]) or True)
    return told


def rows_read():
    """How many rows of notifications this transaction has looked at."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE relname = 'openplatform_notification'"
        )
        return cursor.fetchone()[0]


def test_what_a_paused_host_is_owed_is_not_looked_at_however_much_it_is(app, queue, settings):
    """A backlog of days would make each sweep slower, until none of them ends in time for anybody."""
    settings.HINTS_ENABLED = True
    now, dead = timezone.now(), harness.an_app()
    Notification.objects.bulk_create(
        Notification(
            app=dead, event_type="order.succeeded", object_no=number, object_version=1, data={}, created_at=now,
            notify_url="https://dead.example/n", next_attempt_at=now - timedelta(hours=1),
        )
        for number in range(5_000)
    )  # fmt: skip
    NotifyEndpoint.lock_or_add(app_id=dead.pk, host="dead.example").pause(now=now, probe_wait=timedelta(minutes=1))
    mine = [owed(app, "https://a.example/n", now=now, object_no=number) for number in range(5)]
    at_its_other_host = owed(dead, "https://well.example/n", now=now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE openplatform_notification, openplatform_notifyendpoint")
    before = rows_read()
    assert sweep_notifications(now=now) == PLACES + 1
    assert set(queue) == {*(row.pk for row in mine[:PLACES]), at_its_other_host.pk}
    wake_next(app_id=dead.pk, now=now)
    assert sweep_notifications(now=now + timedelta(minutes=1)) == PLACES + 2, "and its probe"
    assert rows_read() - before < 250


def test_an_app_with_a_host_for_each_order_does_not_hold_up_the_sweep_of_others(platform_key, queue, monkeypatch):
    """Wherever it stands among them."""
    monkeypatch.setattr("openplatform.notifications.foremost.HOSTS_MAX", 5)
    now, later = timezone.now(), timezone.now() + timedelta(hours=1)
    apps = sorted((harness.an_app() for _ in range(3)), key=lambda app: app.pk)
    mine = [owed(app, "https://a.example/n", now=now) for app in (apps[0], apps[2])]
    Notification.objects.bulk_create(
        Notification(
            app=apps[1], event_type="order.succeeded", object_no=number, object_version=1, data={}, created_at=now,
            notify_url=f"https://h{number:04d}.example/n", next_attempt_at=now if number < 2 else later,
        )
        for number in range(2_000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE openplatform_notification")
    before = rows_read()
    assert sweep_notifications(now=now) == 4
    assert rows_read() - before < 250
    assert {row.pk for row in mine} < set(queue)


# --- one app's many dead hosts ---------------------------------------------------------------------------------------


def test_an_app_with_many_paused_hosts_does_not_keep_another_from_its_probe(app, queue, monkeypatch):
    monkeypatch.setattr("openplatform.notifications.sweep.PROBES_MAX", 3)
    now, other = timezone.now(), harness.an_app()
    for number in range(5):
        row = owed(app, f"https://dead{number}.example/n", now=now)
        endpoint = NotifyEndpoint.objects.create(app=app, host=row.notify_host)
        NotifyEndpoint.objects.filter(pk=endpoint.pk).update(paused_at=now, probe_at=now)
    waiting = owed(other, "https://other.example/n", now=now)
    endpoint = NotifyEndpoint.objects.create(app=other, host=waiting.notify_host)
    NotifyEndpoint.objects.filter(pk=endpoint.pk).update(paused_at=now, probe_at=now + timedelta(seconds=1))
    sweep_notifications(now=now + timedelta(seconds=2))
    assert waiting.pk in queue
    assert len(queue) == 3


def test_a_paused_host_that_is_owed_nothing_takes_no_place_of_a_probe(app, queue, monkeypatch):
    monkeypatch.setattr("openplatform.notifications.sweep.PROBES_MAX", 1)
    now, other = timezone.now(), harness.an_app()
    for owner, host, due_at in ((app, "idle.example", now), (other, "other.example", now + timedelta(seconds=1))):
        endpoint = NotifyEndpoint.objects.create(app=owner, host=host)
        NotifyEndpoint.objects.filter(pk=endpoint.pk).update(paused_at=now, probe_at=due_at)
    waiting = owed(other, "https://other.example/n", now=now)
    sweep_notifications(now=now + timedelta(seconds=2))
    assert queue == [waiting.pk]
