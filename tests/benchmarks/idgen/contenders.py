"""What is measured: ours, a plain lock-per-id generator, and packages when they are installed.

Each contender is a name and a function that makes `take() -> id`; some also have `batch(n) -> ids`.
"""

import importlib.util
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from idgen.generator import Generator
from idgen.layout import EPOCH_MS
from idgen.leases.base import DEFAULT_TIMING, Grant

EPOCH_2010_MS = 1_288_834_974_657


@dataclass(frozen=True)
class Contender:
    name: str
    make: Callable[[], Callable[[], object]]
    make_batch: Callable[[], Callable[[int], object]] | None = None
    borrowed_ms: Callable[[object], int | None] = lambda _take: None


class PrivateLeases:
    """Worker ids for this process only, without a database: issuing does not touch the store."""

    timing = DEFAULT_TIMING
    _last = 0

    def acquire(self, *, info, below_ms=None):
        PrivateLeases._last += 1
        return self._grant(PrivateLeases._last, str(uuid4()))

    def renew(self, grant, *, stats):
        return self._grant(grant.worker_id, grant.holder)

    def release(self, grant, *, used_until_ms):
        """Nobody waits for it."""

    def close(self):
        """Nothing is open."""

    def _grant(self, worker_id, holder):
        now_ms = time.time_ns() // 1_000_000
        return Grant(
            worker_id=worker_id,
            holder=holder,
            fence=1,
            floor_ms=0,
            reserved_until_ms=now_ms + self.timing.window_ms,
            deadline_s=self.timing.deadline_s(time.monotonic()),
            store_ms=now_ms,
        )


class LockPerId:
    """Snowflake as it is usually written: a lock, a clock read and shifts for each id. Throws on a rollback."""

    def __init__(self, worker_id=1):
        self._lock = threading.Lock()
        self._worker_id = worker_id
        self._last_ms = -1
        self._sequence = 0

    def next_id(self):
        with self._lock:
            now_ms = time.time_ns() // 1_000_000
            if now_ms < self._last_ms:
                raise RuntimeError("the clock moved backwards")
            if now_ms == self._last_ms:
                self._sequence = (self._sequence + 1) & 4095
                while self._sequence == 0 and now_ms <= self._last_ms:
                    now_ms = time.time_ns() // 1_000_000
            else:
                self._sequence = 0
            self._last_ms = now_ms
            return (now_ms - EPOCH_MS) << 22 | self._worker_id << 12 | self._sequence


def ours(**options):
    return Generator(open_store=PrivateLeases, **options)


_last: list[Generator] = []


def kept(**options):
    """One of ours, remembered until the next one is made: its figures are asked for after the run."""
    _last[:] = [ours(**options)]
    return _last[0]


def borrowed_ms(_take):
    return _last[0].health()["borrowed_ms_max"]


def builtin():
    return [
        Contender("idgen", lambda: kept().next_id, lambda: ours().next_ids, borrowed_ms),
        Contender(
            "idgen, form without a GIL",
            lambda: kept(use_lock=True).next_id,
            lambda: ours(use_lock=True).next_ids,
            borrowed_ms,
        ),
        Contender("lock per id", lambda: LockPerId().next_id),
    ]


def snowflake_id():
    from snowflake import SnowflakeGenerator

    return Contender("snowflake-id", lambda: SnowflakeGenerator(1, epoch=EPOCH_2010_MS).__next__)


def flake_id():
    from flakeid import PRESET_TWITTER, make_generator

    def make():
        return make_generator(PRESET_TWITTER, datacenter_id=1, machine_id=1)

    return Contender("flakeid", lambda: make().next_id, lambda: make().next_ids)


def snowflake_id_toolkit():
    from snowflake_id_toolkit import TwitterSnowflakeIDGenerator

    def make():
        return TwitterSnowflakeIDGenerator(node_id=1, epoch=EPOCH_2010_MS).generate_next_id

    return Contender("snowflake-id-toolkit", make)


def tsidpy():
    from tsidpy import TSIDGenerator

    def make():
        create = TSIDGenerator(node=1, node_bits=10).create
        return lambda: create().number

    return Contender("tsidpy", make)


PACKAGES = {
    "snowflake": snowflake_id,
    "flakeid": flake_id,
    "snowflake_id_toolkit": snowflake_id_toolkit,
    "tsidpy": tsidpy,
}


def packages():
    """The packages that are installed here; none outside the benchmark's own environment."""
    return [make() for module, make in PACKAGES.items() if importlib.util.find_spec(module)]
