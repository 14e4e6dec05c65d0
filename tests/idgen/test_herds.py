"""Many processes on few worker ids, on a real PostgreSQL: nobody shares one, none is lost for longer than its TTL, and
restarts wear all of them evenly. The processes are forks of one that has imported everything (child.py, `herd`).
"""

import os
import signal
import time
from collections import Counter

import pytest

from tests.idgen.conftest import execute
from tests.idgen.readings import figure

WORKERS = 64
KILLED = 20
TIMING = {"ttl_s": 6.0, "margin_s": 1.5, "spare_window_s": 1.0}


def started(herd, word, count):
    """Start `count` processes and hear each: (process id, worker id or refusal, when)."""
    herd.tell(f"{word} {count}")
    return [herd.line() for _ in range(count)]


def test_64_processes_hold_64_ids_the_65th_is_refused_and_the_ids_of_20_killed_ones_come_back_within_ttl_plus_a_second(
    lease_table, child
):
    herd = child("herd", parameters=lease_table(workers=WORKERS), timing=TIMING)
    held = {pid: worker_id for pid, worker_id, _ in started(herd, "hold", WORKERS)}
    assert sorted(held.values()) == list(range(WORKERS))
    [(_, refusal, _)] = started(herd, "try", 1)
    assert refusal == "NoWorker"

    victims = sorted(held)[::3][:KILLED]
    killed_s = time.monotonic()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    successors = started(herd, "hold", KILLED)
    took_s = [at_s - killed_s for _, _, at_s in successors]
    figure(
        f"{KILLED} of {WORKERS} holders of {WORKERS} ids killed, TTL {TIMING['ttl_s']:.0f} s",
        f"all {KILLED} ids leased again after {min(took_s):.2f} to {max(took_s):.2f} s; a 65th was refused",
    )
    assert sorted(worker_id for _, worker_id, _ in successors) == sorted(held[pid] for pid in victims)
    assert max(took_s) < TIMING["ttl_s"] + 1.0
    # Renewals go out every third of the TTL, so a lease that was taken at its end only had two thirds left at least.
    assert min(took_s) > TIMING["ttl_s"] * 2 / 3 - 1.0


@pytest.mark.parametrize("restarts", [300, pytest.param(2_000, marks=pytest.mark.soak)])
def test_restarts_use_every_worker_id_equally_often_the_longest_rested_first(lease_table, child, restarts):
    parameters = lease_table(workers=WORKERS)
    used = child("restarts", parameters=parameters, timing=TIMING, background=False, count=restarts).line()
    assert sorted(used[:WORKERS]) == list(range(WORKERS))
    assert all(used[turn] == used[turn - WORKERS] for turn in range(WORKERS, restarts))
    assert set(Counter(used).values()) == {restarts // WORKERS, restarts // WORKERS + 1}
    uses = Counter(used).values()
    figure(f"{restarts:,} restarts on {WORKERS} ids", f"each id used {min(uses)} or {max(uses)} times")
    [(fences,)] = execute(parameters, "SELECT sum(fence)::int FROM idgen_lease")
    assert fences == restarts
