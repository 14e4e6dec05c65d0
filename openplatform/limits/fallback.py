"""Limits without the store: this process counts for itself, roughly, and says so aloud.

They fail open, for a limit is there to keep the service up. But not wide open: each process lets its share of each
limit through, in fixed windows, so that all of them together let about the limit through.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from django.conf import settings

from openplatform.limits.rules import Tally
from openplatform.limits.verdicts import Standing, Verdict

ALARM_EVERY_S = 60.0
COUNTS_MAX = 10_000  # the oldest makes room, so strangers cannot fill the memory

logger = logging.getLogger(__name__)

health = {"decisions_without_store": 0}
"""Of this process, since it started."""


class _Windows:
    """Counts of this process: of each key the window that it is in, and how many went through in that."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._alarm_at = -math.inf
        self._lock = threading.Lock()

    def count(self, tallies: Sequence[Tally], *, take: bool, now_s: float, why: BaseException) -> Verdict:
        with self._lock:
            self._alarm(now_s=now_s, why=why)
            used = [self._used(tally, now_s=now_s) for tally in tallies]
            fits = all(count < _share(tally) for tally, count in zip(tallies, used, strict=True))
            if take and fits:
                used = [self._add(tally, count + 1, now_s=now_s) for tally, count in zip(tallies, used, strict=True)]
        taken = int(take and fits)
        standings = (
            _standing(tally, count, taken=taken, now_s=now_s) for tally, count in zip(tallies, used, strict=True)
        )
        return Verdict(standings=tuple(standings))

    def _used(self, tally: Tally, *, now_s: float) -> int:
        window, used = self._counts.get(tally.key, (0, 0))
        return used if window == _window(tally, now_s=now_s) else 0

    def _add(self, tally: Tally, used: int, *, now_s: float) -> int:
        self._counts[tally.key] = (_window(tally, now_s=now_s), used)
        self._counts.move_to_end(tally.key)
        if len(self._counts) > COUNTS_MAX:
            self._counts.popitem(last=False)
        return used

    def _alarm(self, *, now_s: float, why: BaseException) -> None:
        health["decisions_without_store"] += 1
        if now_s - self._alarm_at >= ALARM_EVERY_S:
            self._alarm_at = now_s
            logger.error(
                "the store is away (%s): each process counts its share of the limits for itself; %d decisions so far",
                why, health["decisions_without_store"],
            )  # fmt: skip


_windows = _Windows()


def count(tallies: Sequence[Tally], *, take: bool = True, why: BaseException) -> Verdict:
    """As counting.count, of this process alone. `why` is for the alarm, a log line at most once a minute."""
    return _windows.count(tallies, take=take, now_s=time.monotonic(), why=why)


def _share(tally: Tally) -> int:
    return max(1, tally.rule.limit // settings.LIMIT_PROCESSES)


def _window(tally: Tally, *, now_s: float) -> int:
    return int(now_s // tally.rule.period_s)


def _standing(tally: Tally, used: int, *, taken: int, now_s: float) -> Standing:
    rule, share = tally.rule, _share(tally)
    ends_s = math.ceil(rule.period_s - now_s % rule.period_s)
    return Standing(
        rule=rule, fits=used - taken < share, remaining=max(0, share - used), retry_after_s=ends_s, reset_s=ends_s
    )
