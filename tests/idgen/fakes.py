"""A clock that tests move by hand, and a lease store in memory with the rules of the real ones."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from idgen import LeaseLost, NoWorker
from idgen.generator import Generator
from idgen.layout import EPOCH_MS
from idgen.leases.base import DEFAULT_TIMING, REST_MAX_MS, Grant, StoreDown, Timing

START_MS = EPOCH_MS + 50_000_000_000


class Clock:
    """True time, which only grows, and one machine's wall clock, which is off by `offset_ms`."""

    def __init__(self, true: "Clock | None" = None) -> None:
        self._true = true or self
        self._ms = float(START_MS)
        self.offset_ms = 0.0
        self.frozen_wall_ms: float | None = None
        self.frozen_monotonic_ms: float | None = None
        self.sleeps = 0

    @property
    def true_ms(self) -> float:
        return self._true._ms

    def advance(self, ms: float) -> None:
        self._true._ms += ms

    def step(self, ms: float) -> None:
        self.offset_ms += ms

    def wall(self) -> float:
        return (self.frozen_wall_ms if self.frozen_wall_ms is not None else self.true_ms + self.offset_ms) / 1000

    def monotonic(self) -> float:
        return (self.frozen_monotonic_ms if self.frozen_monotonic_ms is not None else self.true_ms) / 1000

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.advance(seconds * 1000)


class MemoryLeases:
    """Worker ids in a dict, judged by true time. A `view` is one holder's connection, with that holder's clock."""

    def __init__(self, *, clock: Clock, workers: int = 4, timing: Timing = DEFAULT_TIMING) -> None:
        self.clock = clock
        self.timing = timing
        self.rows_by_id = {
            number: {"holder": "", "fence": 0, "until_ms": 0.0, "mark_ms": 0} for number in range(workers)
        }
        self.is_down = False

    def view(self, clock: Clock) -> "LeaseView":
        return LeaseView(self, clock)


class LeaseView:
    def __init__(self, leases: MemoryLeases, clock: Clock) -> None:
        self._leases, self._clock = leases, clock
        self.timing = leases.timing

    def acquire(self, *, info: str, below_ms: int | None = None) -> Grant:
        now_ms = self._now_ms()
        free = [
            (row["mark_ms"], number)
            for number, row in self._leases.rows_by_id.items()
            if row["until_ms"] < now_ms
            and row["mark_ms"] <= now_ms + REST_MAX_MS
            and (below_ms is None or row["mark_ms"] < below_ms)
        ]
        if not free:
            raise NoWorker("none free")
        floor_ms, number = min(free)
        row = self._leases.rows_by_id[number]
        row |= {
            "holder": str(uuid4()),
            "fence": row["fence"] + 1,
            "until_ms": now_ms + self.timing.ttl_s * 1000,
            "mark_ms": max(floor_ms, int(now_ms) + self.timing.window_ms),
        }
        return self._grant(number, row, floor_ms=floor_ms)

    def renew(self, grant: Grant, *, stats: Mapping[str, Any]) -> Grant:
        now_ms = self._now_ms()
        row = self._leases.rows_by_id[grant.worker_id]
        if (row["holder"], row["fence"]) != (grant.holder, grant.fence) or row["until_ms"] <= now_ms:
            raise LeaseLost("not ours")
        row["until_ms"] = now_ms + self.timing.ttl_s * 1000
        row["mark_ms"] = max(row["mark_ms"], int(now_ms) + self.timing.window_ms)
        return self._grant(grant.worker_id, row, floor_ms=grant.floor_ms)

    def release(self, grant: Grant, *, used_until_ms: int) -> None:
        self._now_ms()
        row = self._leases.rows_by_id[grant.worker_id]
        if (row["holder"], row["fence"]) == (grant.holder, grant.fence):
            row |= {"holder": "", "until_ms": 0.0, "mark_ms": min(row["mark_ms"], used_until_ms)}

    def rows(self) -> list:
        raise NotImplementedError  # only the overview lists them, and it never meets this store

    def close(self) -> None:
        """Nothing is open."""

    def _now_ms(self) -> float:
        if self._leases.is_down:
            raise StoreDown("the store is down")
        return self._leases.clock.true_ms

    def _grant(self, number: int, row: dict, *, floor_ms: int) -> Grant:
        return Grant(
            worker_id=number,
            holder=row["holder"],
            fence=row["fence"],
            floor_ms=floor_ms,
            reserved_until_ms=row["mark_ms"],
            deadline_s=self.timing.deadline_s(self._clock.monotonic()),
            store_ms=int(self._leases.clock.true_ms),
        )


def make_generator(clock: Clock, leases: MemoryLeases, *, use_lock: bool | None = None) -> Generator:
    """A generator on fakes, without a thread: the test renews."""
    return Generator(
        open_store=lambda: leases.view(clock),
        clock=clock.wall,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        use_lock=use_lock,
        renew_in_background=False,
    )


class Renewing:
    """Calls `renew` as often as the background thread would, whenever true time has moved on."""

    def __init__(self, clock: Clock, generator: Generator) -> None:
        self._clock, self._generator = clock, generator
        self._next_ms = clock.true_ms

    def advance(self, ms: float) -> None:
        left = ms
        while left > 0:
            part = min(left, 100.0)
            self._clock.advance(part)
            left -= part
            if self._clock.true_ms >= self._next_ms:
                self._next_ms = self._clock.true_ms + self._generator.renew() * 1000


def rate(clock: Clock, take: Callable[[], int], *, ids: int, every_ms: float) -> list[int]:
    """`ids` ids, one every `every_ms` of true time."""
    made = []
    for _ in range(ids):
        made.append(take())
        clock.advance(every_ms)
    return made
