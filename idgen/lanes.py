"""Invariant I1: inside a process every block (worker, lane, ms) is handed out once, because each lane's ms only grows.

Nothing else is needed for uniqueness inside a process: not the clock's honesty, not a bound on the load.
"""

from idgen.layout import BLOCK_SIZE, EPOCH_MS, LANE_COUNT, block_base


class LaneViolationError(AssertionError):
    """A block was asked for twice. This is a bug in the caller; no id is given."""


class Lanes:
    """The high-water marks of one leased worker id, in ms since 1970. Not thread-safe: callers hold a lock."""

    __slots__ = ("marks", "worker_id")

    def __init__(self, *, worker_id: int, floor_ms: int) -> None:
        self.worker_id = worker_id
        self.marks = [max(floor_ms, EPOCH_MS - 1)] * LANE_COUNT

    @property
    def newest_ms(self) -> int:
        """The latest millisecond that any lane has served."""
        return max(self.marks)

    def earliest(self, from_ms: int) -> tuple[int, int]:
        """The first (ms, lane) from `from_ms` on that was never handed out; the lowest lane if several are free."""
        best_ms, best_lane = self.marks[0] + 1, 0
        for lane, mark in enumerate(self.marks):
            if mark < from_ms:
                return from_ms, lane
            if mark + 1 < best_ms:
                best_ms, best_lane = mark + 1, lane
        return best_ms, best_lane

    def claim(self, *, at_ms: int, lane: int) -> range:
        """Hand out the block's 1,024 ids. The mark moves before anyone can see a number.

        Raises:
            LaneViolationError: this lane has served `at_ms` or a later millisecond.
            EpochExhausted: the time does not fit any more.
        """
        if at_ms <= self.marks[lane]:
            raise LaneViolationError(f"lane {lane} already served {self.marks[lane]} when asked for {at_ms}")
        base = block_base(at_ms=at_ms, worker_id=self.worker_id, lane=lane)
        self.marks[lane] = at_ms
        return range(base, base + BLOCK_SIZE)
