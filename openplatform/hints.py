"""Waking a worker. A hint may be lost without harm: whatever it says, a sweep of the database finds too.

So publishing must never make a caller wait. By default a dead broker holds a caller for a second, and one that accepts
and is silent for ever; here one attempt has TIMEOUT_S, and after a failure nobody tries for a while. Where broker and
store are one server, a request that has just waited for the store does not wait for the same silence again.
"""

import logging
import os
import threading
import time
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection

from openplatform import store

logger = logging.getLogger(__name__)

TIMEOUT_S = 0.4  # with REDIS_TIMEOUT_S before it, half a second for whoever meets a dead store and another dead broker
LOCK_WAIT_S = 0.1  # for another thread's hint, which takes milliseconds unless it is about to fail
QUIET_S = 5.0
REDIS_PORT = 6379


class _Publisher:
    """One connection of this process, used by one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: Connection | None = None
        self.quiet_until = 0.0

    def publish(self, name: str, *, queue: str, kwargs: dict[str, Any], delay_s: float = 0.0) -> bool:
        if time.monotonic() < self.quiet_until or _has_just_been_silent() or not self.lock.acquire(timeout=LOCK_WAIT_S):
            return False
        try:
            if time.monotonic() < self.quiet_until:  # somebody failed while we waited
                return False
            return self._try(name, queue=queue, kwargs=kwargs, delay_s=delay_s)
        finally:
            self.lock.release()

    def _try(self, name: str, *, queue: str, kwargs: dict[str, Any], delay_s: float) -> bool:
        try:
            if self.connection is None:
                self.connection = _connect()
            current_app.send_task(
                name, kwargs=kwargs, queue=queue, connection=self.connection, retry=False, ignore_result=True,
                countdown=delay_s or None,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - each broker's client has its own errors, and none may reach a caller
            logger.warning("the broker does not take hints (%s); sweeps will do the work", type(error).__name__)
            self.quiet_until = time.monotonic() + QUIET_S
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.collect(socket_timeout=0.1)


def _connect() -> Connection:
    """A connection that gives up at once, unlike the one on which a worker waits for messages."""
    options = dict(current_app.conf.broker_transport_options or {})
    options |= {
        "socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "max_retries": 0, "retry_on_timeout": False,
    }  # fmt: skip
    connection: Connection = current_app.connection_for_write(
        connect_timeout=TIMEOUT_S, transport_options=options, heartbeat=0
    )
    return connection


def short_connection() -> Connection:
    """For whoever looks at the broker: like a hint, it gives up after about half a second. Close it."""
    return _connect()


def _has_just_been_silent() -> bool:
    """Whether the broker's server is the store's, and failed a moment ago."""
    return store.circuit.is_open and _server_of(settings.BROKER_URL) == _server_of(settings.REDIS_URL)


@cache
def _server_of(url: str) -> tuple[str, str | int]:
    """Of a Redis: its socket, or host and port. Another kind of broker has a name of its own."""
    parts = urlsplit(url)
    if parts.scheme in {"unix", "redis+socket"}:
        return "unix", unquote(parts.path)
    if parts.scheme in {"redis", "rediss"}:
        return (parts.hostname or "localhost"), parts.port or REDIS_PORT
    return url, ""


_publisher = _Publisher()


def _forget_after_fork() -> None:
    global _publisher  # noqa: PLW0603 - a child must not share its parent's socket
    _publisher = _Publisher()


os.register_at_fork(after_in_child=_forget_after_fork)


def hint(name: str, *, queue: str = "default", **kwargs: Any) -> None:
    """Wake a worker for the task `name` once the current transaction has committed. Never raises, never waits long."""
    if settings.HINTS_ENABLED:
        transaction.on_commit(lambda: send_now(name, queue=queue, **kwargs), robust=True)


def send_now(name: str, *, queue: str = "default", delay_s: float = 0.0, **kwargs: Any) -> bool:
    """Wake a worker now, or in `delay_s`. False when the broker did not take it, within TIMEOUT_S."""
    return _publisher.publish(name, queue=queue, kwargs=kwargs, delay_s=delay_s)
