"""A look at the broker: how long each queue is, and for how long its oldest message has waited.

The broker is only the hurry; that it does not answer is a figure like any other.
"""

import json
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from openplatform.hints import short_connection

SENT_AT_HEADER = "fenpay_sent_at"  # when a message was published, in seconds since 1970; put in by config/celery.py

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class QueueLook:
    """`oldest_s` is None where the broker cannot tell: only Redis lets one look at a message without taking it."""

    length: int
    oldest_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class BrokerLook:
    """`error` is one word for why it could not be asked; "" when it could."""

    queues: dict[str, QueueLook] = field(default_factory=dict)
    error: str = ""


def look_at_broker(names: Collection[str]) -> BrokerLook:
    """Ask for the queues `names`. Never raises, and waits about a second at most."""
    connection = None
    try:
        connection = short_connection()
        return BrokerLook(queues={name: _look(connection, name) for name in names})
    except Exception as error:  # noqa: BLE001 - each broker's client has its own errors, and all mean the same here
        return BrokerLook(error=type(error).__name__)
    finally:
        if connection is not None:
            connection.collect(socket_timeout=0.1)


def _look(connection: Any, name: str) -> QueueLook:
    channel = connection.channel()
    try:
        if hasattr(channel, "conn_or_acquire"):  # Redis: a list, whose right end is taken next
            with channel.conn_or_acquire() as client:
                length, oldest = client.pipeline(transaction=False).llen(name).lindex(name, -1).execute()
            return QueueLook(length=length, oldest_s=_age_s(oldest))
        return QueueLook(length=channel.queue_declare(queue=name, passive=True).message_count)
    except connection.channel_errors:  # nobody has sent or taken anything there yet
        return QueueLook(length=0)
    finally:
        channel.close()


def _age_s(message: bytes | None) -> int | None:
    if message is None:
        return None
    try:
        return max(0, int(time.time() - json.loads(message)["headers"][SENT_AT_HEADER]))
    except (ValueError, KeyError, TypeError):  # from before this was sent, or not one of ours
        return None
