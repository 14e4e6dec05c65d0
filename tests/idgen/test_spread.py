"""Low load: `id % shards` has to be even, or most shards of a table stay empty."""

from collections import Counter

import pytest

from idgen.layout import IDS_PER_MS, parse
from tests.idgen.fakes import Clock, MemoryLeases, make_generator, rate

SHARDS = [2, 3, 4, 5, 7, 8, 10, 16, 31, 32, 64, 100, 128, 200, 255, 256]


@pytest.fixture(scope="module")
def slow_ids():
    clock = Clock()
    generator = make_generator(clock, MemoryLeases(clock=clock))
    made = []
    for _ in range(10):
        made += rate(clock, generator.next_id, ids=1_000, every_ms=2)
        generator.renew()
    return made


def chi_square(ids, shards):
    counts = [0] * shards
    for number in ids:
        counts[number % shards] += 1
    expected = len(ids) / shards
    return sum((count - expected) ** 2 / expected for count in counts)


@pytest.mark.parametrize("shards", SHARDS)
def test_ten_thousand_ids_two_milliseconds_apart_fill_every_shard_evenly(slow_ids, shards):
    freedom = shards - 1
    # Mean and variance of chi-square are k and 2k; five sigma, so that a run in two million fails by chance.
    assert chi_square(slow_ids, shards) < freedom + 5 * (2 * freedom) ** 0.5 + 5


def test_a_sequence_that_starts_at_zero_would_fail_that_test(slow_ids):
    assert chi_square([number >> 12 << 12 for number in slow_ids], 8) > 10_000


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


def test_a_json_number_would_lose_the_id(slow_ids):
    assert any(int(float(number)) != number for number in slow_ids)
