"""One generator: fast path, ladder and leases put together."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any, Final

from idgen import fastpath
from idgen.errors import ClockRollback, IdgenUnavailable, LeaseLost, WindowExhausted
from idgen.layout import LANE_COUNT, TIME_MAX_MS
from idgen.leases.base import LeaseStore
from idgen.leasing import Held, Leasing
from idgen.metrics import Counters
from idgen.timeline import (
    BORROW_MAX_MS,
    CURRENT_BLOCK,
    NoLaneLeft,
    OutOfWindow,
    Place,
    Reading,
    Rung,
    Timeline,
    WaitABit,
)

LOCK_TIMEOUT_S: Final = 5.0
WAIT_S: Final = 0.001
WAITS_MAX: Final = 50
QUIET_IDS_MAX: Final = 512
"""Up to so many ids in a millisecond the next one starts at a random place. Beyond, lane 1 would be touched by the
scatter, and a lane that was touched is not free for a rollback."""
_DAY_MS: Final = 86_400_000
PUBLISHED: Final = (
    "ids_total",
    "rung",
    "rungs",
    "rollbacks_total",
    "rollback_ms_max",
    "waits_total",
    "lost_total",
    "renew_failures_total",
    "clock_skew_ms",
    "spare_worker_id",
)


class Generator:
    """Snowflake ids from one leased worker id, safe across threads and forks. Cheap to make: it leases on first use.

    Args:
        open_store: makes the lease store, in the process that will use it.
        clock: wall clock, seconds since 1970. `monotonic` and `sleep` in seconds too.
        use_lock: None asks the interpreter whether it has a GIL.
        renew_in_background: False leaves it to the caller to call `renew` every few seconds.
    """

    def __init__(
        self,
        *,
        open_store: Callable[[], LeaseStore],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        use_lock: bool | None = None,
        renew_in_background: bool = True,
    ) -> None:
        self._clock, self._monotonic, self._sleep = clock, monotonic, sleep
        self._leasing = Leasing(
            open_store=open_store,
            counters=Counters(),
            wall=clock,
            monotonic=monotonic,
            in_background=renew_in_background,
            stats=self._stats,
        )
        if fastpath.has_gil() if use_lock is None else not use_lock:
            form = fastpath.lock_free(clock=clock, refill=self._refill)
        else:
            form = fastpath.locked(clock=clock, refill=self._take, acquire=self._acquire)
        self.next_id: fastpath.NextId = form[0]
        self.next_ids: fastpath.NextIds = form[1]
        self._expose: fastpath.Expose = form[2]
        self.forget()
        _generators.add(self)

    def forget(self) -> None:
        """Start from nothing, as a forked child must: lease, numbers and locks belong to the parent."""
        self._lock = threading.Lock()
        self._numbers: Iterator[int] = iter(range(0))
        self._size = 0
        self._owner: Held | None = None
        self._block_ms = self._blocks_in_ms = 0
        self._was_full = False
        self._rung = Rung.NORMAL
        self._wall_ms = 0
        self._timeline = Timeline()
        self._expose(0.0, 0.0, self._numbers)
        self._leasing.counters = Counters()
        self._leasing.forget()

    def close(self) -> None:
        """Give the worker id back. The generator can be used again and then leases anew."""
        lock = self._acquire()
        try:
            self._leasing.counters.ids_total += self._size - length_hint(self._numbers)
            self._numbers, self._size, self._owner = iter(range(0)), 0, None
            self._expose(0.0, 0.0, self._numbers)
        finally:
            lock.release()
        self._leasing.close()

    def renew(self) -> float:
        """Renew the lease now, or ask for one if there is none. Returns the seconds until it should be called again."""
        return self._leasing.tick()

    def health(self) -> dict[str, Any]:
        """Counters and gauges as one flat dict (`rungs` and `renew_seconds` are nested), for a page or an exporter."""
        counters, main, spare = self._leasing.counters, self._leasing.main, self._leasing.spare
        wall_ms = int(self._clock() * 1000)
        return {
            "worker_id": main.grant.worker_id if main else None,
            "spare_worker_id": spare.grant.worker_id if spare else None,
            "fence": main.grant.fence if main else None,
            "lease_seconds_left": round(max(0.0, main.grant.deadline_s - self._monotonic()), 3) if main else 0.0,
            "window_ms_left": main.grant.reserved_until_ms - wall_ms if main else 0,
            "ahead_ms": max(0, self._timeline.cursor_ms - wall_ms) if self._owner else 0,
            "rung": self._rung.value,
            "ids_total": counters.ids_total + self._size - length_hint(self._numbers),
            "blocks_total": counters.blocks_total,
            "waits_total": counters.waits_total,
            "rollbacks_total": counters.rollbacks_total,
            "rollback_ms_max": counters.rollback_ms_max,
            "borrowed_ms_max": counters.borrowed_ms_max,
            "clamped_total": counters.clamped_total,
            "acquired_total": counters.acquired_total,
            "lost_total": counters.lost_total,
            "renew_failures_total": counters.renew_failures_total,
            "clock_skew_ms": counters.clock_skew_ms,
            "epoch_days_left": (TIME_MAX_MS - wall_ms) // _DAY_MS,
            "rungs": dict(counters.rungs),
            "renew_seconds": counters.renew_seconds.as_dict(),
        }

    def _stats(self) -> dict[str, Any]:
        """What the console shows of this process; written into the lease with each renewal."""
        health = self.health()
        return {name: health[name] for name in PUBLISHED}

    # --- the slow path: once per block ------------------------------------------------------------------------------
    def _refill(self) -> int:
        lock = self._acquire()
        try:
            return self._take()
        finally:
            lock.release()

    def _acquire(self) -> threading.Lock:
        lock = self._lock
        if not (lock.acquire(blocking=False) or lock.acquire(timeout=LOCK_TIMEOUT_S)):
            raise LeaseLost(f"another thread has waited {LOCK_TIMEOUT_S} s for the lease store")
        return lock

    def _take(self) -> int:
        for _ in range(WAITS_MAX):
            try:
                return self._advance()
            except WaitABit:
                self._leasing.counters.waits_total += 1
                self._sleep(WAIT_S)
            except IdgenUnavailable:
                self._note(Rung.REFUSE)
                raise
        self._note(Rung.REFUSE)
        raise ClockRollback("the wall clock stands still or runs backwards")

    def _advance(self) -> int:
        held = self._leasing.held()
        wall_ms = self._read_wall()
        active = self._active(held, wall_ms)
        try:
            place = self._place(active, wall_ms, is_open=self._is_open(active))
            number = self._continue(place, wall_ms)
            if number is not None:
                return number
            if place.lane == CURRENT_BLOCK:  # other threads took the rest while we looked
                place = self._place(active, wall_ms, is_open=False)
        except OutOfWindow as error:
            raise WindowExhausted("all reserved time is used up until the next renewal") from error
        except NoLaneLeft:
            return self._advance_on_spare(wall_ms)
        return self._open_block(active, place, wall_ms)

    def _active(self, held: Held, wall_ms: int) -> Held:
        """The spare while it is needed and usable, the main worker id otherwise."""
        spare = self._leasing.spare
        if spare is None:
            return held
        if held.lanes.newest_ms < wall_ms or not self._leasing.is_usable(spare):
            self._leasing.release_spare()
            return held
        return spare

    def _advance_on_spare(self, wall_ms: int) -> int:
        self._leasing.release_spare()
        spare = self._leasing.acquire_spare(below_ms=wall_ms)
        if spare is None:
            raise ClockRollback(
                "the wall clock stepped back beyond every lane, and no spare worker id covers that time"
            )
        self._timeline.start_at(wall_ms)
        return self._open_block(spare, Place(*spare.lanes.earliest(wall_ms), Rung.SPARE), wall_ms)

    def _place(self, active: Held, wall_ms: int, *, is_open: bool) -> Place:
        grant = active.grant
        reading = Reading(
            wall_ms, int(self._monotonic() * 1000), grant.store_ms, grant.reserved_until_ms, self._is_saturated()
        )
        place = self._timeline.place(lanes=active.lanes, reading=reading, is_open=is_open)
        self._leasing.counters.clamped_total += wall_ms > grant.reserved_until_ms
        self._note(Rung.SPARE if active is self._leasing.spare else place.rung)
        return place

    def _is_open(self, active: Held) -> bool:
        return self._owner is active and length_hint(self._numbers) > 0

    def _continue(self, place: Place, wall_ms: int) -> int | None:
        if place.lane != CURRENT_BLOCK:
            return None
        number = next(self._numbers, None)
        if number is not None:
            self._show(place.at_ms, wall_ms)
        return number

    def _open_block(self, owner: Held, place: Place, wall_ms: int) -> int:
        start = self._start(place)
        block = owner.lanes.claim(at_ms=place.at_ms, lane=place.lane)[start:]
        old, old_size = self._numbers, self._size
        self._numbers, self._size, self._owner = iter(block), len(block), owner
        number = next(self._numbers)
        self._show(place.at_ms, wall_ms)
        counters = self._leasing.counters
        counters.ids_total += old_size - length_hint(old)
        counters.blocks_total += 1
        counters.borrowed_ms_max = max(counters.borrowed_ms_max, place.at_ms - wall_ms)
        return number

    def _start(self, place: Place) -> int:
        """A random 0..255 after a quiet millisecond: `id % shards` is even for up to 256 shards. 0 under load."""
        is_new_ms = place.at_ms != self._block_ms
        is_quiet = self._blocks_in_ms <= 1 and self._size - length_hint(self._numbers) <= QUIET_IDS_MAX
        if is_new_ms:
            self._was_full = self._is_full()
        self._blocks_in_ms = 1 if is_new_ms else self._blocks_in_ms + 1
        self._block_ms = place.at_ms
        return os.urandom(1)[0] if is_new_ms and is_quiet else 0

    def _is_full(self) -> bool:
        """All numbers of the current millisecond are given out."""
        return self._blocks_in_ms == LANE_COUNT and length_hint(self._numbers) == 0

    def _is_saturated(self) -> bool:
        return self._was_full or self._is_full()

    def _show(self, at_ms: int, wall_ms: int) -> None:
        high_ms = min(max(at_ms, wall_ms), wall_ms + BORROW_MAX_MS) + 1
        self._expose(wall_ms / 1000, high_ms / 1000, self._numbers)

    def _read_wall(self) -> int:
        wall_ms = int(self._clock() * 1000)
        if wall_ms < self._wall_ms:
            counters = self._leasing.counters
            counters.rollbacks_total += 1
            counters.rollback_ms_max = max(counters.rollback_ms_max, self._wall_ms - wall_ms)
        self._wall_ms = wall_ms
        return wall_ms

    def _note(self, rung: Rung) -> None:
        self._rung = rung
        self._leasing.counters.rungs[rung.value] += 1


_generators: "weakref.WeakSet[Generator]" = weakref.WeakSet()


def _forget_all() -> None:
    for generator in list(_generators):
        generator.forget()


def _close_all() -> None:
    for generator in list(_generators):
        generator.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
atexit.register(_close_all)
