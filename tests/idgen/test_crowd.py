"""A crowd: as many processes as there are worker ids, and more restarts than that."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest

from idgen import NoWorker
from idgen.leases.base import Timing
from idgen.leases.postgresql import PostgresLeases
from tests.idgen.conftest import ROOT

WORKERS = 64
KILLED = 20
TTL_S = 6.0
TIMING = {"ttl_s": TTL_S, "margin_s": 1.0, "spare_window_s": 0.5}
# Forks processes that each lease one id, renew it, and say so on a line; cheap, so that 64 fit on a small machine.
CROWD = """
import json, os, sys, time
from idgen.leases.base import Timing
from idgen.leases.postgresql import PostgresLeases
parameters, timing, count = json.loads(sys.argv[1])
for _ in range(count):
    if os.fork() == 0:
        store = PostgresLeases(parameters=parameters, timing=Timing(**timing))
        grant = store.acquire(info="crowd")
        os.write(1, f"{os.getpid()} {grant.worker_id}\\n".encode())
        while True:
            time.sleep(timing["ttl_s"] / 3)
            grant = store.renew(grant, stats={})
time.sleep(600)
"""


@pytest.fixture
def crowd(lease_table):
    """The lease table's parameters, and the process of each worker id."""
    import json

    parameters = lease_table(workers=WORKERS)
    parent = subprocess.Popen(
        [sys.executable, "-c", CROWD, json.dumps([parameters, TIMING, WORKERS])],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    assert parent.stdout is not None
    lines = [parent.stdout.readline().split() for _ in range(WORKERS)]
    yield parameters, {int(worker): int(pid) for pid, worker in lines}
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()


def test_sixty_four_processes_have_an_id_each_and_the_ids_of_those_that_die_are_leased_again(crowd):
    parameters, process_of = crowd
    assert sorted(process_of) == list(range(WORKERS))
    store = PostgresLeases(parameters=parameters, timing=Timing(**TIMING))
    with pytest.raises(NoWorker):
        store.acquire(info="the sixty-fifth")
    for worker in range(KILLED):
        os.kill(process_of[worker], signal.SIGKILL)
    killed_s, taken = time.monotonic(), set()
    while len(taken) < KILLED and time.monotonic() - killed_s < 3 * TTL_S:
        with suppress(NoWorker):
            taken.add(store.acquire(info="successor").worker_id)
            continue
        time.sleep(0.05)
    print(f"{KILLED} ids were leased again {time.monotonic() - killed_s:.2f} s after the kill, TTL {TTL_S} s")
    assert taken == set(range(KILLED))
    assert time.monotonic() - killed_s < TTL_S + 1.0


def test_two_thousand_restarts_use_the_ids_in_turn(lease_table):
    """Least recently used first: every id rests as long as it can before somebody has it again."""
    parameters = lease_table(workers=WORKERS)
    store, used = PostgresLeases(parameters=parameters, timing=Timing(**TIMING)), []
    for _ in range(2_000):
        grant = store.acquire(info="restart")
        used.append(grant.worker_id)
        store.release(grant, used_until_ms=grant.store_ms)
    counts = Counter(used)
    assert len(counts) == WORKERS
    assert max(counts.values()) - min(counts.values()) <= 1
    assert all(len(set(used[start : start + WORKERS])) == WORKERS for start in range(0, 1_900, WORKERS))
