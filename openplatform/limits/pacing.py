"""The leaky bucket as a queue: what we send goes out at a steady rate, and each call is told when its turn is.

The answer is for a task's `countdown` or a row's due time. Nobody sleeps on it.
"""

import math
import threading
import time
from dataclasses import dataclass

from django.conf import settings

from openplatform.limits.rules import SECOND_US
from openplatform.limits.scripts import Script
from openplatform.store import StoreDown

NAMES_MAX = 10_000

_reserve = Script("reserve.lua")
_local: dict[str, float] = {}  # without the store: when each of this process's own queues is empty
_lock = threading.Lock()


class QueueFull(Exception):
    """The wait would be longer than the pace allows; nothing was reserved. Come back later."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """`calls` in `period_s`, evenly; nobody is told to wait for longer than `wait_max_s`."""

    calls: int
    period_s: float
    wait_max_s: float

    def __post_init__(self) -> None:
        if self.calls < 1 or self.period_s <= 0 or self.wait_max_s < 0:
            raise ValueError("a pace lets something through, in a time that passes")

    @property
    def interval_us(self) -> int:
        return math.ceil(self.period_s * SECOND_US / self.calls)


def reserve(name: str, pace: Pace, *, now_us: int | None = None) -> float:
    """Seconds until the next turn in the queue `name`, which is taken with this. Raises QueueFull.

    Without the store each process keeps a queue of its own, so much slower that all together keep the pace.
    `now_us` replaces the store's clock, in tests.
    """
    key = f"pace:{name}:{pace.interval_us}"  # another pace is another queue
    arguments = [pace.interval_us, round(pace.wait_max_s * SECOND_US), "" if now_us is None else now_us]
    try:
        wait_us = int(_reserve.run(keys=[key], arguments=arguments))
    except StoreDown:
        return _reserve_here(key, pace)
    if wait_us < 0:
        raise QueueFull(name)
    return wait_us / SECOND_US


def _reserve_here(key: str, pace: Pace) -> float:
    now_s = time.monotonic()
    with _lock:
        if len(_local) >= NAMES_MAX:
            _local.clear()
        wait_s = max(0.0, _local.get(key, 0.0) - now_s)
        if wait_s > pace.wait_max_s:
            raise QueueFull(key)
        _local[key] = now_s + wait_s + settings.LIMIT_PROCESSES * pace.interval_us / SECOND_US
    return wait_s
