"""Small caches of one process that forget by time: what they hold may be as old as their lifetime, never older."""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_all: "list[TimedCache[Hashable, object]]" = []


class TimedCache(Generic[K, V]):
    """At most `size` entries, each for `lifetime_s`. The oldest makes room, so strangers cannot fill the memory."""

    def __init__(self, *, size: int, lifetime_s: float) -> None:
        self._size = size
        self._lifetime_s = lifetime_s
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()
        _all.append(self)  # type: ignore[arg-type]

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        return entry[1] if entry is not None and time.monotonic() < entry[0] else None

    def put(self, key: K, value: V, *, read_at: float) -> None:
        """`read_at`: time.monotonic() from before the value was read. An entry is never older than its lifetime."""
        with self._lock:
            self._entries[key] = (read_at + self._lifetime_s, value)
            self._entries.move_to_end(key)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


def clear_all() -> None:
    """Forget everything. For tests, whose rows vanish between two of them."""
    for cache in _all:
        cache.clear()
