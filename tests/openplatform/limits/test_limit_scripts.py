"""Each algorithm against its reference: the same arrivals, the same admissions, and never more than it promises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openplatform.limits import counting
from openplatform.store import store
from tests.openplatform.limits.asking import a_tally, ask
from tests.openplatform.limits.reference import REFERENCES, UsualCells, worst_in_any

SECOND = 1_000_000
BEGIN_US = 1_800_000_000 * SECOND + 123_457


@st.composite
def rules(draw, algorithm):
    limit, period_s = draw(st.integers(1, 12)), draw(st.sampled_from([60, 61, 300]))
    size = {"fixed": st.just(0), "cells": st.integers(2, 13)}.get(algorithm, st.integers(1, 15))
    return {"algorithm": algorithm, "limit": limit, "period_s": period_s, "size": draw(size)}


@st.composite
def arrivals(draw, period_s, parts):
    """Times that rise, and like to stand on the edges of periods, of cells and of single tokens."""
    period = period_s * SECOND
    edges = [
        0,
        0,
        0,
        1,
        1_000,
        period // parts,
        period // parts - 1,
        period // parts + 1,
        period - 1,
        period,
        period + 1,
    ]
    steps = draw(st.lists(st.sampled_from(edges) | st.integers(0, period), max_size=60))
    now, times = BEGIN_US + draw(st.integers(0, period)), []
    for step in steps:
        now += step
        times.append(now)
    return times


def reference_of(rule):
    return REFERENCES[rule["algorithm"]](rule["limit"], rule["period_s"] * SECOND, rule["size"])


@pytest.mark.parametrize("algorithm", REFERENCES)
def test_it_admits_whom_its_reference_admits_and_tells_how_many_are_left_and_when_there_is_one_more(algorithm):
    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def run(data):
        rule = data.draw(rules(algorithm))
        times = data.draw(arrivals(rule["period_s"], rule["size"] or rule["limit"]))
        tally, reference, taken = a_tally(**rule), reference_of(rule), []
        for now_us in times:
            fits = reference.fits(now_us)
            if fits:
                reference.take(now_us)
                taken.append(now_us)
            (told,) = ask([tally], now_us=now_us)
            assert (told.fits, told.left) == (fits, max(0, reference.left(now_us)))
            if not fits:
                assert reference.fits(now_us + told.retry_us), "the time that it tells is late enough"
                assert not reference.fits(now_us + told.retry_us - 2), "and not later than it need be"
            assert reference.left(now_us + told.reset_us) == (
                rule["size"] if algorithm in ("token", "leaky") else rule["limit"]
            )
        assert worst_in_any(rule["period_s"] * SECOND, taken) <= promised(rule)

    run()


def promised(rule):
    return {
        "fixed": 2 * rule["limit"], "cells": rule["limit"], "token": rule["limit"] + rule["size"],
        "leaky": rule["limit"] + rule["size"],
    }[rule["algorithm"]]  # fmt: skip


def edge_traffic(period_us, n):
    """A full load at the end of a cell, and another as soon as n cells counted from there are over."""
    width = -(-period_us // n)
    first = (BEGIN_US // width + 1) * width - 1
    return [first + step * width + offset for step in range(2 * n) for offset in (0, 1) for _ in range(20)]


def test_the_usual_formula_lets_twice_the_limit_through_in_a_period_and_ours_never_more_than_the_limit():
    limit, period, n = 20, 60 * SECOND, 6
    times = edge_traffic(period, n)
    usual, taken = UsualCells(limit, period, n), []
    for now_us in times:
        if usual.fits(now_us):
            usual.take(now_us)
            taken.append(now_us)
    assert worst_in_any(period, taken) == 2 * limit, "the traffic is hard enough to tell the two apart"
    tally = a_tally("cells", limit=limit, period_s=60, size=n)
    taken = [now_us for now_us in times if ask([tally], now_us=now_us)[0].fits]
    assert worst_in_any(period, taken) == limit


def test_a_fixed_window_lets_twice_the_limit_through_around_its_edge_and_not_more():
    tally, edge = a_tally("fixed", limit=20), (BEGIN_US // (60 * SECOND) + 1) * 60 * SECOND
    times = [edge - 1] * 30 + [edge] * 30
    assert sum(ask([tally], now_us=now_us)[0].fits for now_us in times) == 40


def test_a_bucket_refills_by_the_microsecond_and_forgets_no_part_of_a_token():
    """50 a minute, asked twice a second for 24 s: 20 have come, and 5 were there. Whole seconds would give 15."""
    for algorithm in ("token", "leaky"):
        tally = a_tally(algorithm, limit=50, size=5)
        fits = [ask([tally], now_us=BEGIN_US + step * SECOND // 2)[0].fits for step in range(48)]
        assert sum(fits) == 24


@pytest.mark.parametrize("rule", [("fixed", 0), ("cells", 6), ("token", 5), ("leaky", 5)])
def test_every_key_has_a_lifetime_after_an_admission_and_after_a_refusal(rule):
    algorithm, size = rule
    tally = a_tally(algorithm, limit=5, period_s=60, size=size)
    for _ in range(7):
        verdict = counting.count([tally])
        with store() as client:
            ttl_ms = client.pttl(tally.key)
        assert 0 < ttl_ms <= 71_000
        assert verdict.standings[0].reset_s <= 70
        assert ttl_ms + 1_000 >= verdict.standings[0].reset_s * 1_000 - 1_000, "no key is gone before its count is"
    assert verdict.is_denied


@pytest.mark.parametrize("rule", [("fixed", 0), ("cells", 6), ("token", 5), ("leaky", 5)])
def test_a_clock_that_was_set_back_a_little_gives_nothing_away_and_one_set_back_far_locks_nobody_out(rule):
    algorithm, size = rule
    tally = a_tally(algorithm, limit=5, period_s=60, size=size)
    now_us = (BEGIN_US // (60 * SECOND) + 1) * 60 * SECOND + 5
    assert sum(ask([tally], now_us=now_us)[0].fits for _ in range(9)) == 5
    assert not ask([tally], now_us=now_us - 10)[0].fits, "in the window before"
    assert ask([tally], now_us=now_us - 86_400 * SECOND)[0].fits


def test_looking_changes_nothing():
    tallies = [a_tally("fixed", limit=1), a_tally("cells", limit=1, size=3), a_tally("token", limit=1, size=1)]
    for _ in range(5):
        assert all(told.fits for told in ask(tallies, now_us=BEGIN_US, take=False))
    assert all(told.fits for told in ask(tallies, now_us=BEGIN_US))
    assert not any(told.fits for told in ask(tallies, now_us=BEGIN_US, take=False))


@pytest.mark.parametrize("full", range(4))
def test_who_is_refused_by_one_rule_takes_nothing_from_the_others(full):
    tallies = [
        a_tally("fixed", limit=5), a_tally("cells", limit=5, size=6), a_tally("token", limit=5, size=5),
        a_tally("leaky", limit=5, size=5),
    ]  # fmt: skip
    for _ in range(5):
        ask([tallies[full]], now_us=BEGIN_US)
    for _ in range(10):
        told = ask(tallies, now_us=BEGIN_US)
        assert [one.fits for one in told] == [position != full for position in range(4)]
    assert [one.left for one in told] == [0 if position == full else 5 for position in range(4)]


def test_a_rule_that_was_changed_begins_anew_and_so_does_another_rule():
    from dataclasses import replace

    tally = a_tally("fixed", limit=1)
    assert ask([tally], now_us=BEGIN_US)[0].fits
    assert not ask([tally], now_us=BEGIN_US)[0].fits
    changed = replace(tally, rule=replace(tally.rule, version=2))
    assert ask([changed], now_us=BEGIN_US)[0].fits
    assert ask([a_tally("fixed", limit=1)], now_us=BEGIN_US)[0].fits
    assert str(tally.rule.id) in tally.key.split(":")


# --- the nonce, in the same step --------------------------------------------------------------------------------------


def test_who_is_over_a_limit_does_not_use_up_his_nonce_and_a_replay_takes_nothing_from_a_limit():
    tally, nonces = a_tally("token", limit=1, size=2, period_s=3600), ["n:S:first", "n:S:second", "n:S:third"]
    first, second, third = (f"{nonce}{tally.rule.id}" for nonce in nonces)

    def count(nonce):
        return counting.count([tally], nonce_key=nonce, nonce_lifetime_s=660)

    assert (count(first).is_replay, count(first).is_replay) == (False, True)
    for _ in range(5):
        assert count(first).standings[0].remaining == 1, "a replay is told and costs the owner nothing"
    assert not count(second).is_denied
    refused = count(third)
    assert (refused.is_denied, refused.is_replay) == (True, False)
    with store() as client:
        assert client.exists(first, second, third) == 2
        assert 0 < client.ttl(first) <= 660
