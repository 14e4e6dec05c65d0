"""The rollback ladder: which millisecond the next block belongs to, given what the clocks say.

The ladder decides only about order and waiting. Uniqueness is kept by `Lanes` and by the window, whatever is decided
here. Rungs, with `ahead` = the millisecond that would be served minus the wall clock:

| rung | when | does |
|---|---|---|
| normal | ahead <= 0 | serves the wall clock's millisecond |
| wait | <= 5 ms | borrows up to 5 ms, then sleeps 1 ms at a time |
| hold | <= 2 s | stays where it is, and walks on no faster than CLOCK_MONOTONIC: ids stay in order, nobody waits |
| lane | more | serves the wall clock's millisecond on a lane that has not been there yet |
| spare | no such lane | the same on another worker id |
| refuse | none | ClockRollback |
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idgen.lanes import Lanes

BORROW_MAX_MS: Final = 5
HOLD_MAX_MS: Final = 2_000
CATCH_UP_MAX_MS: Final = 20
"""Under full load, milliseconds that went by while the process was not scheduled are still served, so many back."""
# After a step back of HOLD_MAX_MS the line may be ahead by what was borrowed before it and by what is borrowed in it.
_HOLD_AHEAD_MAX_MS: Final = HOLD_MAX_MS + 2 * BORROW_MAX_MS + 1
# Saturated, the next free millisecond is at most one beyond what may be borrowed; a small step adds as much again.
_WAIT_AHEAD_MAX_MS: Final = 2 * BORROW_MAX_MS + 1
CURRENT_BLOCK: Final = -1


class Rung(StrEnum):
    NORMAL = "normal"
    WAIT = "wait"
    HOLD = "hold"
    LANE = "lane"
    SPARE = "spare"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next id belongs. `lane` is CURRENT_BLOCK when the open block goes on."""

    at_ms: int
    lane: int
    rung: Rung


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the clocks and at the lease: all milliseconds, `monotonic_ms` from an arbitrary origin.

    `is_saturated` says that the millisecond before the current one was used up to its last number.
    """

    wall_ms: int
    monotonic_ms: int
    store_ms: int
    reserved_until_ms: int
    is_saturated: bool = False


class WaitABit(Exception):
    """Nothing can be served this millisecond; a millisecond later it can."""


class NoLaneLeft(Exception):
    """The wall clock stands at a time that every lane has passed."""


class OutOfWindow(Exception):
    """The next free millisecond has not been reserved in the store."""


class Timeline:
    """The line of time that a process walks along. Not thread-safe: callers hold a lock."""

    __slots__ = ("_pace", "cursor_ms")

    def __init__(self) -> None:
        self.cursor_ms = 0
        self._pace: tuple[int, int] | None = None  # (ms served, monotonic ms) when the hold began

    def place(self, *, lanes: Lanes, reading: Reading, is_open: bool) -> Place:
        """Decide, and remember the decision.

        Args:
            is_open: numbers of the block at `cursor_ms` are left.

        Raises:
            WaitABit, NoLaneLeft, OutOfWindow: see there.
        """
        if reading.wall_ms > reading.reserved_until_ms:
            return self._walk_window(lanes=lanes, reading=reading, is_open=is_open)
        wall_ms = reading.wall_ms
        if wall_ms >= self.cursor_ms:
            self._pace = None
        is_late = reading.is_saturated and 0 < wall_ms - self.cursor_ms <= CATCH_UP_MAX_MS
        from_ms = self.cursor_ms if is_late else max(wall_ms, self.cursor_ms)
        at_ms, lane = self._next(lanes, from_ms=from_ms, is_open=is_open)
        if at_ms - wall_ms > _HOLD_AHEAD_MAX_MS:
            return self._new_line(lanes, wall_ms=wall_ms)
        rung = self._rung_ahead(at_ms, lane, reading)
        if at_ms > reading.reserved_until_ms:
            raise OutOfWindow
        return self._settle(at_ms, lane, Rung.LANE if lanes.newest_ms > at_ms + _HOLD_AHEAD_MAX_MS else rung)

    def start_at(self, at_ms: int) -> None:
        """Forget the line and begin a new one at `at_ms`, on lanes that allow it."""
        self.cursor_ms = at_ms
        self._pace = None

    def _next(self, lanes: Lanes, *, from_ms: int, is_open: bool) -> tuple[int, int]:
        return (from_ms, CURRENT_BLOCK) if is_open and from_ms == self.cursor_ms else lanes.earliest(from_ms)

    def _rung_ahead(self, at_ms: int, lane: int, reading: Reading) -> Rung:
        ahead_ms = at_ms - reading.wall_ms
        if ahead_ms <= 0:
            return Rung.NORMAL
        if self._pace is not None:
            began_ms, began_monotonic_ms = self._pace
            if at_ms > began_ms + reading.monotonic_ms - began_monotonic_ms + BORROW_MAX_MS:
                raise WaitABit
            return Rung.HOLD
        if ahead_ms <= BORROW_MAX_MS or (ahead_ms <= _WAIT_AHEAD_MAX_MS and lane == CURRENT_BLOCK):
            return Rung.WAIT
        if ahead_ms <= _WAIT_AHEAD_MAX_MS:
            raise WaitABit
        self._pace = (at_ms, reading.monotonic_ms)
        return Rung.HOLD

    def _new_line(self, lanes: Lanes, *, wall_ms: int) -> Place:
        at_ms, lane = lanes.earliest(wall_ms)
        if at_ms > wall_ms + BORROW_MAX_MS:
            raise NoLaneLeft
        self._pace = None
        return self._settle(at_ms, lane, Rung.LANE)

    def _walk_window(self, *, lanes: Lanes, reading: Reading, is_open: bool) -> Place:
        """The wall clock is beyond what was reserved, so it is not believed: use the window up, ms by ms."""
        from_ms = max(self.cursor_ms, min(reading.store_ms, reading.reserved_until_ms))
        at_ms, lane = self._next(lanes, from_ms=from_ms, is_open=is_open)
        if at_ms > reading.reserved_until_ms:
            raise OutOfWindow
        return self._settle(at_ms, lane, Rung.NORMAL)

    def _settle(self, at_ms: int, lane: int, rung: Rung) -> Place:
        self.cursor_ms = at_ms
        return Place(at_ms, lane, rung)
