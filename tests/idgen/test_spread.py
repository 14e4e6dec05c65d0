"""Low load: `id % shards` has to be even, or most shards of a table stay empty."""

import math
from collections import Counter

import pytest

from idgen.layout import IDS_PER_MS, parse
from tests.idgen.fakes import Clock, MemoryLeases, make_generator, rate

SHARDS = range(2, 257)
CHANCE_MIN = 1e-6 / len(SHARDS)
"""For any one number of shards; so a fair generator fails one of the 255 tests less than once in a million runs."""


@pytest.fixture(scope="module")
def slow_ids():
    clock = Clock()
    generator = make_generator(clock, MemoryLeases(clock=clock))
    made = []
    for _ in range(10):
        made += rate(clock, generator.next_id, ids=1_000, every_ms=2)
        generator.renew()
    return made


def chance(ids, shards):
    """How likely a fair generator fills the shards at least so unevenly: the chi-square test's exact p-value.

    The upper regularized gamma function Q(freedom / 2, chi_square / 2), by Q(a + 1, x) = Q(a, x) + x^a e^-x / a!.
    """
    counts = Counter(number % shards for number in ids)
    expected = len(ids) / shards
    x = sum((counts[shard] - expected) ** 2 / expected for shard in range(shards)) / 2
    a, target = (0.5, (shards - 1) / 2) if shards % 2 == 0 else (1.0, (shards - 1) / 2)
    probability = math.erfc(math.sqrt(x)) if a == 0.5 else math.exp(-x)
    while a < target:
        probability += math.exp(a * math.log(x) - x - math.lgamma(a + 1)) if x else 0.0
        a += 1
    return probability


def test_the_chance_is_that_of_the_tables():
    """Chi-square 3.841 at one degree of freedom, 18.307 at ten and 124.342 at a hundred are the 5 % points."""
    for shards, chi_square in ((2, 3.841), (11, 18.307), (101, 124.342)):
        per_shard = 1_000
        off = math.sqrt(chi_square * per_shard / 2)  # one shard has as many too many as another has too few
        counts = [per_shard + off, per_shard - off, *[per_shard] * (shards - 2)]
        ids = [shard for shard, count in enumerate(counts) for _ in range(round(count))]
        assert abs(chance(ids, shards) - 0.05) < 0.005


def test_ten_thousand_ids_two_milliseconds_apart_fill_the_shards_evenly_for_every_number_of_them(slow_ids):
    assert len(slow_ids) == 10_000
    assert {shards: p for shards in SHARDS if (p := chance(slow_ids, shards)) < CHANCE_MIN} == {}


def test_a_sequence_that_starts_at_zero_leaves_shards_empty_for_every_even_number_of_them(slow_ids):
    """What most generators do at low load: all ids end in the same twelve bits."""
    naive = [number >> 12 << 12 for number in slow_ids]
    assert [shards for shards in SHARDS if chance(naive, shards) < CHANCE_MIN] == [*SHARDS[::2]]


def test_the_scatter_never_touches_a_second_lane(slow_ids):
    assert {parse(number).lane for number in slow_ids} == {0}


def test_full_load_begins_each_millisecond_at_zero_and_loses_nothing():
    clock = Clock()
    generator = make_generator(clock, MemoryLeases(clock=clock))
    generator.next_ids(10_000)
    clock.advance(3)
    made = generator.next_ids(10_000)
    per_ms = Counter(parse(number).at for number in made)
    assert list(per_ms.values())[1:-1] == [IDS_PER_MS] * (len(per_ms) - 2)
    assert len(set(made)) == 10_000
