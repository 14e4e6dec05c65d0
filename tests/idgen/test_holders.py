"""Invariant I2 as a model: several processes with clocks of their own, one store, and every interleaving of trouble.

No deadline is believed here: a paused process wakes up with a monotonic clock that stood still, and goes on issuing
from its old window as long as it can. Only the windows keep the ids apart.
"""

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from idgen import IdgenUnavailable
from tests.idgen.fakes import Clock, LeaseView, MemoryLeases, make_generator

HOLDERS = 3
holders = st.integers(0, HOLDERS - 1)


class Processes(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.true = Clock()
        self.leases = MemoryLeases(clock=self.true, workers=2)
        self.clocks = [Clock(self.true) for _ in range(HOLDERS)]
        self.generators = [make_generator(clock, self.leases) for clock in self.clocks]
        self.made = []

    def attempt(self, call):
        try:
            return call()
        except IdgenUnavailable:
            self.true.advance(1)
            return []

    @rule(holder=holders, count=st.one_of(st.integers(1, 20), st.integers(1_000, 6_000)))
    def take(self, holder, count):
        self.made += self.attempt(lambda: self.generators[holder].next_ids(count))

    @rule(ms=st.one_of(st.integers(1, 20), st.integers(1_000, 15_000)))
    def time_passes(self, ms):
        self.true.advance(ms)

    @rule(holder=holders)
    def renew(self, holder):
        self.generators[holder].renew()

    @rule(holder=holders, ms=st.sampled_from([-11_000, -2_500, -1_000, -3, 3, 1_000, 4_000, 11_000]))
    def clock_steps(self, holder, ms):
        self.clocks[holder].step(ms)

    @rule(holder=holders)
    def pause_blinds_the_deadline(self, holder):
        self.clocks[holder].frozen_monotonic_ms = self.true.true_ms

    @rule(holder=holders)
    def resume(self, holder):
        self.clocks[holder].frozen_monotonic_ms = None

    @rule(holder=holders)
    def crash(self, holder):
        self.generators[holder] = make_generator(self.clocks[holder], self.leases)

    @rule(holder=holders)
    @precondition(lambda self: not self.leases.is_down)
    def stop_politely(self, holder):
        self.generators[holder].close()

    @rule()
    def store_goes_down_or_comes_back(self):
        self.leases.is_down = not self.leases.is_down

    @invariant()
    def no_number_was_given_twice(self):
        assert len(set(self.made)) == len(self.made)


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def frozen_holder_and_its_successor(leases, true):
    """A holder is stopped for 20 s with its deadline blinded; another takes its worker id; then both issue."""
    clocks = [Clock(true), Clock(true)]
    sleeper, successor = (make_generator(clock, leases) for clock in clocks)
    made = sleeper.next_ids(100)
    clocks[0].frozen_monotonic_ms = true.true_ms
    true.advance(20_000)
    for _ in range(2_000):
        for generator in (successor, sleeper):
            with suppress(IdgenUnavailable):
                made.append(generator.next_id())
        true.advance(1)
    return made


def test_a_sleeper_with_a_blinded_deadline_makes_ids_and_no_duplicate():
    true = Clock()
    made = frozen_holder_and_its_successor(MemoryLeases(clock=true, workers=1), true)
    assert len(made) > 3_000
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("hole", ["the floor is ignored", "the window has no end"])
def test_without_either_end_of_the_window_the_same_story_makes_duplicates(monkeypatch, hole):
    original = LeaseView._grant

    def leaky(self, number, row, *, floor_ms):
        grant = original(self, number, row, floor_ms=floor_ms)
        object.__setattr__(grant, "reserved_until_ms", grant.reserved_until_ms + 10**9)
        if hole == "the floor is ignored":
            object.__setattr__(grant, "floor_ms", 0)
        return grant

    monkeypatch.setattr(LeaseView, "_grant", leaky)
    true = Clock()
    made = frozen_holder_and_its_successor(MemoryLeases(clock=true, workers=1), true)
    assert len(set(made)) < len(made)
