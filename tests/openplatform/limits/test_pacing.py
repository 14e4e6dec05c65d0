"""The queue: an interval between any two, a bound on the wait, and no key that stays."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openplatform.limits import Pace, QueueFull, pacing, reserve
from openplatform.store import store

SECOND = 1_000_000
BEGIN_US = 1_800_000_000 * SECOND


@pytest.fixture
def name(request):
    return f"test:{request.node.name}"


def test_turns_are_an_interval_apart_and_the_first_is_now(name):
    pace = Pace(calls=5, period_s=1, wait_max_s=60)
    assert [reserve(name, pace, now_us=BEGIN_US) for _ in range(4)] == [0, 0.2, 0.4, 0.6]
    assert reserve(name, pace, now_us=BEGIN_US + SECOND) == 0, "an empty queue owes nobody a turn"


def test_a_queue_that_is_too_long_says_no_and_reserves_nothing(name):
    pace = Pace(calls=1, period_s=10, wait_max_s=20)
    assert [reserve(name, pace, now_us=BEGIN_US) for _ in range(3)] == [0, 10, 20]
    for _ in range(5):
        with pytest.raises(QueueFull):
            reserve(name, pace, now_us=BEGIN_US)
    assert reserve(name, pace, now_us=BEGIN_US + 10 * SECOND) == 20


def test_the_queue_is_gone_when_its_last_turn_is(name):
    pace = Pace(calls=1, period_s=30, wait_max_s=60)
    reserve(name, pace)
    reserve(name, pace)
    with store() as client:
        (key,) = client.keys(f"pace:{name}:*")
        assert 50_000 < client.pttl(key) <= 60_002


def test_another_pace_is_another_queue(name):
    reserve(name, Pace(calls=1, period_s=100, wait_max_s=200), now_us=BEGIN_US)
    assert reserve(name, Pace(calls=1, period_s=1, wait_max_s=200), now_us=BEGIN_US) == 0


@pytest.mark.parametrize("wrong", [{"calls": 0}, {"period_s": 0}, {"wait_max_s": -1}])
def test_a_pace_that_lets_nothing_through_cannot_be(wrong):
    with pytest.raises(ValueError, match="lets something through"):
        Pace(**{"calls": 1, "period_s": 1, "wait_max_s": 1} | wrong)


def test_in_any_time_no_more_turns_begin_than_the_pace_allows():
    @settings(max_examples=60, deadline=None)
    @given(calls=st.integers(1, 50), steps=st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=60))
    def run(calls, steps):
        pace, now_us, turns = Pace(calls=calls, period_s=60, wait_max_s=120), BEGIN_US, []
        with store() as client:
            client.delete(*client.keys("pace:any:*") or ["pace:none"])
        for step in steps:
            now_us += step
            try:
                turns.append(now_us + round(reserve("any", pace, now_us=now_us) * SECOND))
            except QueueFull:
                assert turns[-1] + pace.interval_us > now_us + 120 * SECOND
        assert all(later - earlier >= pace.interval_us for earlier, later in itertools.pairwise(turns))

    run()


def test_without_the_store_each_process_keeps_its_share_of_the_pace(name, settings, monkeypatch):
    settings.REDIS_URL, settings.LIMIT_PROCESSES = "unix:///nowhere/valkey.sock", 4
    monkeypatch.setattr(pacing.time, "monotonic", lambda: 1_000.0)
    pace = Pace(calls=1, period_s=1, wait_max_s=10)
    assert [reserve(name, pace) for _ in range(3)] == [0, 4, 8]
    with pytest.raises(QueueFull):
        reserve(name, pace)
