"""Low load: `id % shards` has to be even, or most shards of a table stay empty."""

import json
import random
import shutil
import subprocess
from collections import Counter

import pytest

from idgen.layout import IDS_PER_MS, parse
from tests.idgen.fakes import Clock, MemoryLeases, make_generator, rate


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


def limit(shards):
    """What an even generator exceeds once in 10^9: Wilson and Hilferty's cube root of chi-square over its freedom is
    nearly normal. With 255 shard counts in a run, a run in four million fails by chance.
    """
    freedom, sigmas = shards - 1, 6.0
    return freedom * (1 - 2 / (9 * freedom) + sigmas * (2 / (9 * freedom)) ** 0.5) ** 3


@pytest.mark.parametrize("shards", range(2, 257))
def test_ten_thousand_ids_two_milliseconds_apart_fill_every_shard_evenly(slow_ids, shards):
    assert chi_square(slow_ids, shards) < limit(shards)


@pytest.mark.parametrize("shards", [2, 8, 64, 256])
def test_a_sequence_that_starts_at_zero_would_fail_that_test(slow_ids, shards):
    assert chi_square([number >> 12 << 12 for number in slow_ids], shards) > limit(shards)


def test_an_even_generator_passes_and_a_slightly_uneven_one_does_not():
    fair = random.Random(1)
    even = [fair.getrandbits(40) for _ in range(10_000)]
    assert all(chi_square(even, shards) < limit(shards) for shards in range(2, 257))
    leaning = [number & ~1 if fair.random() < 0.1 else number for number in even]
    assert chi_square(leaning, 2) > limit(2)


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


def test_an_id_survives_a_double_only_as_a_string(slow_ids):
    assert any(int(float(number)) != number for number in slow_ids)
    assert [int(json.loads(json.dumps(str(number)))) for number in slow_ids] == slow_ids


def test_javascript_loses_a_number_and_keeps_a_string(slow_ids, require):
    node = shutil.which("node")
    require(node, "no Node.js is installed")
    program = "const t = require('fs').readFileSync(0, 'utf8'); process.stdout.write(JSON.stringify(JSON.parse(t)))"
    sent = {"strings": [str(number) for number in slow_ids], "numbers": slow_ids}
    back = subprocess.run([node, "-e", program], input=json.dumps(sent), capture_output=True, text=True, check=True)
    got = json.loads(back.stdout)
    assert got["strings"] == sent["strings"]
    assert sum(there != back for there, back in zip(sent["numbers"], got["numbers"], strict=True)) > 5_000
