"""What fails on our side is never laid at the merchant's door: no step, no attempt, and a person hears of it."""

import base64
import logging
from datetime import timedelta

import psycopg2
import pytest
from django.db import connection
from django.utils import timezone

from openplatform.caches import clear_all
from openplatform.models import Alarm, App, Notification, NotifyEndpoint, PlatformKey, WebhookSecret
from openplatform.models.notification import LEASE, AttemptKind, NotificationShape, NotificationStatus
from openplatform.notifications import schedule
from openplatform.notifications.replay import replay_one
from openplatform.notifications.sweep import sweep_notifications
from openplatform.notifications.turns import claim
from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]
ENVELOPED = {"event_type": "TRANSACTION.SUCCESS", "summary": "x", "original_type": "transaction", "resource": {}}
OTHER_MASTER_KEY = base64.b64encode(bytes(range(64, 96))).decode()


def enveloped(url):
    app = harness.an_app(accepts_wechatpay_scheme=True)
    return owed(app, url, shape=NotificationShape.WECHATPAY, data=ENVELOPED)


def with_a_secret(app, url):
    WebhookSecret.rotate(app=app, now=timezone.now(), current=None)
    return owed(app, url)


def damage(queryset, column):
    queryset.update(**{column: b"v1|damaged"})


def no_key_signs():
    PlatformKey.objects.get().retire(now=timezone.now())
    clear_all()


def nothing_is_written_down():
    """A database that refuses attempts, as with a full disk or a defect of ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER in_the_way BEFORE INSERT ON openplatform_notificationattempt"
            " FOR EACH ROW EXECUTE FUNCTION openplatform_refuse_change('a test is in the way')"
        )


def nothing_is_in_the_way():
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER in_the_way ON openplatform_notificationattempt")


def is_untouched(notification, *, troubles):
    assert (notification.status, notification.schedule_step) == (NotificationStatus.OWED, 0)
    assert (notification.attempts_count, notification.lease_until) == (0, None)
    assert notification.troubles_count == troubles
    assert not notification.attempts.exists()
    assert not NotifyEndpoint.objects.exists(), "nothing was found out about the merchant's server"
    return True


@pytest.mark.parametrize(
    ("owe_one", "break_it"),
    [
        (with_a_secret, lambda: damage(WebhookSecret.objects, "secret_sealed")),
        (lambda _app, url: enveloped(url), lambda: damage(App.objects, "apiv3_key_sealed")),
        (owed, no_key_signs),
        (owed, nothing_is_written_down),
    ],
    ids=["webhook secret", "APIv3 key", "platform key", "defect"],
)
def test_a_failure_of_ours_takes_neither_a_step_nor_a_number_and_lays_nothing_at_the_merchants_door(
    app, serve, owe_one, break_it
):
    notification, now = owe_one(app, serve(answers(200)).url), timezone.now()
    break_it()
    waits = []
    for count in range(1, 2 * schedule.ATTEMPTS_MAX):
        deliver(notification, now=now)
        assert is_untouched(notification, troubles=count)
        waits.append((notification.next_attempt_at - now).total_seconds())
        now = notification.next_attempt_at
    assert waits == [10, 20, 40, 80, 160, *[300] * (len(waits) - 5)], "soon, then more rarely, and for ever"


def test_another_master_key_is_a_failure_of_ours(app, serve, settings):
    notification = with_a_secret(app, serve(answers(200)).url)
    clear_all()
    settings.MASTER_KEY = OTHER_MASTER_KEY
    assert is_untouched(deliver(notification), troubles=1)


@pytest.mark.django_db(transaction=True)
def test_lists_that_cannot_be_read_are_a_failure_of_ours(platform_key, serve):
    server, app = serve(answers(200)), harness.an_app()
    notification = owed(app, server.url)
    session = psycopg2.connect(**connection.get_connection_params())
    try:
        session.cursor().execute("LOCK TABLE openplatform_blockentry")
        assert is_untouched(deliver(notification), troubles=1)
        assert server.requests == [], "who is not sure whom he may call does not call"
        session.rollback()
        assert deliver(notification, now=notification.next_attempt_at).status == NotificationStatus.DELIVERED
    finally:
        session.close()


def test_when_it_lasts_a_person_is_called_once_and_told_when_it_is_over(app, serve, caplog):
    nothing_is_written_down()
    notification, now = owed(app, serve(answers(200)).url), timezone.now()
    with caplog.at_level(logging.ERROR):
        for number in range(1, 8):
            deliver(notification, now=now)
            now = notification.next_attempt_at
            assert Alarm.objects.filter(kind="notifications_stuck").count() == int(number >= 4), "not for a hiccup"
    alarm = Alarm.objects.get()
    assert (alarm.key, alarm.closed_at) == (f"{app.pk} native", None)
    assert "for a reason of ours: IntegrityError" in alarm.text
    assert len([record for record in caplog.records if record.exc_info]) == 1, "the whole of it once, not each time"
    nothing_is_in_the_way()
    assert deliver(notification, now=now).status == NotificationStatus.DELIVERED
    assert (notification.troubles_count, notification.attempts.get().attempt_no) == (0, 1)
    assert Alarm.objects.get().closed_at == now


def test_what_can_be_sent_is_sent_although_the_rest_of_the_app_is_stuck(serve, monkeypatch, settings):
    """Its places are given to the others meanwhile."""
    told = []
    monkeypatch.setattr("openplatform.notifications.turns.send_now", lambda name, **kwargs: told.append(kwargs) or True)
    settings.NOTIFICATION_IN_FLIGHT_MAX = 1
    server, now = serve(answers(200)), timezone.now()
    harness_app = harness.an_app(accepts_wechatpay_scheme=True)
    stuck = [
        owed(harness_app, server.url, now=now, shape=NotificationShape.WECHATPAY, data=ENVELOPED) for _ in range(3)
    ]
    fine = owed(harness_app, server.url, now=now)
    damage(App.objects, "apiv3_key_sealed")
    for _ in range(4):
        sweep_notifications(now=now)
        deliver(Notification.objects.get(pk=told[-1]["notification_id"]), now=now)
    assert [kwargs["notification_id"] for kwargs in told] == [*(row.pk for row in stuck), fine.pk]


@pytest.fixture(autouse=True)
def signed(platform_key):
    """There is a key, until a test takes it away."""


def test_a_probe_that_we_could_not_make_leaves_the_schedule_where_it_was(app, serve):
    now = timezone.now()
    notification = owed(app, serve(answers(200)).url, now=now)
    Notification.objects.filter(pk=notification.pk).update(schedule_step=7, attempts_count=9)
    NotifyEndpoint.lock_or_add(app_id=app.pk, host=notification.notify_host).pause(now=now, probe_wait=timedelta(0))
    nothing_is_written_down()
    deliver(notification, now=now)
    assert (notification.schedule_step, notification.attempts_count, notification.troubles_count) == (7, 9, 1)
    assert claim(notification.pk, now=now + timedelta(hours=1)).attempt_kind == AttemptKind.PROBE


def test_a_replay_during_a_failure_of_ours_begins_at_the_beginning(app, serve, monkeypatch):
    notification, now = owed(app, serve(answers(200)).url), timezone.now()
    Notification.objects.filter(pk=notification.pk).update(schedule_step=7, attempts_count=7)
    claimed = claim(notification.pk, now=now)
    replay_one(app_id=app.pk, notification_id=notification.pk, now=now)
    assert Notification.give_back(claimed, at=now)
    notification.refresh_from_db()
    assert (notification.schedule_step, notification.attempts_count) == (0, 7)


def test_nothing_is_given_back_by_one_whom_somebody_has_followed(app):
    notification, now = owed(app, "https://a.example/n"), timezone.now()
    slow = claim(notification.pk, now=now)
    assert claim(notification.pk, now=now + LEASE + timedelta(seconds=1))
    assert not Notification.give_back(slow, at=now)
    notification.refresh_from_db()
    assert (notification.schedule_step, notification.attempts_count) == (2, 2)


def test_one_that_kills_its_worker_each_time_goes_by_the_schedule_and_is_not_held_within_minutes(app, serve):
    """The trouble may be the worker's: a machine without memory, a release that went wrong."""
    server, now = serve(answers(200)), timezone.now()
    notification, began_at = owed(app, server.url, now=now), now
    for _ in range(schedule.ATTEMPTS_MAX):
        assert claim(notification.pk, now=now)
        notification.refresh_from_db()
        now = max(now + LEASE + timedelta(seconds=1), notification.next_attempt_at)
    assert now - began_at >= timedelta(hours=24, minutes=4)
    assert deliver(notification, now=now).status == NotificationStatus.HELD
    assert notification.attempts.get().error == "worker_lost"
    assert server.requests == []
