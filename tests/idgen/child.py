"""What the tests run in other processes. `child.py ROLE JSON` speaks one JSON value per line."""

import json
import os
import random
import select
import signal
import sys
import time
from typing import Any

from idgen.errors import IdgenUnavailable
from idgen.generator import Generator
from idgen.layout import EPOCH_MS
from idgen.leases.base import Grant, LeaseStore, Timing


def say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def open_store(options: dict[str, Any]) -> LeaseStore:
    timing = Timing(**options["timing"])
    if "endpoints" in options:
        from idgen.leases.etcd import EtcdLeases

        return EtcdLeases(
            endpoints=options["endpoints"], prefix=options["prefix"], timing=timing, workers=options["workers"]
        )
    from idgen.leases.postgresql import PostgresLeases

    return PostgresLeases(parameters=options["parameters"], timing=timing)


class Blind:
    """A store whose grants never seem to end: what remains is the window."""

    def __init__(self, store: LeaseStore) -> None:
        self._store = store
        self.timing = store.timing

    def acquire(self, **named: Any) -> Grant:
        grant = self._store.acquire(**named)
        object.__setattr__(grant, "deadline_s", float("inf"))
        return grant

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Naive:
    """A worker id from the store, and after that nothing is checked."""

    def __init__(self, store: LeaseStore) -> None:
        self._grant = store.acquire(info="naive")
        self._last_ms = self._sequence = 0

    def next_id(self) -> int:
        now_ms = time.time_ns() // 1_000_000
        self._sequence = self._sequence + 1 if now_ms == self._last_ms else 0
        self._last_ms = now_ms
        return (now_ms - EPOCH_MS) << 22 | self._grant.worker_id << 12 | self._sequence


def sleep_by_select(seconds: float) -> None:
    """libfaketime breaks `time.sleep` (EINVAL from clock_nanosleep)."""
    select.select([], [], [], seconds)


def make(options: dict[str, Any]) -> Any:
    form = options.get("form", "deadline")
    if form == "naive":
        return Naive(open_store(options))
    opened = (lambda: Blind(open_store(options))) if form == "window" else (lambda: open_store(options))
    return Generator(
        open_store=opened,
        sleep=sleep_by_select,
        renew_in_background=form == "deadline" and options.get("background", True),
    )


def stream(options: dict[str, Any]) -> None:
    """One id about every millisecond, with the monotonic time; a refusal is its name. Ends with stdin."""
    generator = make(options)
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        try:
            number: object = generator.next_id()
        except IdgenUnavailable as error:
            number = type(error).__name__
            sleep_by_select(0.01)
        say([time.monotonic(), number])


def answer(options: dict[str, Any]) -> None:
    """Commands on stdin: a number takes so many ids, `renew` renews, `health` tells; a refusal is its name."""
    generator = make(options)
    for text in sys.stdin:
        word = text.strip()
        try:
            if word == "renew":
                say(generator.renew())
            elif word == "health":
                say(generator.health())
            else:
                say([generator.next_id() for _ in range(int(word))])
        except IdgenUnavailable as error:
            say(type(error).__name__)


def herd(options: dict[str, Any]) -> None:
    """Processes that cost a fork each: `hold N` and `try N` on stdin start N of them, roles see below.

    Each says [its process id, the worker id or the name of a refusal, CLOCK_MONOTONIC], in one write: lines do not mix.
    """
    open_store(options)  # imports the driver once, before the forks
    roles = {"hold": _herd_hold, "try": _herd_try}
    for text in sys.stdin:
        word, count = text.split()
        for _ in range(int(count)):
            if os.fork() == 0:
                roles[word](make(options))
                os._exit(0)


def _herd_say(value: object) -> None:
    os.write(1, (json.dumps([os.getpid(), value, time.monotonic()]) + "\n").encode())


def _herd_hold(generator: Any) -> None:
    """Lease, asking on while there is no worker id, and keep it until killed."""
    while True:
        try:
            generator.next_id()
        except IdgenUnavailable:
            time.sleep(0.05)
            continue
        _herd_say(generator.health()["worker_id"])
        signal.pause()


def _herd_try(generator: Any) -> None:
    """Ask once."""
    try:
        generator.next_id()
        _herd_say(generator.health()["worker_id"])
    except IdgenUnavailable as error:
        _herd_say(type(error).__name__)


def restarts(options: dict[str, Any]) -> None:
    """`count` short lives, as the store sees them: lease, make an id, give the worker id back. Says the worker ids."""
    used = []
    for _ in range(options["count"]):
        generator = make(options)
        generator.next_id()
        used.append(generator.health()["worker_id"])
        generator.close()
    say(used)


def fork(options: dict[str, Any]) -> None:
    """Issue, fork twice, and issue on in all three, from many numbers left in the open block."""
    generator = make(options)
    parent = [generator.next_id() for _ in range(10)]
    pipes = []
    for _ in range(2):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            with os.fdopen(writer, "w") as pipe:
                pipe.write(json.dumps([generator.next_id() for _ in range(options["each"])]))
            os._exit(0)
        os.close(writer)
        pipes.append(reader)
    parent += [generator.next_id() for _ in range(options["each"])]
    made = [parent]
    for reader in pipes:
        with os.fdopen(reader) as pipe:
            made.append(json.loads(pipe.read()))
    generator.renew()
    parent += [generator.next_id() for _ in range(10)]
    say(made)
    sys.stdin.read()


def runs(options: dict[str, Any]) -> None:
    """Issue without a pause, in batches and one by one, forking at times; each line is runs of [first, count]."""
    generator = make(options)
    shaker = random.Random(options["seed"])
    while not select.select([sys.stdin], [], [], 0)[0]:
        if shaker.random() < options["fork_rate"] and os.fork() == 0:
            for _ in range(20):
                _run(generator, shaker)
            os._exit(0)
        _run(generator, shaker)


def _run(generator: Any, shaker: random.Random) -> None:
    try:
        if shaker.random() < 0.1:
            ids = [generator.next_id() for _ in range(500)]
        else:
            ids = generator.next_ids(shaker.randrange(1, 10_001))
    except IdgenUnavailable as error:
        os.write(1, (json.dumps(type(error).__name__) + "\n").encode())
        sleep_by_select(0.01)
        return
    found: list[list[int]] = []
    for number in ids:
        if found and found[-1][0] + found[-1][1] == number:
            found[-1][1] += 1
        else:
            found.append([number, 1])
    os.write(1, (json.dumps(found) + "\n").encode())  # one write of less than PIPE_BUF: lines of forks do not mix


if __name__ == "__main__":
    roles = {each.__name__: each for each in (stream, answer, herd, restarts, fork, runs)}
    roles[sys.argv[1]](json.loads(sys.argv[2]))
