"""`Prefer: wait=N` and `Prefer: respond-async` (RFC 7240): how long a caller waits, bounded for everybody's sake."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

_WAIT = re.compile(r"wait=([0-9]{1,3})")
_waiters = threading.BoundedSemaphore(settings.CREATE_WAITERS_MAX)


def preferred_wait_s(header: str) -> float:
    """Seconds to wait, from the Prefer header. What is not understood is ignored, as the RFC asks."""
    preferences = [part.strip() for part in re.split(r"[,;]", header.lower())]
    if "respond-async" in preferences:
        return 0.0
    for part in preferences:
        if match := _WAIT.fullmatch(part):
            return min(float(match[1]), settings.CREATE_WAIT_MAX_S)
    return float(settings.CREATE_WAIT_S)


@contextmanager
def a_place_to_wait(wait_s: float) -> Iterator[float]:
    """Give `wait_s`, or 0 when this process has enough waiters: a slow channel must not take every web thread."""
    if not _waiters.acquire(blocking=False):
        yield 0.0
        return
    try:
        yield wait_s
    finally:
        _waiters.release()
