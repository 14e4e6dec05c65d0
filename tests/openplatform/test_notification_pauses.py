"""A merchant's server that does not answer costs its own merchant time and nobody else."""

import itertools
import logging
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.models import Alarm, Notification, NotifyEndpoint
from openplatform.models.alarm import AlarmKind
from openplatform.models.endpoint import PROBE_WAIT_MAX
from openplatform.models.notification import HINT_AGAIN_AFTER, LEASE, AttemptKind, NotificationStatus
from openplatform.notifications import schedule, turns
from openplatform.notifications.delivery import Outcome, deliver_notification, record_outcome
from openplatform.notifications.replay import Filter, replay_matching, replay_one
from openplatform.notifications.sweep import BATCH_MAX, sweep_notifications
from openplatform.notifications.turns import PACE_WAIT_MAX_S, claim
from tests.openplatform import harness, merchants
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]
PAUSE_AFTER, PLACES = 4, 2


@pytest.fixture(autouse=True)
def limits(settings):
    settings.NOTIFICATION_PAUSE_AFTER, settings.NOTIFICATION_IN_FLIGHT_MAX = PAUSE_AFTER, PLACES
    settings.NOTIFICATION_PROBE_S = 60


@pytest.fixture
def queue(monkeypatch):
    """What workers were told, in the broker's order; a test plays the workers."""
    told = []
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: told.append(kwargs["notification_id"]) or True)
    return told


def many(app, url, count, *, now):
    return [owed(app, url, now=now, object_no=number) for number in range(count)]


def fail(notification, *, now, status=500):
    """An attempt that fails, without a network."""
    claimed = claim(notification.pk, now=now)
    assert claimed is not None
    record_outcome(claimed=claimed, outcome=Outcome(status_code=status), attempted_at=now, duration_ms=1, now=now)


def pause(app, url, *, now):
    """The host is paused, after failures of as many notifications, which stay owed."""
    rows = many(app, url, PAUSE_AFTER, now=now)
    for row in rows:
        fail(row, now=now)
    endpoint = NotifyEndpoint.objects.get(app=app)
    assert endpoint.is_paused
    return endpoint, rows


def work(queue, *, now):
    """Play one worker until the queue is empty. How many attempts it made."""
    done = 0
    while queue:
        notification = Notification.objects.get(pk=queue.pop(0))
        deliver_notification(notification_id=notification.pk, clock=lambda: now)
        done += Notification.objects.get(pk=notification.pk).attempts_count - notification.attempts_count
    return done


# --- one app's trouble is not another's -------------------------------------------------------------------------


def test_five_hundred_rows_to_a_dead_server_do_not_hold_up_the_app_beside_it(app, serve, queue, settings):
    settings.NOTIFICATION_TIMEOUT_S = 1.0  # the server that is well must make it on a busy machine
    dead, well, now = harness.an_app(), app, timezone.now()
    black_hole, shop = serve(merchants.silent), serve(answers(200))
    many(dead, black_hole.url, BATCH_MAX, now=now)
    mine = many(well, shop.url, 10, now=now + timedelta(seconds=1))

    sweeps = 0
    while Notification.objects.filter(app=well, status=NotificationStatus.OWED).exists():
        at = now + timedelta(minutes=1, seconds=2 * sweeps)
        sweep_notifications(now=at)
        work(queue, now=at)
        sweeps += 1
        assert sweeps <= len(mine) / PLACES, "the app that is well gets its places in every sweep"

    assert len(black_hole.requests) <= PAUSE_AFTER + PLACES, "and the dead one gets few attempts before it is paused"
    assert NotifyEndpoint.objects.get(app=dead).is_paused
    assert len(shop.requests) == len(mine)
    assert Notification.objects.filter(app=dead, status=NotificationStatus.OWED).count() == BATCH_MAX


def test_of_one_app_no_more_is_given_out_than_it_has_places_until_some_of_it_is_done(app, serve, queue):
    now = timezone.now()
    rows = many(app, serve(answers(200)).url, 7, now=now)
    assert sweep_notifications(now=now) == PLACES
    assert queue == [row.pk for row in rows[:PLACES]], "the oldest first"
    assert sweep_notifications(now=now) == 0
    assert sweep_notifications(now=now + HINT_AGAIN_AFTER + timedelta(seconds=1)) == PLACES, "the queue lost them"


def test_a_place_that_is_free_goes_to_the_next_that_waits(app, serve, queue, settings):
    settings.HINTS_ENABLED = True
    now = timezone.now()
    rows = many(app, serve(answers(200)).url, 6, now=now)
    sweep_notifications(now=now)
    assert work(queue, now=now) == 6, "one sweep, and the rest follows by itself"
    assert [row.status for row in Notification.objects.all()] == [NotificationStatus.DELIVERED] * len(rows)


def test_an_attempt_without_a_place_is_not_made_and_does_not_wait_to_be_forgotten(app, serve):
    now = timezone.now()
    first, second, third = many(app, serve(answers(200)).url, 3, now=now)
    Notification.remember_hints([third.pk], now=now)
    assert claim(first.pk, now=now)
    assert claim(second.pk, now=now)
    assert claim(third.pk, now=now) is None
    third.refresh_from_db()
    assert (third.attempts_count, third.hinted_at) == (0, None)
    assert claim(third.pk, now=now + LEASE + timedelta(seconds=1)), "the workers of the others are dead"


@pytest.mark.django_db(transaction=True)
def test_of_eight_workers_at_once_as_many_get_a_row_as_the_app_has_places(platform_key):
    now, app = timezone.now(), harness.an_app()
    rows, got, barrier = many(app, "https://a.example/n", 8, now=now), [], threading.Barrier(8)

    def take(row):
        barrier.wait()
        got.append(claim(row.pk, now=now) is not None)
        connection.close()

    threads = [threading.Thread(target=take, args=[row]) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == PLACES


def test_what_has_piled_up_goes_out_at_a_pace(app, monkeypatch, settings):
    settings.NOTIFICATION_IN_FLIGHT_MAX, settings.NOTIFICATION_CATCH_UP_PER_S = 10, 2
    delays, now = [], timezone.now()
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: delays.append(kwargs["delay_s"]) or True)
    many(app, "https://a.example/n", 5, now=now)
    sweep_notifications(now=now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(delays)]
    assert delays[0] == 0
    assert all(0.3 < gap <= 0.5 for gap in gaps), "two in a second, less the time that the sweep itself took"


def test_who_has_its_turn_in_the_pace_is_not_given_out_again_before_it():
    assert timedelta(seconds=PACE_WAIT_MAX_S) < HINT_AGAIN_AFTER


# --- alarms -----------------------------------------------------------------------------------------------------


def test_an_alarm_is_raised_once_for_one_trouble(caplog, db):
    now, trouble = timezone.now(), {"kind": AlarmKind.NOTIFICATIONS_PAUSED, "key": "7 a.example"}
    with caplog.at_level(logging.ERROR):
        assert raise_alarm(**trouble, text="it is dead", now=now)
        assert not raise_alarm(**trouble, text="it is dead still", now=now)
        assert len(caplog.records) == 1
        assert close_alarm(**trouble, now=now)
        assert not close_alarm(**trouble, now=now)
        assert raise_alarm(**trouble, text="it is dead again", now=now)
    assert [record.getMessage() for record in caplog.records] == [
        "alarm notifications_paused: it is dead", "alarm notifications_paused: it is dead again",
    ]  # fmt: skip
    assert list(Alarm.objects.order_by("pk").values_list("text", flat=True)) == ["it is dead", "it is dead again"]


@pytest.mark.parametrize("change", ["text = 'x'", "opened_at = now()", "closed_at = NULL", "key = 'y'"])
def test_what_an_alarm_said_does_not_change_and_it_is_closed_for_good(db, change):
    trouble = {"kind": AlarmKind.NOTIFICATIONS_PAUSED, "key": "7 a.example"}
    raise_alarm(**trouble, text="it is dead", now=timezone.now())
    close_alarm(**trouble, now=timezone.now())
    for statement in (f"UPDATE openplatform_alarm SET {change}", "DELETE FROM openplatform_alarm"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


# --- the pause ---------------------------------------------------------------------------------------------------


def test_failures_in_a_row_pause_the_host_and_call_a_person_once(app, caplog):
    now = timezone.now()
    with caplog.at_level(logging.ERROR):
        endpoint, _rows = pause(app, "https://a.example/n", now=now)
        fail_late = Outcome(error="deadline")
        late = Notification.claim(owed(app, "https://a.example/n", now=now).pk, now=now)
        record_outcome(claimed=late, outcome=fail_late, attempted_at=now, duration_ms=1, now=now)
    assert (endpoint.host, endpoint.paused_at, endpoint.last_reason) == ("a.example", now, "500")
    assert endpoint.probe_at == now + timedelta(seconds=60)
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.key, alarm.closed_at) == ("notifications_paused", f"{app.pk} a.example", None)
    assert "paused after 4 failures in a row, the last: 500" in alarm.text
    assert len(caplog.records) == 1


def test_one_answer_in_between_begins_the_count_anew(app):
    now = timezone.now()
    rows = many(app, "https://a.example/n", 2 * PAUSE_AFTER, now=now)
    for number, row in enumerate(rows):
        fail(row, now=now, status=410 if number == PAUSE_AFTER - 1 else 500)
    endpoint = NotifyEndpoint.objects.get()
    assert endpoint.is_paused
    assert endpoint.failures_count == PAUSE_AFTER


@pytest.mark.parametrize("error", ["url_refused", "host_blocked", "host_not_registered", "worker_lost"])
def test_what_our_own_rules_refuse_says_nothing_about_the_host(app, error):
    now = timezone.now()
    for row in many(app, "https://a.example/n", 2 * PAUSE_AFTER, now=now):
        claimed = claim(row.pk, now=now)
        record_outcome(claimed=claimed, outcome=Outcome(error=error), attempted_at=now, duration_ms=0, now=now)
    assert not NotifyEndpoint.objects.exists()


def test_an_app_with_two_hosts_goes_on_at_the_one_that_is_well(app, queue):
    now = timezone.now()
    pause(app, "https://a.example/n", now=now)
    at_the_dead_one = owed(app, "https://a.example/other", now=now)
    at_the_other = owed(app, "https://b.example/n", now=now)
    same_host_of_another_app = owed(harness.an_app(), "https://a.example/n", now=now)
    sweep_notifications(now=now)
    assert set(queue) == {at_the_other.pk, same_host_of_another_app.pk}
    assert claim(at_the_dead_one.pk, now=now) is None, "a hint on commit changes nothing"


def test_of_a_paused_host_one_probe_is_due_at_growing_intervals(app, queue):
    now = timezone.now()
    endpoint, rows = pause(app, "https://a.example/n", now=now)
    probed, waits = [], []
    for _ in range(7):
        assert sweep_notifications(now=endpoint.probe_at - timedelta(microseconds=1)) == 0
        at = endpoint.probe_at
        assert sweep_notifications(now=at) == 1
        fail(Notification.objects.get(pk=queue[-1]), now=at)
        probed.append(queue[-1])
        assert all(claim(row.pk, now=at) is None for row in rows), "one probe, not one for each row"
        endpoint.refresh_from_db()
        waits.append(endpoint.probe_at - at)
    assert waits == [timedelta(minutes=minutes) for minutes in (2, 4, 8, 15, 15, 15, 15)]
    assert waits[-1] == PROBE_WAIT_MAX
    assert len(set(probed)) == len(rows), "each in its turn: one poisoned row must not speak for all"


def test_a_probe_takes_no_step_of_the_schedule_and_nothing_is_held_because_of_a_pause(app, queue):
    now = timezone.now()
    endpoint, rows = pause(app, "https://a.example/n", now=now)
    at_its_last_step = rows[0]
    Notification.objects.filter(pk=at_its_last_step.pk).update(schedule_step=schedule.ATTEMPTS_MAX - 1)
    for _ in range(40):  # ten hours, and more probes than the schedule has steps
        sweep_notifications(now=endpoint.probe_at)
        fail(Notification.objects.get(pk=queue[-1]), now=endpoint.probe_at)
        endpoint.refresh_from_db()
    statuses = set(Notification.objects.values_list("status", "schedule_step"))
    assert statuses == {(NotificationStatus.OWED, 1), (NotificationStatus.OWED, schedule.ATTEMPTS_MAX - 1)}
    kinds = list(at_its_last_step.attempts.values_list("kind", flat=True))
    assert kinds.count(AttemptKind.PROBE) == 10
    assert kinds[-1] == AttemptKind.SCHEDULED


def test_with_the_first_answer_everything_flows_again_oldest_first_and_a_few_at_a_time(app, serve, queue, settings):
    settings.HINTS_ENABLED = True
    server, now = serve(merchants.hangs_up), timezone.now()
    endpoint, rows = pause(app, server.url, now=now)
    rows += many(app, server.url, 5, now=now)
    hours_away = [row.pk for row in rows[2:]]
    Notification.objects.filter(pk__in=hours_away).update(next_attempt_at=now + timedelta(hours=6), schedule_step=14)
    server.behaviour = answers(200)
    at = endpoint.probe_at
    sweep_notifications(now=at)
    (probe,) = queue
    queue.clear()
    deliver_notification(notification_id=probe, clock=lambda: at)
    assert queue == [next(row.pk for row in rows if row.pk != probe)], "the oldest, at once"
    sweep_notifications(now=at)
    assert len(queue) == PLACES
    work(queue, now=at)
    assert not Notification.objects.filter(status=NotificationStatus.OWED).exists(), "waits of hours are over, too"
    order = [int(request.document["event_id"]) for request in server.requests]
    assert order == [probe, *(row.pk for row in rows if row.pk != probe)]
    endpoint.refresh_from_db()
    assert (endpoint.paused_at, endpoint.failures_count, endpoint.probe_at) == (None, 0, None)
    assert Alarm.objects.get().closed_at == at


def test_a_late_success_ends_the_pause_too(app, serve):
    now = timezone.now()
    late = Notification.claim(owed(app, "https://a.example/n", now=now).pk, now=now)
    pause(app, "https://a.example/n", now=now)
    record_outcome(claimed=late, outcome=Outcome(status_code=204), attempted_at=now, duration_ms=1, now=now)
    assert not NotifyEndpoint.objects.get().is_paused


def test_the_next_trouble_is_a_new_alarm(app):
    now = timezone.now()
    for day in range(2):
        at = now + timedelta(days=day)
        endpoint, rows = pause(app, "https://a.example/n", now=at)
        probe = claim(rows[0].pk, now=endpoint.probe_at)
        outcome = Outcome(status_code=200)
        record_outcome(claimed=probe, outcome=outcome, attempted_at=at, duration_ms=1, now=endpoint.probe_at)
    assert [alarm.closed_at is None for alarm in Alarm.objects.all()] == [False, False]


def test_whoever_asks_for_a_replay_has_the_paused_host_tried_now(app, queue):
    now = timezone.now()
    for replay in (
        lambda row: replay_one(app_id=app.pk, notification_id=row.pk, now=now),
        lambda row: replay_matching(matching=Filter(app_id=app.pk), now=now),
    ):
        endpoint, rows = pause(app, "https://a.example/n", now=now)
        assert sweep_notifications(now=now) == 0
        replay(rows[0])
        assert sweep_notifications(now=now) == 1
        endpoint.recover()
        Notification.objects.update(status=NotificationStatus.HELD, next_attempt_at=None)
    endpoint, _rows = pause(app, "https://a.example/n", now=now)
    replay_matching(matching=Filter(app_id=harness.an_app().pk), now=now)
    assert sweep_notifications(now=now) == 0, "another app's replay is nobody else's"


def test_a_notification_says_since_when_it_waits(caller):
    now = timezone.now()
    _endpoint, rows = pause(caller.app, "https://a.example/n", now=now)
    url = f"/openapi/v1/notifications/{rows[0].pk}"
    assert caller.get(url).json()["paused_since"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {one["paused_since"] for one in caller.get("/openapi/v1/notifications").json()["notifications"]} != {None}
    Notification.objects.get(pk=rows[0].pk).deliver(now=now)
    assert caller.get(url).json()["paused_since"] is None


def test_a_delivery_after_the_pause_is_like_any_other(app, serve):
    server, now = serve(answers(200)), timezone.now()
    endpoint, rows = pause(app, server.url, now=now)
    assert deliver(rows[0], now=endpoint.probe_at).status == NotificationStatus.DELIVERED
    assert rows[0].attempts.first().kind == AttemptKind.PROBE
    assert deliver(rows[1], now=endpoint.probe_at).status == NotificationStatus.DELIVERED
    assert rows[1].attempts.first().kind == AttemptKind.SCHEDULED


def test_an_alarm_that_another_worker_opened_a_moment_later_by_its_clock_can_be_closed():
    now = timezone.now()
    assert raise_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key="x", text="t", now=now + timedelta(milliseconds=1))
    assert close_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key="x", now=now)
    alarm = Alarm.objects.get()
    assert alarm.closed_at == alarm.opened_at
