"""Threads: nothing twice, and each thread sees its own ids rise, while the clock is shaken under it."""

import random
import sys
import threading
import time
from itertools import chain, pairwise

import pytest

from idgen import IdgenUnavailable, fastpath
from idgen.generator import Generator
from tests.idgen.fakes import Clock, MemoryLeases

THREADS = 8


class ShakenClock:
    """The real clock with an offset that another thread changes: up to 1.5 s back and forth."""

    def __init__(self):
        self.offset_s = 0.0

    def __call__(self):
        return time.time() + self.offset_s

    def shake(self, stop):
        shaker = random.Random(1)
        while not stop.wait(0.01):
            self.offset_s = shaker.choice([0.0, -0.003, -0.2, -1.5])


@pytest.fixture
def short_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def real_time_leases():
    true = Clock()
    true._ms = time.time() * 1000
    return MemoryLeases(clock=true)


def in_threads(generator, *, each, batch):
    """Every thread's ids, in its order."""
    made = [[] for _ in range(THREADS)]
    errors = []
    start = threading.Barrier(THREADS)

    def work(own):
        start.wait()
        try:
            while len(own) < each:
                own.append(generator.next_id())
                if batch:
                    own.extend(generator.next_ids(batch))
        except (IdgenUnavailable, AssertionError, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[own]) for own in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return made


@pytest.mark.parametrize(
    ("use_lock", "each", "batch"), [(False, 200_000, 0), (False, 200_000, 1_500), (True, 20_000, 0)]
)
def test_eight_threads_on_a_shaken_clock(short_switches, use_lock, each, batch):
    clock = ShakenClock()
    leases = real_time_leases()
    generator = Generator(
        open_store=lambda: leases.view(leases.clock),
        clock=clock,
        monotonic=leases.clock.monotonic,  # the lease does not run out in here
        use_lock=use_lock,
        renew_in_background=False,
    )
    generator._leasing._monotonic = leases.clock.monotonic
    generator._monotonic = time.monotonic
    stop = threading.Event()
    shaker = threading.Thread(target=clock.shake, args=[stop])
    shaker.start()
    try:
        made = in_threads(generator, each=each, batch=batch)
    finally:
        stop.set()
        shaker.join()
    total = sum(map(len, made))
    assert total >= THREADS * each
    assert len(set(chain.from_iterable(made))) == total
    for own in made:
        assert all(left < right for left, right in pairwise(own))
    assert generator.health()["rollbacks_total"] > 0


def test_this_interpreters_form_follows_its_gil():
    generator = Generator(open_store=lambda: None)
    free = "lock_free" if fastpath.has_gil() else "locked"
    assert generator.next_id.__qualname__.startswith(free)
