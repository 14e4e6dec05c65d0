"""What was not told is found by the sweep, and can be told again: by an operator, a command or the merchant."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from openplatform import tasks
from openplatform.models import Notification
from openplatform.models.notification import HINT_AGAIN_AFTER, NotificationStatus
from openplatform.notifications import turns
from openplatform.notifications.delivery import Outcome, record_outcome
from openplatform.notifications.replay import (
    Filter,
    NotificationNotFound,
    replay_chosen,
    replay_matching,
    replay_one,
)
from openplatform.notifications.sweep import sweep_notifications
from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.notices import DATA, app, deliver, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]


# --- the sweep -----------------------------------------------------------------------------------------------


@pytest.fixture
def woken(monkeypatch):
    sent = []
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: sent.append((name, kwargs)) or True)
    return sent


def test_the_sweep_finds_what_is_due_and_nothing_else(app, serve, woken, settings):
    settings.NOTIFICATION_IN_FLIGHT_MAX = 10
    server, now = serve(answers(500)), timezone.now()
    due = owed(app, server.url, now=now)
    waiting = deliver(owed(app, server.url))
    owed(app, server.url, now=now + timedelta(minutes=1))
    assert Notification.claim(owed(app, server.url, now=now).pk, now=now)
    assert sweep_notifications(now=now) == 1
    told = {"queue": "notifications", "notification_id": due.pk, "delay_s": 0.0}
    assert woken == [("openplatform.deliver_notification", told)]
    assert sweep_notifications(now=now) == 0, "a worker was told already"
    again = now + HINT_AGAIN_AFTER + timedelta(seconds=1)
    assert sweep_notifications(now=again) == 3, "a message was lost, a lease ran out, a wait is over"
    assert waiting.pk in {kwargs["notification_id"] for _name, kwargs in woken}


def test_a_broker_that_is_away_costs_nothing_but_time(app, monkeypatch, settings):
    settings.NOTIFICATION_IN_FLIGHT_MAX = 10
    now = timezone.now()
    for number in range(3):
        owed(app, "https://a.example/n", now=now, object_no=number)
    taken = iter([True, False])
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: next(taken))
    assert sweep_notifications(now=now) == 1
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: True)
    assert sweep_notifications(now=now) == 2, "the two that nobody was told about are found at once"


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_share_the_work(platform_key, monkeypatch, settings):
    settings.NOTIFICATION_IN_FLIGHT_MAX = 40
    now, app, sent = timezone.now(), harness.an_app(), []
    for number in range(40):
        owed(app, "https://a.example/n", now=now, object_no=number)
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: sent.append(kwargs["notification_id"]) or True)
    remember = Notification.remember_hints

    def remembered_slowly(ids, *, now):
        time.sleep(0.2)  # long enough for each of the others to have looked
        remember(ids, now=now)

    monkeypatch.setattr(Notification, "remember_hints", remembered_slowly)
    barrier = threading.Barrier(4)

    def work():
        barrier.wait()
        sweep_notifications(now=now)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == len(set(sent)) == 40


def test_the_tasks_are_known_by_name_and_do_the_work(app, serve, woken):
    server = serve(answers(200))
    notification = owed(app, server.url)
    tasks.sweep_notifications.run()
    assert woken
    tasks.deliver_notification.run(notification_id=notification.pk)
    notification.refresh_from_db()
    assert notification.status == NotificationStatus.DELIVERED
    assert tasks.deliver_notification.name == "openplatform.deliver_notification"
    assert tasks.sweep_notifications.name == "openplatform.sweep_notifications"


# --- again, please -------------------------------------------------------------------------------------------


def test_a_delivered_a_held_and_a_gone_one_can_be_sent_again_under_the_same_id(app, serve):
    server = serve(answers(200))
    for status in (200, 410):
        server.behaviour = answers(status)
        notification = deliver(owed(app, server.url))
        server.behaviour = answers(500)
        replay_one(app_id=app.pk, notification_id=notification.pk, now=timezone.now())
        deliver(notification)
        assert notification.status == NotificationStatus.OWED
        server.behaviour = answers(200)
        deliver(notification, now=notification.next_attempt_at)
        assert notification.status == NotificationStatus.DELIVERED
        assert [attempt.attempt_no for attempt in notification.attempts.all()] == [3, 2, 1]
    assert len({request.document["event_id"] for request in server.requests}) == 2


def test_a_replay_starts_the_schedule_again(app, serve):
    notification = owed(app, serve(answers(500)).url)
    for _ in range(16):
        deliver(notification, now=notification.next_attempt_at)
    replayed = replay_one(app_id=app.pk, notification_id=notification.pk, now=timezone.now())
    deliver(replayed)
    assert replayed.status == NotificationStatus.OWED
    assert replayed.next_attempt_at - timezone.now() < timedelta(seconds=17)


def test_a_replay_during_an_attempt_is_not_lost(app, serve):
    notification = owed(app, serve(answers(500)).url)

    now = timezone.now()
    claimed = Notification.claim(notification.pk, now=now)
    replay_chosen(chosen=Notification.objects.all(), now=now)
    record_outcome(claimed=claimed, outcome=Outcome(status_code=500), attempted_at=now, duration_ms=1, now=now)
    notification.refresh_from_db()
    assert notification.next_attempt_at == now


def test_nobody_replays_another_apps_notification(app):
    notification = owed(app, "https://a.example/n")
    with pytest.raises(NotificationNotFound):
        replay_one(app_id=harness.an_app().pk, notification_id=notification.pk, now=timezone.now())


def test_a_filter_chooses_by_app_status_event_and_time(app):
    now, other = timezone.now(), harness.an_app()
    old = owed(app, "https://a.example/n", now=now - timedelta(days=2))
    new, foreign = owed(app, "https://a.example/n", now=now), owed(other, "https://a.example/n", now=now)
    for notification in (old, new, foreign):
        notification.hold()

    def replayed(**kwargs):
        owed_now = Notification.objects.filter(status=NotificationStatus.OWED)
        owed_now.update(status="held", next_attempt_at=None, replayed_at=None)
        replay_matching(matching=Filter(**kwargs), now=now)
        return set(Notification.objects.filter(status=NotificationStatus.OWED))

    assert replayed(app_id=app.pk) == {old, new}
    assert replayed(app_id=app.pk, created_from=now - timedelta(days=1)) == {new}
    assert replayed(created_until=now) == {old}
    assert replayed(status="held") == {old, new, foreign}
    assert replayed(status="delivered") == set()
    assert replayed(event_type="order.closed") == set()


def test_the_replay_command_wants_a_filter_and_says_how_many(app, capsys):
    owed(app, "https://a.example/n").hold()
    with pytest.raises(CommandError, match="filter"):
        call_command("replay_notifications")
    with pytest.raises(CommandError, match="offset"):
        call_command("replay_notifications", "--from", "2026-01-02T10:00:00")
    call_command("replay_notifications", "--status", "held", "--from", "2020-01-02T10:00:00+08:00")
    assert capsys.readouterr().out == "1\n"


# --- through the API -----------------------------------------------------------------------------------------

URL = "/openapi/v1/notifications"


def test_an_app_reads_its_own_notifications_page_by_page(caller):
    numbers = [owed(caller.app, "https://a.example/n", object_no=number).pk for number in range(5)]
    owed(harness.an_app(), "https://a.example/n")
    seen, target = [], f"{URL}?limit=2"
    while target:
        page = caller.get(target).json()
        seen += [int(one["event_id"]) for one in page["notifications"]]
        target = page["next_cursor"] and f"{URL}?limit=2&cursor={page['next_cursor']}"
    assert seen == sorted(numbers, reverse=True)
    assert page["app_id"] == str(caller.app.pk)


def test_notifications_are_found_by_status_event_and_object(caller):
    owed(caller.app, "https://a.example/n", object_no=1).hold()
    owed(caller.app, "https://a.example/n", object_no=2)

    def found(query):
        return [one["object_no"] for one in caller.get(f"{URL}?{query}").json()["notifications"]]

    assert found("status=held") == ["1"]
    assert found("object_no=2") == ["2"]
    assert found("event_type=order.succeeded") == ["2", "1"]
    assert found("event_type=order.closed") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=1.5", "cursor=abc", "status=lost", "event_type=A"])
def test_a_query_that_means_nothing_is_refused(caller, query):
    answer = caller.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


def test_one_notification_shows_its_attempts(caller, serve):
    notification = deliver(owed(caller.app, serve(answers(500, b"no")).url))
    document = caller.get(f"{URL}/{notification.pk}").json()
    assert document["status"] == "owed"
    assert document["data"] == DATA
    (attempt,) = document["attempts"]
    assert (attempt["status_code"], attempt["error"], attempt["response_excerpt"]) == (500, None, "no")


def test_another_apps_notification_is_not_found_and_not_replayed(caller):
    foreign = owed(harness.an_app(), "https://a.example/n")
    foreign.hold()
    for answer in (
        caller.get(f"{URL}/{foreign.pk}"), caller.post(f"{URL}/{foreign.pk}/replay"), caller.get(f"{URL}/12345"),
        caller.get(f"{URL}/9999999999999999999"),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    foreign.refresh_from_db()
    assert foreign.status == NotificationStatus.HELD


def test_a_merchant_replays_its_own(caller):
    notification = owed(caller.app, "https://a.example/n")
    notification.hold()
    answer = caller.post(f"{URL}/{notification.pk}/replay")
    assert (answer.status_code, answer.json()["status"]) == (202, "owed")
    assert json.loads(answer.content)["event_id"] == str(notification.pk)
