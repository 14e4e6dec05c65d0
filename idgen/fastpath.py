"""The few lines that run for every id. Measured, so that they look the way they do:

- closure cells, because an attribute of `self` costs a dictionary look-up each;
- `for number in numbers: return number`, because advancing a range iterator is one C call without Python code inside:
  under the GIL it is atomic, so that no lock, shift or mask is needed per id;
- one clock read and one chained comparison, because a clock that stepped back has to be seen at once;
- a batch is one `islice` in C.

Two threads may see cells of two different blocks here. That only makes a comparison stale: an id comes from one
iterator, and no two iterators share a number.
"""

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from threading import Lock

BATCH_MAX = 10_000


Expose = Callable[[float, float, Iterator[int]], None]
"""(low_s, high_s, numbers): let the fast path take from `numbers` while low_s <= clock < high_s."""
NextId = Callable[[], int]
NextIds = Callable[[int], list[int]]


def has_gil() -> bool:
    """False on a free-threaded interpreter that runs without its lock."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def lock_free(*, clock: Callable[[], float], refill: NextId) -> tuple[NextId, NextIds, Expose]:
    """The form for an interpreter with a GIL. `refill` takes the generator's lock itself."""
    low = high = 0.0
    numbers: Iterator[int] = iter(range(0))

    def next_id() -> int:
        """A new id. Raises IdgenUnavailable rather than risk a duplicate."""
        if low <= clock() < high:
            for number in numbers:
                return number
        return refill()

    def next_ids(count: int) -> list[int]:
        """`count` new ids, 1 to 10,000, rising. Raises IdgenUnavailable rather than risk a duplicate."""
        if not 1 <= count <= BATCH_MAX:
            raise ValueError(f"a batch is 1 to {BATCH_MAX} ids, not {count}")
        ids: list[int] = []
        while (missing := count - len(ids)) > 0:
            if low <= clock() < high:
                ids += islice(numbers, missing)
            if len(ids) < count:
                ids.append(refill())
        return ids

    def expose(new_low: float, new_high: float, new_numbers: Iterator[int]) -> None:
        nonlocal low, high, numbers
        numbers = new_numbers
        low = new_low
        high = new_high

    return next_id, next_ids, expose


def locked(
    *, clock: Callable[[], float], refill: NextId, acquire: Callable[[], Lock]
) -> tuple[NextId, NextIds, Expose]:
    """The form for an interpreter without a GIL: one lock per id or batch. `refill` is called with it held.

    Args:
        acquire: takes the generator's lock, or raises when that takes too long, and returns it.
    """
    take, take_many, expose = lock_free(clock=clock, refill=refill)

    def next_id() -> int:
        """A new id. Raises IdgenUnavailable rather than risk a duplicate."""
        lock = acquire()
        try:
            return take()
        finally:
            lock.release()

    def next_ids(count: int) -> list[int]:
        """`count` new ids, 1 to 10,000, rising. Raises IdgenUnavailable rather than risk a duplicate."""
        lock = acquire()
        try:
            return take_many(count)
        finally:
            lock.release()

    return next_id, next_ids, expose
