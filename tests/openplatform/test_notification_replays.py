"""Many notifications sent again: by filter, a thousand at once, as a stream, and not twice for the same question."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from openplatform.models import Notification
from openplatform.models.notification import NotificationStatus
from openplatform.notifications import replay, turns
from openplatform.notifications.replay import Filter, Replayed, replay_matching
from openplatform.notifications.sweep import sweep_notifications
from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]
URL = "/openapi/v1/notifications/replay"
NOW = timezone.now()


def held(app, count, *, now=NOW, **kwargs):
    rows = [owed(app, "https://a.example/n", now=now, object_no=number, **kwargs) for number in range(count)]
    Notification.objects.filter(app=app).update(status=NotificationStatus.HELD, next_attempt_at=None)
    return rows


def at(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "+00:00"


def test_a_merchant_replays_by_time_and_is_told_how_many(caller):
    old, new = held(caller.app, 1, now=NOW - timedelta(days=2)), held(caller.app, 2)
    foreign = held(harness.an_app(), 1)
    wish = {"status": "held", "created_from": at(NOW - timedelta(days=1)), "created_until": at(NOW + timedelta(days=1))}
    answer = caller.post(URL, wish)
    assert answer.status_code == 202
    assert answer.json() == {"app_id": str(caller.app.pk), "replayed_count": 2, "has_more": False}
    statuses = dict(Notification.objects.values_list("pk", "status"))
    assert [statuses[row.pk] for row in (*old, *new, *foreign)] == ["held", "owed", "owed", "held"]


@pytest.mark.parametrize(
    ("wish", "count"),
    [({"object_no": "1"}, 1), ({"event_type": "order.succeeded"}, 3), ({"event_type": "order.closed"}, 0),
     ({"status": "delivered"}, 0)],
)  # fmt: skip
def test_each_part_of_the_filter_counts(caller, wish, count):
    held(caller.app, 3)
    assert caller.post(URL, wish).json()["replayed_count"] == count


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, ""),
        ({"status": "lost"}, "status"),
        ({"object_no": 1}, "object_no"),
        ({"object_no": "0"}, "object_no"),
        ({"created_from": "2026-01-02"}, "created_from"),
        ({"created_from": "2026-01-02T10:00:00"}, "created_from"),
        ({"created_from": "2026-01-02T10:00:00Z", "created_until": "2026-01-02T10:00:00Z"}, "created_until"),
        ({"app_id": "17"}, "app_id"),
        ({"event_type": "ORDER"}, "event_type"),
        ({"status": "held", "limit": 5}, "limit"),
    ],
)
def test_a_wish_that_means_nothing_or_too_much_is_refused_and_changes_nothing(caller, wish, field):
    held(caller.app, 1)
    answer = caller.post(URL, wish)
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")
    assert answer.json()["errors"][0]["field"] == field
    assert Notification.objects.get().status == NotificationStatus.HELD


def test_it_is_bounded_and_the_same_question_again_goes_on_with_the_rest(app, monkeypatch):
    monkeypatch.setattr(replay, "REPLAY_MAX", 4)
    rows = held(app, 10)
    counts = [replay_matching(matching=Filter(app_id=app.pk), now=NOW) for _ in range(4)]
    assert counts == [Replayed(count=4, has_more=True)] * 2 + [
        Replayed(count=2, has_more=False), Replayed(count=0, has_more=False),
    ]  # fmt: skip
    assert set(Notification.objects.values_list("status", flat=True)) == {"owed"}
    deliver_late = rows[0]
    deliver_late.deliver(now=NOW)
    assert replay_matching(matching=Filter(app_id=app.pk), now=NOW).count == 1, "what was delivered since may go again"


def test_a_thousand_go_out_a_few_at_a_time_the_oldest_first(app, serve, monkeypatch, settings):
    now = timezone.now()
    settings.HINTS_ENABLED, settings.NOTIFICATION_IN_FLIGHT_MAX = True, 2
    told, server = [], serve(answers(200))
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: told.append(kwargs["notification_id"]) or True)
    rows = [owed(app, server.url, now=now, object_no=number) for number in range(1_000)]
    Notification.objects.update(status=NotificationStatus.HELD, next_attempt_at=None)
    assert replay_matching(matching=Filter(app_id=app.pk), now=now) == Replayed(count=1_000, has_more=False)
    assert told == [], "no flood of messages"
    sweep_notifications(now=now)
    assert told == [row.pk for row in rows[:2]]
    deliver(rows[0], now=now)
    assert told == [row.pk for row in rows[:3]], "each that is done lets the next one go"


def test_the_command_says_how_many_and_whether_more_match(app, capsys, monkeypatch):
    monkeypatch.setattr(replay, "REPLAY_MAX", 2)
    held(app, 3)
    call_command("replay_notifications", "--status", "held")
    call_command("replay_notifications", "--status", "held")
    assert capsys.readouterr().out == "2, and more match: run it again\n1\n"
