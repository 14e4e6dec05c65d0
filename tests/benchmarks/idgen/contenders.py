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
EPOCH_2020_MS = 1_577_836_800_000


@dataclass(frozen=True)
class Contender:
    """All have 22 bits below the milliseconds since `epoch_ms`."""

    name: str
    make: Callable[[], Callable[[], object]]
    make_batch: Callable[[], Callable[[int], object]] | None = None
    epoch_ms: int = EPOCH_MS

    def at_ms(self, number: int) -> int:
        """The time that an id carries, in ms since 1970."""
        return (number >> 22) + self.epoch_ms


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


def builtin():
    return [
        Contender("idgen", lambda: ours().next_id, lambda: ours().next_ids),
        Contender(
            "idgen, form without a GIL", lambda: ours(use_lock=True).next_id, lambda: ours(use_lock=True).next_ids
        ),
        Contender("lock per id", lambda: LockPerId().next_id),
    ]


def snowflake_id():
    from snowflake import SnowflakeGenerator

    return Contender(
        "snowflake-id", lambda: SnowflakeGenerator(1, epoch=EPOCH_2010_MS).__next__, epoch_ms=EPOCH_2010_MS
    )


def flake_id():
    from flakeid import PRESET_TWITTER, make_generator

    def make():
        return make_generator(PRESET_TWITTER, datacenter_id=1, machine_id=1)

    return Contender("flakeid", lambda: make().next_id, lambda: make().next_ids, epoch_ms=EPOCH_2010_MS)


def snowflake_id_toolkit():
    from snowflake_id_toolkit import TwitterSnowflakeIDGenerator

    def make():
        return TwitterSnowflakeIDGenerator(node_id=1, epoch=EPOCH_2010_MS).generate_next_id

    return Contender("snowflake-id-toolkit", make, epoch_ms=EPOCH_2010_MS)


def tsidpy():
    from tsidpy import TSIDGenerator

    def make():
        create = TSIDGenerator(node=1, node_bits=10).create
        return lambda: create().number

    return Contender("tsidpy", make, epoch_ms=EPOCH_2020_MS)


PACKAGES = {
    "snowflake": snowflake_id,
    "flakeid": flake_id,
    "snowflake_id_toolkit": snowflake_id_toolkit,
    "tsidpy": tsidpy,
}


def packages():
    """The packages that are installed here; none outside the benchmark's own environment."""
    return [make() for module, make in PACKAGES.items() if importlib.util.find_spec(module)]
