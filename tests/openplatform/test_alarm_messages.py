"""Whoever is on call is told: owed with the alarm's row, sent once by one process, again until it was taken."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform import alarms
from openplatform.alarms import close_alarm, delivery, raise_alarm, remind
from openplatform.alarms.delivery import deliver_due
from openplatform.alarms.state import webhook_state
from openplatform.models import Alarm, AlarmMessage
from openplatform.models.alarm import AlarmKind
from tests.openplatform.merchants import answers, breaks_off, drips, endless_headers, hangs_up, merchant_server, silent

pytestmark = pytest.mark.django_db
NOW = timezone.now()
TOKEN = "key=a-token-that-nobody-may-see"


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, at=NOW):
        self.at = at

    def __call__(self):
        return self.at

    def later(self, **length):
        self.at += timedelta(**length)
        return self


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def on_call(settings):
    """A bot's server; `settings` point at it. `behave` changes what it does next."""

    class Bot:
        behaviour = staticmethod(answers(200))

        def __call__(self, connection):
            self.behaviour(connection)

    bot = Bot()
    with merchant_server(bot) as server:
        settings.ALARM_WEBHOOK_URL = f"http://{server.host}/hook?{TOKEN}"
        server.bot = bot
        yield server


def trouble(key="wechatpay", *, now=NOW, late_s=200):
    facts = {"payments": 3, "refunds": 0, "late_s": late_s}
    return raise_alarm(kind=AlarmKind.CHANNEL_BACKLOG, key=key, facts=facts, now=now)


def over(key="wechatpay", *, now=NOW):
    return close_alarm(kind=AlarmKind.CHANNEL_BACKLOG, key=key, now=now)


def statuses():
    return list(AlarmMessage.objects.order_by("pk").values_list("event", "status"))


def told(server):
    return [request.document for request in server.requests]


# --- told ---------------------------------------------------------------------------------------------------------


def test_its_beginning_and_its_end_are_told_with_all_that_one_needs_at_night(on_call, clock, settings):
    settings.PUBLIC_BASE_URL = "https://pay.example.com"
    trouble()
    assert deliver_due(clock=clock) == 1
    over(now=clock.later(minutes=5)())
    assert deliver_due(clock=clock) == 1
    alarm = Alarm.objects.get()
    began, ended = told(on_call)
    assert began["event"] == "opened"
    assert (began["id"], began["kind"], began["key"]) == (str(alarm.pk), "channel_backlog", "wechatpay")
    assert (began["severity"], began["opened_at"], began["closed_at"]) == ("critical", NOW.isoformat(), None)
    assert began["console_url"] == f"https://pay.example.com/console/openplatform/alarm/{alarm.pk}/change/"
    assert "3 min" in began["text"] or "3 分钟" in began["text"]
    assert (ended["event"], ended["closed_at"]) == ("closed", alarm.closed_at.isoformat())
    assert statuses() == [("opened", "delivered"), ("closed", "delivered")]


def test_the_row_and_what_is_owed_about_it_stand_or_fall_together(on_call):
    with transaction.atomic():
        trouble()
        transaction.set_rollback(True)
    assert (Alarm.objects.count(), AlarmMessage.objects.count()) == (0, 0)
    trouble()
    trouble()
    assert AlarmMessage.objects.count() == 1, "the same trouble is told once"


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (answers(500), "500"),
        (answers(404), "404"),
        (answers(302, b"", "Location: http://127.0.0.1:1/elsewhere"), "302"),
        (silent, "deadline"),
        (endless_headers, "deadline"),
        (hangs_up, "connection_broken"),
    ],
)
def test_a_webhook_that_does_not_take_it_is_asked_again_and_no_alarm_is_made_of_it(
    on_call, clock, monkeypatch, behaviour, error
):
    monkeypatch.setattr(delivery, "DEADLINE_S", 0.5)
    on_call.bot.behaviour = behaviour
    trouble()
    assert deliver_due(clock=clock) == 0
    assert deliver_due(clock=clock) == 0, "not before its time"
    assert len(on_call.requests) == 1
    state = webhook_state()
    assert (state.is_failing, state.last_error, state.owed_count) == (True, error, 1)
    on_call.bot.behaviour = answers(204)
    assert deliver_due(clock=clock.later(seconds=11)) == 1
    assert statuses() == [("opened", "delivered")]
    assert Alarm.objects.count() == 1
    assert not webhook_state().is_failing


@pytest.mark.parametrize("behaviour", [drips, breaks_off])
def test_a_status_of_200_counts_however_its_body_goes_on(on_call, clock, behaviour):
    on_call.bot.behaviour = behaviour
    trouble()
    assert deliver_due(clock=clock) == 1


def test_nobody_is_told_of_the_end_before_the_beginning(on_call, clock):
    on_call.bot.behaviour = answers(500)
    trouble()
    deliver_due(clock=clock)
    over()
    on_call.bot.behaviour = answers(200)
    deliver_due(clock=clock.later(seconds=11))
    deliver_due(clock=clock.later(seconds=11))
    assert [document["event"] for document in told(on_call)[1:]] == ["opened", "closed"]


def test_a_message_that_is_refused_is_in_no_others_way(on_call, clock):
    """Like a text that the bot's filter does not like."""

    def picky(connection):
        answers(400 if "bad-one" in on_call.requests[-1].body.decode() else 200)(connection)

    on_call.bot.behaviour = picky
    trouble("bad-one")
    trouble("good-one")
    for _ in range(3):
        deliver_due(clock=clock.later(seconds=11))
    assert statuses() == [("opened", "owed"), ("opened", "delivered")]


def test_after_a_day_it_is_given_up_and_the_console_knows(on_call, clock):
    on_call.bot.behaviour = answers(500)
    trouble()
    deliver_due(clock=clock.later(hours=23))
    assert statuses() == [("opened", "owed")]
    deliver_due(clock=clock.later(hours=2))
    assert statuses() == [("opened", "held")]
    assert webhook_state().held_count == 1


def test_the_waits_grow_to_five_minutes(on_call, clock):
    on_call.bot.behaviour = answers(500)
    trouble()
    waits = []
    for _ in range(8):
        deliver_due(clock=clock)
        due_at = AlarmMessage.objects.get().next_attempt_at
        waits.append((due_at - clock.at).total_seconds())
        clock.at = due_at
    assert waits == [10, 10, 30, 60, 120, 300, 300, 300]


# --- a storm ------------------------------------------------------------------------------------------------------


def test_many_at_once_are_one_summary(on_call, clock, settings):
    settings.ALARM_MESSAGES_PER_MINUTE = 3
    for number in range(5):
        trouble(f"channel-{number}")
    assert deliver_due(clock=clock) == 5
    summary = told(on_call)[0]
    assert len(on_call.requests) == 1
    assert (summary["event"], summary["count"], len(summary["alarms"])) == ("summary", 5, 5)
    assert {alarm["key"] for alarm in summary["alarms"]} == {f"channel-{number}" for number in range(5)}


def test_in_one_minute_there_are_no_more_than_its_share_and_one_summary(on_call, clock, settings):
    settings.ALARM_MESSAGES_PER_MINUTE = 3
    for number in range(30):
        trouble(f"channel-{number}")
        deliver_due(clock=clock.later(seconds=1))
    assert [document["event"] for document in told(on_call)] == ["opened"] * 3 + ["opened"]
    deliver_due(clock=clock.later(seconds=40))
    assert told(on_call)[-1]["event"] == "summary"
    assert len(on_call.requests) == 5
    assert {status for _event, status in statuses()} == {"delivered"}


def test_a_summary_that_is_not_taken_is_told_again(on_call, clock, settings):
    settings.ALARM_MESSAGES_PER_MINUTE = 1
    on_call.bot.behaviour = answers(500)
    trouble("one")
    trouble("two")
    deliver_due(clock=clock)
    on_call.bot.behaviour = answers(200)
    assert deliver_due(clock=clock.later(seconds=61)) == 2


# --- once, and again after a death --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_at_once_one_tells_it(on_call, clock):
    trouble()

    def send(_number):
        try:
            return deliver_due(clock=clock)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, range(4))) == 1
    assert len(on_call.requests) == 1


def test_a_message_in_the_hands_of_a_dead_process_is_told_again_when_its_lease_is_over(on_call, clock):
    trouble()
    AlarmMessage.claim([AlarmMessage.objects.get().pk], now=NOW, is_summed_up=False)
    assert deliver_due(clock=clock.later(seconds=29)) == 0
    assert deliver_due(clock=clock.later(seconds=2)) == 1
    assert AlarmMessage.objects.get().attempts_count == 2


def test_a_process_that_died_with_a_clock_that_was_a_day_ahead_keeps_no_message_to_itself(on_call, clock):
    trouble()
    AlarmMessage.claim([AlarmMessage.objects.get().pk], now=NOW + timedelta(days=1), is_summed_up=False)
    assert deliver_due(clock=clock) == 1


def test_what_somebody_finds_out_after_its_lease_is_over_does_not_count(on_call, clock):
    trouble()
    old = AlarmMessage.claim([AlarmMessage.objects.get().pk], now=NOW, is_summed_up=False)
    new = AlarmMessage.claim([AlarmMessage.objects.get().pk], now=NOW + timedelta(minutes=1), is_summed_up=False)
    assert AlarmMessage.lock_claimed(old) == []
    assert AlarmMessage.lock_claimed(new) == new


# --- acknowledged, and told again ---------------------------------------------------------------------------------


def test_what_nobody_acknowledges_is_told_again_every_hour(on_call, clock):
    trouble()
    deliver_due(clock=clock)
    assert remind(now=clock.later(minutes=59)()) == 0
    assert remind(now=clock.later(minutes=2)()) == 1
    assert remind(now=clock()) == 0
    deliver_due(clock=clock)
    assert [document["event"] for document in told(on_call)] == ["opened", "reminder"]


def test_what_somebody_looks_at_stays_open_and_rings_no_more_but_its_end_is_told(on_call, clock):
    trouble()
    assert alarms.acknowledge(alarm_id=Alarm.objects.get().pk, by="olga", note="the channel knows", now=clock())
    assert deliver_due(clock=clock) == 0, "somebody was faster than the message"
    assert remind(now=clock.later(hours=5)()) == 0
    alarm = Alarm.objects.get()
    assert (alarm.closed_at, alarm.acknowledged_by, alarm.note) == (None, "olga", "the channel knows")
    over(now=clock())
    assert deliver_due(clock=clock) == 1
    assert statuses() == [("opened", "dropped"), ("closed", "delivered")]


def test_only_the_first_who_acknowledges_is_written_down(on_call):
    trouble()
    alarm_id = Alarm.objects.get().pk
    assert alarms.acknowledge(alarm_id=alarm_id, by="olga", note="x", now=NOW)
    assert not alarms.acknowledge(alarm_id=alarm_id, by="igor", note="y", now=NOW)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE openplatform_alarm SET acknowledged_by = 'igor'")
    over()
    assert not alarms.acknowledge(alarm_id=alarm_id, by="igor", note="y", now=NOW)


def test_what_was_told_is_kept(on_call):
    trouble()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM openplatform_alarmmessage")


# --- its address is a secret --------------------------------------------------------------------------------------


def test_the_address_is_in_no_log_no_row_and_no_state(on_call, clock, caplog, settings):
    on_call.bot.behaviour = answers(500)
    trouble()
    with caplog.at_level(logging.DEBUG):
        deliver_due(clock=clock)
        settings.ALARM_WEBHOOK_URL = f"http://127.0.0.1:9/hook?{TOKEN}"
        deliver_due(clock=clock.later(seconds=11))
        settings.ALARM_WEBHOOK_URL = f"http://127.0.0.1:9/a hook?{TOKEN}"
        deliver_due(clock=clock.later(seconds=11))
    rows = json.dumps(list(AlarmMessage.objects.values()), default=str)
    assert AlarmMessage.objects.get().attempts_count == 3
    assert len(caplog.records) >= 3
    for text in (caplog.text, rows, repr(webhook_state())):
        assert "a-token" not in text
        assert "/hook" not in text
