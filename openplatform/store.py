"""The fast store (Redis or Valkey). It may be lost or away at any time: nothing that is owed lives here.

Its library is imported when it is first asked: 100 ms and more, and the SDK of OpenTelemetry besides, for nothing in
every command that never asks. A web process calls prepare() before its first request.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    import redis

COOL_OFF_S = 1.0


class StoreDown(Exception):
    """The store refused, was silent for longer than REDIS_TIMEOUT_S, or did so less than a second ago."""


class _Circuit:
    """After one failure nobody asks for a second: a frozen store must not cost every request its timeout."""

    def __init__(self) -> None:
        self._closed_again_at = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the store failed less than COOL_OFF_S ago."""
        return time.monotonic() < self._closed_again_at

    def check(self) -> None:
        if self.is_open:
            raise StoreDown("cooling off")

    def trip(self) -> None:
        with self._lock:
            self._closed_again_at = time.monotonic() + COOL_OFF_S

    def reset(self) -> None:
        with self._lock:
            self._closed_again_at = 0.0


circuit = _Circuit()


@contextmanager
def store() -> Iterator["redis.Redis"]:
    """A client whose every call ends within REDIS_TIMEOUT_S. Raises StoreDown for whatever goes wrong with it."""
    circuit.check()
    import redis  # noqa: PLC0415 - see above

    try:
        yield _client(settings.REDIS_URL)
    except redis.RedisError as error:
        circuit.trip()
        raise StoreDown(type(error).__name__) from error


def prepare() -> None:
    """Have the library and the client at hand. Connects to nobody."""
    _client(settings.REDIS_URL)


@cache
def _client(url: str) -> "redis.Redis":
    import redis  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    # Said aloud: a client made as `Redis(...)` retries ten times, which makes seconds of every short timeout, and one
    # made from a URL happens not to.
    return redis.Redis.from_url(
        url,
        socket_timeout=settings.REDIS_TIMEOUT_S,
        socket_connect_timeout=settings.REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
