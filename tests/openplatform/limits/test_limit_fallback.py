"""Limits while the store is away: this process's share of each, an alarm, and no waiting."""

import logging
import time

import pytest

from openplatform import store as stores
from openplatform.limits import decide, fallback
from openplatform.limits.fallback import _Windows
from tests.openplatform.limits.asking import a_tally

WHY = stores.StoreDown("gone")


@pytest.fixture
def windows():
    return _Windows()


def passed(windows, tallies, *, now_s, tries=100):
    return sum(not windows.count(tallies, take=True, now_s=now_s, why=WHY).is_denied for _ in range(tries))


def test_a_process_lets_its_share_through_in_each_period(windows, settings):
    settings.LIMIT_PROCESSES = 4
    tally = a_tally("token", limit=40, period_s=60, size=80)
    assert passed(windows, [tally], now_s=60_000.0) == 10
    assert passed(windows, [tally], now_s=60_059.0) == 0
    assert passed(windows, [tally], now_s=60_060.0) == 10


def test_a_share_is_at_least_one(windows, settings):
    settings.LIMIT_PROCESSES = 100
    assert passed(windows, [a_tally(limit=3)], now_s=0.0) == 1


def test_a_refusal_takes_nothing_from_the_other_rules_and_a_look_takes_nothing_at_all(windows, settings):
    settings.LIMIT_PROCESSES = 1
    small, large = a_tally(limit=2), a_tally(limit=5)
    assert passed(windows, [small, large], now_s=0.0) == 2
    verdict = windows.count([small, large], take=False, now_s=0.0, why=WHY)
    assert [(standing.fits, standing.remaining) for standing in verdict.standings] == [(False, 0), (True, 3)]
    assert (verdict.is_denied, verdict.retry_after_s) == (True, 60)
    assert passed(windows, [large], now_s=0.0) == 3


def test_what_it_remembers_is_bounded(windows, monkeypatch):
    monkeypatch.setattr(fallback, "COUNTS_MAX", 10)
    for _ in range(50):
        passed(windows, [a_tally()], now_s=0.0, tries=1)
    assert len(windows._counts) == 10


def test_it_raises_an_alarm_once_a_minute_and_counts_every_decision(windows, caplog):
    before = fallback.health["decisions_without_store"]
    with caplog.at_level(logging.ERROR, logger="openplatform.limits.fallback"):
        for now_s in (0.0, 1.0, 59.9, 60.0, 61.0):
            passed(windows, [a_tally()], now_s=now_s, tries=3)
    assert len(caplog.records) == 2
    assert "gone" in caplog.text
    assert fallback.health["decisions_without_store"] == before + 15


def test_a_store_that_is_gone_costs_next_to_nothing_and_the_process_counts_on(settings):
    settings.REDIS_URL, settings.LIMIT_PROCESSES = "unix:///nowhere/valkey.sock", 1
    tally, started = a_tally(limit=10, period_s=86_400), time.monotonic()
    assert sum(not decide([tally]).is_denied for _ in range(50)) == 10
    assert time.monotonic() - started < 0.5


def test_nothing_to_ask_is_not_asked(settings):
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    assert not decide([]).is_denied
    assert not stores.circuit._closed_again_at, "nobody knocked"
