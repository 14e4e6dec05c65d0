"""No sequence of clock steps, renewals, losses and restarts makes a duplicate; the rules people write first do."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from idgen import IdgenUnavailable
from idgen.lanes import Lanes
from idgen.layout import BLOCK_SIZE, block_base
from tests.idgen.fakes import Clock, MemoryLeases, make_generator
from tests.idgen.naive import LeafReport, NaiveBase


class Duplicate(AssertionError):
    pass


class Ours:
    """Our generator, restarted as a process is: with or without giving the id back."""

    def __init__(self, clock, *, workers=2):
        self.clock = clock
        self.leases = MemoryLeases(clock=clock, workers=workers)
        self.generator = make_generator(clock, self.leases)

    def take(self, count):
        return [self.generator.next_id()] if count == 1 else self.generator.next_ids(count)

    def renew(self):
        self.generator.renew()

    def lose(self):
        for row in self.leases.rows_by_id.values():
            row |= {"holder": "somebody else", "fence": row["fence"] + 1, "until_ms": 0.0}

    def restart(self):
        self.generator = make_generator(self.clock, self.leases)

    def close(self):
        self.generator.close()


class Naive:
    """A rule of tests/idgen/naive.py behind the same words."""

    rule: type

    def __init__(self, clock):
        self.generator = self.rule(clock)

    def take(self, count):
        return [self.generator.next_id() for _ in range(min(count, 200))]

    def renew(self):
        """It has no lease."""

    lose = close = renew

    def restart(self):
        if hasattr(self.generator, "restart"):
            self.generator.restart()


class BriefsRule(Naive):
    rule = NaiveBase


class LeafsRule(Naive):
    rule = LeafReport


steps_ms = st.one_of(st.integers(-6, 6), st.integers(-2_100, 2_100), st.sampled_from([-3_600_000, -10_000, 10_000]))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.one_of(st.just(1), st.integers(1, 50), st.integers(500, 10_000))),
        st.tuples(st.just("flow"), st.integers(5, 400)),
        st.tuples(st.just("pass"), st.one_of(st.floats(0.1, 5), st.integers(1, 4_000))),
        st.tuples(st.just("step"), steps_ms),
        st.tuples(st.sampled_from(["renew", "renew", "lose", "restart", "close"]), st.none()),
    ),
    min_size=8,
    max_size=40,
)


def run(subject, clock, steps):
    """Carry the steps out and complain about the first duplicate. Refusals are always allowed."""
    seen = set()

    def keep(made):
        new = set(made)
        if len(new) < len(made) or not seen.isdisjoint(new):
            raise Duplicate
        seen.update(new)

    for name, value in steps:
        try:
            if name == "take":
                keep(subject.take(value))
            elif name == "flow":  # one id a millisecond
                for _ in range(value):
                    keep(subject.take(1))
                    clock.advance(1)
            elif name == "pass":
                clock.advance(value)
            elif name == "step":
                clock.step(value)
            else:
                getattr(subject, name)()
        except (IdgenUnavailable, RuntimeError):
            clock.advance(1)
    return seen


def must_fail(make):
    @settings(
        max_examples=3_000,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(operations)
    def prop(steps):
        clock = Clock()
        run(make(clock), clock, steps)

    with pytest.raises(Duplicate):
        prop()


@settings(max_examples=400, deadline=None)
@given(operations)
def test_no_walk_of_clock_lease_and_load_makes_a_duplicate(steps):
    clock = Clock()
    run(Ours(clock), clock, steps)


@settings(max_examples=100, deadline=None)
@given(operations)
def test_no_walk_makes_a_duplicate_in_the_form_without_a_gil(steps):
    clock = Clock()
    ours = Ours(clock)
    ours.generator = make_generator(clock, ours.leases, use_lock=True)
    run(ours, clock, steps)


@pytest.mark.parametrize("rule", [BriefsRule, LeafsRule])
def test_the_same_walks_find_the_hole_in_the_rules_that_people_write_first(rule):
    must_fail(rule)


def test_the_briefs_rule_makes_300_duplicates_of_1200_in_two_steps_over_one_stretch():
    clock = Clock()
    rule, made = NaiveBase(clock), []
    for _ in range(3):
        for _ in range(400):
            made.append(rule.next_id())
            clock.advance(1)
        clock.step(-300)
    assert len(made) - len(set(made)) == 300


def test_leafs_rule_makes_a_thousand_duplicates_after_a_restart_and_a_step_of_one_second():
    clock = Clock()
    rule, made = LeafReport(clock), []
    for _ in range(2_000):
        made.append(rule.next_id())
        clock.advance(1)
    clock.step(-1_000)
    rule.restart()
    for _ in range(2_000):
        made.append(rule.next_id())
        clock.advance(1)
    assert len(made) - len(set(made)) == 1_000


# --- mutations of the block rule: each must be noticed ---------------------------------------------------------------
def claim_without_moving_the_mark(self, *, at_ms, lane):
    base = block_base(at_ms=at_ms, worker_id=self.worker_id, lane=lane)
    return range(base, base + BLOCK_SIZE)


def claim_one_too_many(self, *, at_ms, lane):
    block = original_claim(self, at_ms=at_ms, lane=lane)
    return range(block.start, block.stop + 256)


def earliest_at_the_mark_itself(self, from_ms):
    for lane, mark in enumerate(self.marks):
        if mark <= from_ms:
            return from_ms, lane
    return original_earliest(self, from_ms)


def start_below_the_floor(self, *, worker_id, floor_ms):
    original_init(self, worker_id=worker_id, floor_ms=0)


original_claim, original_earliest, original_init = Lanes.claim, Lanes.earliest, Lanes.__init__


@pytest.mark.parametrize("mutant", [claim_without_moving_the_mark, claim_one_too_many])
def test_a_mutation_of_the_block_rule_is_noticed(monkeypatch, mutant):
    monkeypatch.setattr(Lanes, "claim", mutant)
    must_fail(Ours)


def restart_after_a_step_back():
    clock = Clock()
    ours = Ours(clock, workers=1)
    made = ours.take(5_000)
    ours.close()
    clock.step(-1)
    ours.restart()
    return made + ours.take(5_000)


def test_a_restart_that_ignores_the_floor_is_noticed(monkeypatch):
    assert len(set(restart_after_a_step_back())) == 10_000
    monkeypatch.setattr(Lanes, "__init__", start_below_the_floor)
    assert len(set(restart_after_a_step_back())) < 10_000


def test_looking_at_the_mark_itself_is_caught_by_the_claim(monkeypatch):
    monkeypatch.setattr(Lanes, "earliest", earliest_at_the_mark_itself)
    generator = make_generator(clock := Clock(), MemoryLeases(clock=clock))
    with pytest.raises(AssertionError, match="already served"):
        generator.next_ids(BLOCK_SIZE + 1)
