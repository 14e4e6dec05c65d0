"""From figures to alarms: limits, patience, causes and consequences; and of many who look one judges."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection

from idgen.leases.base import LeaseRow
from idgen.status import Overview
from openplatform.breaker import OpenBreaker
from openplatform.broker import BrokerLook, QueueLook
from openplatform.heartbeats import Signs, Sweep, Worker, take_watch
from openplatform.models import Alarm, AlarmMessage, AlarmStreak, Heartbeat
from openplatform.models.alarm import AlarmKind
from payments.health import Aged, ChannelFigures, Due, Figures, NotificationFigures
from payments.operations.watch import look, readings
from tests.factories import NOW

QUEUES = ("default", "notifications", "bills", "channel.wechatpay")
SWEEP = Sweep(name="payments.sweep_payments", queue="default", every_s=2, age_s=1)


def a_channel(**changes):
    nothing = {
        "payments": Due(),
        "refunds": Due(),
        "rechecks": Due(),
        "unknown_payments": Aged(),
        "unknown_refunds": Aged(),
    }
    return ChannelFigures(name="wechatpay", is_used=True, **(nothing | changes))


def a_worker(**changes):
    values = {"name": "w@host/1", "host": "host", "queues": QUEUES, "slots": 2, "silent_s": 1, "skew_s": 0}
    return Worker(**(values | changes))


def signs(*, workers=None, sweeps=(SWEEP,)):
    workers = [a_worker()] if workers is None else workers
    return Signs(workers=workers, sweeps=list(sweeps), watch_age_s=1, watched_by="host/1")


def numbers(*rows, free=1_024):
    empty = {"holder": "", "info": "", "fence": 1, "lease_until": None, "reserved_until_ms": 0, "is_held": False}
    return Overview(now_ms=10**12, rows=[*(LeaseRow(worker_id=n, **empty) for n in range(free)), *rows])


def a_lease(**changes):
    values = {
        "worker_id": 7, "holder": "x", "info": "web:3 gunicorn", "fence": 1, "lease_until": None,
        "reserved_until_ms": 10**12, "is_held": True,
    }  # fmt: skip
    return LeaseRow(**(values | changes))


WELL = Figures(
    at=NOW, channels=[a_channel()], notifications=NotificationFigures(due=Due(), paused_count=0, held_count=0),
    signs=signs(), broker=BrokerLook(queues={name: QueueLook(length=0) for name in QUEUES}), breakers=[],
    numbers=numbers(),
)  # fmt: skip


def in_trouble(figures):
    return {(reading.kind, reading.key) for reading in readings(figures) if reading.is_bad}


def test_when_all_is_well_no_figure_is_beyond_its_limit():
    assert in_trouble(WELL) == set()


@pytest.mark.parametrize(
    ("part", "value", "expected"),
    [
        ("channels", [a_channel(payments=Due(count=500, late_s=0))], (AlarmKind.CHANNEL_BACKLOG, "wechatpay")),
        ("channels", [a_channel(payments=Due(count=1, late_s=120))], (AlarmKind.CHANNEL_BACKLOG, "wechatpay")),
        ("channels", [a_channel(refunds=Due(count=1, late_s=120))], (AlarmKind.CHANNEL_BACKLOG, "wechatpay")),
        ("channels", [a_channel(unknown_payments=Aged(oldest_s=1_800))], (AlarmKind.UNKNOWN_TOO_LONG, "wechatpay")),
        ("channels", [a_channel(unknown_refunds=Aged(oldest_s=1_800))], (AlarmKind.UNKNOWN_TOO_LONG, "wechatpay")),
        ("notifications", NotificationFigures(due=Due(count=500), paused_count=0, held_count=0),
         (AlarmKind.NOTIFICATION_BACKLOG, "notifications")),
        ("notifications", NotificationFigures(due=Due(), paused_count=9_000, held_count=1),
         (AlarmKind.NOTIFICATIONS_HELD, "notifications")),
        ("signs", signs(workers=[a_worker(), a_worker(host="far", skew_s=-5)]), (AlarmKind.CLOCK_SKEW, "far")),
        ("signs", signs(sweeps=[replace(SWEEP, age_s=62)]), (AlarmKind.BEAT_SILENT, "beat")),
        ("signs", signs(sweeps=[replace(SWEEP, age_s=None)]), (AlarmKind.BEAT_SILENT, "beat")),
        ("breakers", [OpenBreaker(name="w.x", open_for_s=120, trial_in_s=3)], (AlarmKind.BREAKER_OPEN, "w.x")),
        ("breakers", None, (AlarmKind.STORE_UNREACHABLE, "Redis")),
        ("numbers", numbers(free=3), (AlarmKind.IDGEN_FEW_FREE, "idgen")),
        ("numbers", numbers(a_lease(is_held=False, reserved_until_ms=2 * 10**12)), (AlarmKind.IDGEN_SPOILED, "idgen")),
        ("numbers", numbers(a_lease(stats={"rung": "refuse"})), (AlarmKind.IDGEN_REFUSES, "web:3 gunicorn")),
        ("numbers", numbers(a_lease(stats={"clock_skew_ms": 6_000})), (AlarmKind.CLOCK_SKEW, "web")),
    ],
)  # fmt: skip
def test_each_figure_has_its_limit(part, value, expected):
    assert in_trouble(replace(WELL, **{part: value})) == {expected}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("channels", [a_channel(payments=Due(count=499, late_s=119), unknown_payments=Aged(oldest_s=1_799))]),
        ("signs", signs(sweeps=[replace(SWEEP, age_s=61)])),
        (
            "signs",
            signs(sweeps=[SWEEP, Sweep(name="config.delete_old_spans", queue="default", every_s=600, age_s=5_000)]),
        ),
        ("breakers", [OpenBreaker(name="wechatpay.x", open_for_s=119, trial_in_s=3)]),
        ("numbers", numbers(a_lease(stats={"rung": "normal", "rungs": {"refuse": 9}}))),
    ],
)
def test_what_is_below_its_limit_is_no_trouble(part, value):
    assert in_trouble(replace(WELL, **{part: value})) == set()


# --- one alarm for one cause ------------------------------------------------------------------------------------


def test_a_queue_without_a_worker_is_the_cause_of_its_backlog():
    figures = replace(WELL, channels=[a_channel(payments=Due(count=900, late_s=900))])
    dead = replace(figures, signs=signs(workers=[a_worker(silent_s=31), a_worker(queues=QUEUES[:3])]))
    assert in_trouble(dead) == {(AlarmKind.NO_WORKER, "channel.wechatpay")}


def test_a_channel_that_is_not_in_use_needs_no_worker():
    figures = replace(WELL, channels=[replace(a_channel(), is_used=False)])
    assert in_trouble(replace(figures, signs=signs(workers=[a_worker(queues=QUEUES[:3])]))) == set()


def test_without_the_broker_nobody_asks_why_workers_and_sweeps_stand_still():
    late = signs(workers=[a_worker(silent_s=500)], sweeps=[replace(SWEEP, age_s=500)])
    figures = replace(WELL, broker=BrokerLook(error="ConnectionError"), signs=late)
    figures = replace(figures, channels=[a_channel(payments=Due(count=900, late_s=900))])
    assert in_trouble(figures) == {(AlarmKind.BROKER_UNREACHABLE, "broker, Redis")}


def test_one_server_that_is_broker_and_store_is_one_alarm(settings):
    figures = replace(WELL, broker=BrokerLook(error="TimeoutError"), breakers=None)
    assert in_trouble(figures) == {(AlarmKind.BROKER_UNREACHABLE, "broker, Redis")}
    settings.BROKER_IS_STORE = False
    assert in_trouble(figures) == {(AlarmKind.BROKER_UNREACHABLE, "broker"), (AlarmKind.STORE_UNREACHABLE, "Redis")}


def test_unknown_money_rings_whatever_the_cause_is():
    figures = replace(WELL, channels=[a_channel(unknown_payments=Aged(oldest_s=9_000))], signs=signs(workers=[]))
    assert (AlarmKind.UNKNOWN_TOO_LONG, "wechatpay") in in_trouble(figures)


# --- patience ----------------------------------------------------------------------------------------------------


def checks(*late_s):
    """One check after the other; each says how late the oldest payment is, None that nobody knows."""
    for number, late in enumerate(late_s):
        channels = None if late is None else [a_channel(payments=Due(count=1, late_s=late))]
        token = take_watch(older_than_s=0)
        look(replace(WELL, channels=channels), token=token, now=NOW + timedelta(seconds=10 * number))


def open_now():
    return list(Alarm.objects.filter(closed_at=None).values_list("kind", "key"))


@pytest.mark.django_db
class TestPatience:
    def test_it_opens_after_three_checks_in_a_row(self):
        checks(200, 200)
        assert open_now() == []
        checks(200)
        assert open_now() == [("channel_backlog", "wechatpay")]
        assert Alarm.objects.get().text == "1 payments and 0 refunds of wechatpay are due, the oldest is late by 3 min"

    def test_one_check_in_between_begins_the_count_anew(self):
        checks(200, 200, 100, 200, 200)
        assert open_now() == []

    def test_it_stays_one_alarm_while_the_trouble_lasts(self):
        checks(*[200] * 10)
        assert Alarm.objects.count() == 1

    def test_it_closes_when_the_figure_is_well_below_its_limit_for_three_checks(self):
        checks(200, 200, 200, 60, 60)
        assert len(open_now()) == 1
        checks(60)
        assert open_now() == []
        assert AlarmStreak.objects.count() == 0

    def test_around_its_limit_it_does_not_flap(self):
        checks(200, 200, 200, *[119, 121, 80, 119] * 5)
        assert Alarm.objects.count() == 1
        assert len(open_now()) == 1

    def test_what_nobody_knows_changes_nothing(self):
        checks(200, 200, None, 200)
        assert len(open_now()) == 1, "two before, one after"
        checks(*[None] * 5)
        assert len(open_now()) == 1

    def test_limits_and_patience_are_settings(self, settings):
        settings.ALARM_BACKLOG_LATE_S, settings.ALARM_OPEN_CHECKS, settings.ALARM_CLOSE_CHECKS = 10, 1, 1
        checks(10)
        assert len(open_now()) == 1
        checks(5)
        assert open_now() == []

    def test_a_trouble_whose_subject_is_gone_is_over(self):
        broken = replace(WELL, breakers=[OpenBreaker(name="wechatpay.x", open_for_s=500, trial_in_s=3)])
        for figures in [broken] * 3 + [WELL] * 3:
            look(figures, token=take_watch(older_than_s=0), now=NOW)
        alarm = Alarm.objects.get()
        assert (alarm.kind, alarm.closed_at is None) == ("breaker_open", False)

    def test_alarms_of_others_are_not_touched(self):
        Alarm.open(kind=AlarmKind.NOTIFICATIONS_PAUSED, key="1 a.example", text="x", now=NOW)
        checks(*[0] * 5)
        assert open_now() == [("notifications_paused", "1 a.example")]

    def test_without_a_webhook_nothing_is_owed_and_with_one_both_ends_are(self, settings):
        checks(200, 200, 200, 0, 0, 0)
        assert AlarmMessage.objects.count() == 0
        settings.ALARM_WEBHOOK_URL = "https://alarms.example.com/hook"
        checks(200, 200, 200, 0, 0, 0)
        assert list(AlarmMessage.objects.order_by("pk").values_list("event", flat=True)) == ["opened", "closed"]


# --- many who look ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_looks():
    def ask(_number):
        try:
            return take_watch(older_than_s=60)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(token is not None for token in pool.map(ask, range(8))) == 1
    assert Heartbeat.objects.count() == 1
    assert take_watch(older_than_s=60) is None
    assert take_watch(older_than_s=0) is not None


@pytest.mark.django_db
def test_whoever_was_slower_than_the_next_turn_does_not_judge(settings):
    settings.ALARM_OPEN_CHECKS = 1
    bad = replace(WELL, channels=[a_channel(payments=Due(count=900))])
    slow = take_watch(older_than_s=0)
    assert take_watch(older_than_s=0) != slow
    look(bad, token=slow, now=NOW)
    assert open_now() == []
    look(bad, token=take_watch(older_than_s=0), now=NOW)
    assert len(open_now()) == 1


@pytest.mark.django_db(transaction=True)
def test_two_judges_at_once_count_one_check(settings):
    """Both hold a token, as when one was taken from somebody who hung: only the newer one counts."""
    bad = replace(WELL, channels=[a_channel(payments=Due(count=900))])
    tokens = [take_watch(older_than_s=0) for _ in range(4)]

    def judge(token):
        try:
            look(bad, token=token, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(judge, tokens))
    assert AlarmStreak.objects.get().bad_count == 1
