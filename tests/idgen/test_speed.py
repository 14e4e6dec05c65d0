"""The fast path is worth its looks: a gate on a ratio measured in one run, since absolute rates are the machine's.

Everything here is processor time, so that neither other processes nor the waiting that the layout forces count.
"""

import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "idgen"))

from contenders import LockPerId, PrivateLeases

from idgen import Generator
from tests.idgen.readings import figure

IDS = 50_000


def cpu_ns_per_id(*makes, rounds=9):
    """For each generator, measured in turns: the best of some rounds."""
    best = [float("inf")] * len(makes)
    for _ in range(rounds):
        for number, make in enumerate(makes):
            best[number] = min(best[number], _round_ns(make()) / IDS)
    return best


def _round_ns(take):
    take()
    began = time.process_time_ns()
    for _ in itertools.repeat(None, IDS):
        take()
    return time.process_time_ns() - began


def ours():
    return Generator(open_store=PrivateLeases, renew_in_background=False).next_id


def plain():
    return LockPerId().next_id


def test_an_id_costs_less_than_a_third_of_one_with_a_lock_per_id():
    ours_ns, plain_ns = cpu_ns_per_id(ours, plain)
    figure(
        "processor time per id beside one with a lock per id",
        f"{ours_ns:.0f} ns and {plain_ns:.0f} ns, {plain_ns / ours_ns:.1f} times",
    )
    assert plain_ns >= 3 * ours_ns


def test_an_id_costs_less_than_the_layout_allows():
    """Below 244 ns (4,096 ids/ms) the layout is the limit and not the code."""
    [ours_ns] = cpu_ns_per_id(ours)
    assert ours_ns < 244
