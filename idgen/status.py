"""What the store knows of all processes, for the command line and the console."""

from dataclasses import dataclass

from idgen.layout import WORKER_COUNT
from idgen.leases.base import REST_MAX_MS, LeaseRow, LeaseStore

FREE_MIN = WORKER_COUNT // 10
POISONED_MS = 60_000
"""A free id whose mark is further ahead than any window was spoiled by a wrong clock: `idgen_repair` can lower it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The leases at one moment, in milliseconds since 1970."""

    now_ms: int
    rows: list[LeaseRow]

    @property
    def held(self) -> list[LeaseRow]:
        return [row for row in self.rows if row.is_held]

    @property
    def free_count(self) -> int:
        """How many could be leased right now."""
        return sum(not row.is_held and row.reserved_until_ms <= self.now_ms + REST_MAX_MS for row in self.rows)

    @property
    def poisoned(self) -> list[LeaseRow]:
        return [row for row in self.rows if not row.is_held and row.reserved_until_ms > self.now_ms + POISONED_MS]

    @property
    def alarms(self) -> list[str]:
        """What somebody should look at, in English; empty when all is well."""
        found = []
        if self.free_count < FREE_MIN:
            found.append(f"only {self.free_count} of {len(self.rows)} worker ids are free")
        if self.poisoned:
            found.append(f"{len(self.poisoned)} free worker ids are reserved far ahead: see `idgen_repair`")
        for row in self.held:
            if abs(row.stats.get("clock_skew_ms", 0)) > 500:
                found.append(f"worker {row.worker_id} ({row.info}): clock off by {row.stats['clock_skew_ms']} ms")
            if row.stats.get("rungs", {}).get("refuse", 0):
                found.append(f"worker {row.worker_id} ({row.info}): refused {row.stats['rungs']['refuse']} times")
        return found


def overview(store: LeaseStore, *, now_ms: int) -> Overview:
    """Ask the store.

    Raises:
        StoreDown: it does not answer.
    """
    return Overview(now_ms=now_ms, rows=store.rows())
