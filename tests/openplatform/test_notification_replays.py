"""Many notifications sent again: by filter, part by part, as a stream, and each once however often it is asked for."""

import re
import threading
from datetime import UTC, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from openplatform.models import Notification
from openplatform.models.notification import NotificationStatus
from openplatform.notifications import cursors, replay, turns
from openplatform.notifications.cursors import CursorUnknown, Place
from openplatform.notifications.replay import ASKED_AGAIN_WITHIN, Filter, Replayed, replay_matching
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
    assert answer.json() == {
        "app_id": str(caller.app.pk), "replayed_count": 2, "has_more": False, "next_cursor": None,
    }  # fmt: skip
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


# --- any number, each once --------------------------------------------------------------------------------------------


@pytest.fixture
def parts_of_four(monkeypatch):
    monkeypatch.setattr(replay, "REPLAY_MAX", 4)


def replayed_by(matching, *, cursor, at):
    """The object numbers of what one question, asked `at` milliseconds after the first, owed again; and its answer."""
    now = NOW + timedelta(milliseconds=at)
    answer = replay_matching(matching=matching, cursor=cursor, now=now)
    return list(Notification.objects.filter(replayed_at=now).order_by("pk").values_list("object_no", flat=True)), answer


def attempt_all(*, now=NOW, status=NotificationStatus.DELIVERED):
    """The workers are quick: whatever is owed is delivered, or given up, before anybody asks for the next part."""
    owed_now = Notification.objects.filter(status=NotificationStatus.OWED)
    owed_now.update(
        status=status, next_attempt_at=None, schedule_step=1,
        delivered_at=now if status == NotificationStatus.DELIVERED else None,
    )  # fmt: skip


@pytest.mark.parametrize("becomes", [NotificationStatus.DELIVERED, NotificationStatus.HELD])
@pytest.mark.parametrize("wanted", ["", "held"])
def test_each_of_any_number_is_sent_again_once_whatever_becomes_of_the_first_meanwhile(
    app, parts_of_four, becomes, wanted
):
    held(app, 10)
    matching, cursor, seen = Filter(app_id=app.pk, status=wanted), "", []
    while cursor is not None:
        part, answer = replayed_by(matching, cursor=cursor, at=len(seen))
        seen.append(part)
        attempt_all(status=becomes)
        cursor = answer.next_cursor
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize("is_quick", [False, True])
def test_after_a_lost_answer_the_same_question_sends_nothing_a_second_time(app, parts_of_four, lost, is_quick):
    """Also when all of the lost part has been delivered by then."""
    held(app, 10)
    matching, cursor, seen, number = Filter(app_id=app.pk), "", [], 0
    while cursor is not None:
        for attempt in range(2 if number == lost else 1):  # of the first one nobody hears the answer
            part, answer = replayed_by(matching, cursor=cursor, at=10 * number + attempt)
            seen += part
            if is_quick:
                attempt_all()
        cursor, number = answer.next_cursor, number + 1
    assert seen == list(range(10))


def test_the_first_question_is_a_new_one_a_minute_later(app, parts_of_four):
    rows = held(app, 2)
    assert replay_matching(matching=Filter(app_id=app.pk), now=NOW) == Replayed(count=2)
    attempt_all()
    assert replay_matching(matching=Filter(app_id=app.pk), now=NOW + ASKED_AGAIN_WITHIN).count == 0
    later = NOW + ASKED_AGAIN_WITHIN + timedelta(seconds=1)
    assert replay_matching(matching=Filter(app_id=app.pk), now=later).count == len(rows)


def test_what_is_newer_than_the_first_question_is_not_part_of_it(app, parts_of_four):
    """Else it would never end at a merchant who sells on."""
    held(app, 5)
    first = replay_matching(matching=Filter(app_id=app.pk), now=NOW)
    held(app, 3, now=NOW + timedelta(seconds=1))
    assert replay_matching(matching=Filter(app_id=app.pk), cursor=first.next_cursor, now=NOW + timedelta(hours=1)) == (
        Replayed(count=1)
    )


def test_what_is_at_the_beginning_of_its_schedule_is_left_as_it_is(app):
    waiting = owed(app, "https://a.example/n", now=NOW - timedelta(hours=1))
    assert replay_matching(matching=Filter(app_id=app.pk), now=NOW).count == 0
    waiting.refresh_from_db()
    assert (waiting.next_attempt_at, waiting.replayed_at) == (NOW - timedelta(hours=1), None)


@pytest.mark.django_db(transaction=True)
def test_the_same_question_four_times_at_once_sends_each_once(platform_key, monkeypatch):
    monkeypatch.setattr(replay, "REPLAY_MAX", 4)
    app, barrier, answers_ = harness.an_app(), threading.Barrier(4), []
    held(app, 10)

    def ask():
        barrier.wait()
        answers_.append(replay_matching(matching=Filter(app_id=app.pk), now=NOW))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer.count for answer in answers_) == 10


# --- the cursor of others, and what is none ---------------------------------------------------------------------------


def first_part(caller, wish):
    answer = caller.post(URL, wish)
    assert (answer.status_code, answer.json()["has_more"]) == (202, True)
    return answer.json()["next_cursor"]


def refused(caller, wish):
    answer = caller.post(URL, wish)
    assert (answer.status_code, answer.json()["code"]) == (400, "CURSOR_UNKNOWN")
    return True


def test_a_merchant_goes_on_with_the_cursor_to_the_end(caller, parts_of_four):
    held(caller.app, 9)
    wish = {"status": "held"}
    counts = []
    while True:
        answer = caller.post(URL, wish).json()
        counts.append(answer["replayed_count"])
        assert answer["has_more"] is (answer["next_cursor"] is not None)
        if not answer["has_more"]:
            break
        wish["cursor"] = answer["next_cursor"]
    assert counts == [4, 4, 1]


def test_another_apps_cursor_and_that_of_another_filter_are_refused_and_change_nothing(caller, parts_of_four):
    stranger = harness.Caller(harness.an_app())
    held(caller.app, 9)
    held(stranger.app, 9)
    wish = {"status": "held"}
    cursor = first_part(stranger, wish)
    before = set(Notification.objects.filter(status="held"))
    assert refused(caller, wish | {"cursor": cursor})
    assert refused(stranger, {"event_type": "order.succeeded", "cursor": cursor})
    assert refused(stranger, wish | {"object_no": "1", "cursor": cursor})
    assert set(Notification.objects.filter(status="held")) == before


def test_a_cursor_that_somebody_makes_up_chooses_among_his_own_alone(caller):
    """There is no secret in it: who takes it apart can leave out his own, and nothing else."""
    mine, theirs = held(caller.app, 3), held(harness.an_app(), 3)
    about = repr(Filter(app_id=caller.app.pk, status="held"))
    forged = cursors.write(Place(since=NOW, after=mine[1].pk), about=about)
    assert caller.post(URL, {"status": "held", "cursor": forged}).json()["replayed_count"] == 1
    assert Notification.objects.filter(pk__in=[row.pk for row in theirs], status="held").count() == 3


@pytest.mark.parametrize(
    "cursor", ["x", "A" * 43, "A" * 42 + "=", "A" * 10_000, "é" * 43, "１" * 43, "-" * 43, "../" * 14 + "x", "12345"]
)
def test_a_cursor_that_is_none_is_refused_by_name(caller, cursor):
    held(caller.app, 1)
    assert refused(caller, {"status": "held", "cursor": cursor})
    assert Notification.objects.get().status == NotificationStatus.HELD


@pytest.mark.parametrize("index", [0, 5, 11, 20, 30, 42])
def test_a_cursor_in_which_one_letter_is_another_is_refused(caller, parts_of_four, index):
    held(caller.app, 5)
    cursor = first_part(caller, {"status": "held"})
    other = "A" if cursor[index] != "A" else "B"
    assert refused(caller, {"status": "held", "cursor": cursor[:index] + other + cursor[index + 1 :]})


@pytest.mark.parametrize("cursor", ["", None, 5, True, ["A" * 43]])
def test_a_cursor_that_is_no_text_is_a_wrong_field(caller, cursor):
    answer = caller.post(URL, {"status": "held", "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_cursor_is_no_filter(caller):
    answer = caller.post(URL, {"cursor": "A" * 43})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "")
    assert "cursor" not in answer.json()["errors"][0]["reason"]


@given(st.integers(-(2**63), 2**63 - 1), st.datetimes(timezones=st.just(UTC)), st.text())
def test_a_cursor_reads_as_it_was_written_and_for_nothing_else(after, since, about):
    place = Place(since=since, after=after)
    cursor = cursors.write(place, about=about)
    assert len(cursor) == cursors.LENGTH
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    assert cursors.read(cursor, about=about) == place
    with pytest.raises(CursorUnknown):
        cursors.read(cursor, about=about + "x")


@given(st.text(max_size=60))
def test_no_text_is_a_cursor_by_chance_and_none_is_a_crash(text):
    with pytest.raises(CursorUnknown):
        cursors.read(text, about="x")


def test_a_thousand_go_out_a_few_at_a_time_the_oldest_first(app, serve, monkeypatch, settings):
    now = timezone.now()
    settings.HINTS_ENABLED, settings.NOTIFICATION_IN_FLIGHT_MAX = True, 2
    told, server = [], serve(answers(200))
    monkeypatch.setattr(turns, "send_now", lambda name, **kwargs: told.append(kwargs["notification_id"]) or True)
    rows = [owed(app, server.url, now=now, object_no=number) for number in range(1_000)]
    Notification.objects.update(status=NotificationStatus.HELD, next_attempt_at=None)
    assert replay_matching(matching=Filter(app_id=app.pk), now=now) == Replayed(count=1_000)
    assert told == [], "no flood of messages"
    sweep_notifications(now=now)
    assert told == [row.pk for row in rows[:2]]
    deliver(rows[0], now=now)
    assert told == [row.pk for row in rows[:3]], "each that is done lets the next one go"


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_goes_on_by_itself_and_says_how_many(app, capsys, parts_of_four):
    held(app, 9)
    call_command("replay_notifications", "--status", "held")
    said = capsys.readouterr()
    assert said.out == "9\n"
    assert re.findall(r"^(\d+), going on with --cursor [A-Za-z0-9_-]{43}$", said.err, re.MULTILINE) == ["4", "8"]
    assert set(Notification.objects.values_list("status", flat=True)) == {"owed"}


def test_an_interrupted_command_goes_on_where_it_was(app, capsys, parts_of_four, monkeypatch):
    held(app, 9)
    asked = replay_matching

    def dies_at_the_second_part(*, cursor, **kwargs):
        if cursor:
            raise KeyboardInterrupt
        return asked(cursor=cursor, **kwargs)

    monkeypatch.setattr(
        "openplatform.management.commands.replay_notifications.replay_matching", dies_at_the_second_part
    )
    with pytest.raises(KeyboardInterrupt):
        call_command("replay_notifications", "--status", "held")
    monkeypatch.undo()
    monkeypatch.setattr(replay, "REPLAY_MAX", 4)
    cursor = capsys.readouterr().err.split()[-1]
    attempt_all()
    call_command("replay_notifications", "--status", "held", "--cursor", cursor)
    assert capsys.readouterr().out == "5\n"
    with pytest.raises(CommandError, match="not given for this filter"):
        call_command("replay_notifications", "--status", "delivered", "--cursor", cursor)
