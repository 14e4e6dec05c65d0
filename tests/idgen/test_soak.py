"""The long run: 10^8 ids while processes fork, stop past their TTL, die, and the database and the clocks misbehave.

SOAK_IDS changes the number. Ids are kept as runs, so that all of them can be compared.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.idgen.conftest import make_table
from tests.idgen.readings import FAKETIME, figure

pytestmark = pytest.mark.soak
IDS = int(os.environ.get("SOAK_IDS", "100000000"))
TIMING = {"ttl_s": 2.0, "margin_s": 0.5, "spare_window_s": 0.5}
PROCESSES = 4
KINDS = {"step": "clock steps", "kill": "kills", "stop": "stops past the TTL", "database": "kills of the database"}
TROUBLES_MIN = 3
"""Of each kind at least, however fast the ids come."""


class Worker:
    """One child, read by a thread. It has a clock that we move, or it forks.

    Not both: libfaketime's own lock may be held by another thread at the fork, and the child then waits for ever.
    """

    def __init__(self, child, parameters, directory: Path, number: int, book, *, is_shaken: bool) -> None:
        self.offset = directory / f"offset-{number}"
        self.offset.write_text("+0s")
        self.is_shaken = is_shaken
        shaken = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.child = child(
            "runs",
            parameters=parameters,
            timing=TIMING,
            seed=number,
            fork_rate=0 if self.is_shaken else 0.004,
            env=shaken if self.is_shaken else {},
        )
        self.reader = threading.Thread(target=book.read, args=[self.child])
        self.reader.start()


class Book:
    """All runs of all processes, and how often each refusal came."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []
        self.refused: Counter[str] = Counter()
        self.count = 0
        self._lock = threading.Lock()

    def read(self, child) -> None:
        for text in child.process.stdout:
            try:
                found = json.loads(text)
            except ValueError:
                continue  # the last line of a killed process
            with self._lock:
                if isinstance(found, str):
                    self.refused[found] += 1
                    continue
                self.runs += map(tuple, found)
                self.count += sum(count for _, count in found)

    def duplicates(self) -> int:
        total, end = 0, 0
        for first, count in sorted(self.runs):
            total += max(0, min(end, first + count) - first)
            end = max(end, first + count)
        return total


def trouble(shaker, workers, postgres):
    """One thing goes wrong. Returns its name."""
    victim = shaker.choice(workers)
    kind = shaker.choice(["step", "step", "step", "stop", "kill", "database"])
    if kind == "step":
        victim = shaker.choice([worker for worker in workers if worker.is_shaken] or workers)
        victim.offset.write_text(shaker.choice(["+0s", "-1s", "-1.9s", "-3s", "-30s", "+1s", "+3s"]))
    elif kind == "stop":
        os.kill(victim.child.process.pid, signal.SIGSTOP)
        time.sleep(TIMING["ttl_s"] + 1)
        os.kill(victim.child.process.pid, signal.SIGCONT)
    elif kind == "kill":
        victim.child.process.kill()
        victim.child.process.wait()
    else:
        postgres.child.send_signal(signal.SIGKILL)
        postgres.child.wait()
        time.sleep(shaker.uniform(0, TIMING["ttl_s"] + 1))
        postgres.launch()
    return kind


def test_a_hundred_million_ids_and_no_duplicate(own_postgres, child, tmp_path, require):
    require(FAKETIME, "libfaketime is not installed (Debian: faketime)")
    parameters = make_table({"host": str(own_postgres.sockets), "user": "postgres", "dbname": "fenpay"}, workers=32)
    shaker, book, troubles = random.Random(3), Book(), Counter()
    numbers = iter(range(10_000))
    began_s = time.monotonic()

    def start(*, is_shaken):
        return Worker(child, parameters, tmp_path, next(numbers), book, is_shaken=is_shaken)

    workers = [start(is_shaken=number % 2 == 0) for number in range(PROCESSES)]
    while book.count < IDS or any(troubles[kind] < TROUBLES_MIN for kind in KINDS):
        time.sleep(shaker.uniform(0.2, 1.5))
        troubles[trouble(shaker, workers, own_postgres)] += 1
        for place, worker in enumerate(workers):
            if worker.child.process.poll() is not None:
                workers[place] = start(is_shaken=worker.is_shaken)
    for worker in workers:
        worker.child.process.stdin.close()
        worker.child.process.wait(30)
        worker.reader.join(30)
    duplicates = book.duplicates()
    figure(
        f"{book.count:,} ids in {(time.monotonic() - began_s) / 60:.1f} minutes, "
        + ", ".join(f"{troubles[kind]} {name}" for kind, name in KINDS.items()),
        f"{duplicates} duplicates",
    )
    assert book.count >= IDS
    assert duplicates == 0


def test_the_book_finds_a_duplicate():
    book = Book()
    book.runs = [(10, 5), (20, 5), (14, 2), (24, 1)]
    assert book.duplicates() == 2
