"""The guarantee: whatever is owed is found in the database and given to a worker again.

Each channel by itself, and no more at once than its queue has room for: one that hangs fills neither the sweep of
another nor the broker. What is not woken now is found again two seconds later.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from openplatform.broker import look_at_broker
from openplatform.hints import send_now
from payments.channels.registry import CHANNELS, queue_of
from payments.models import Payment, Refund
from payments.operations.schedules import lease
from payments.queries import due_payments, due_refunds

BATCH_MAX = 500
# Without a bound a queue that nobody takes from would grow by its whole backlog every half minute, in the memory that
# the replay guard needs too. Whoever is not in it loses nothing: the database knows.
QUEUE_LENGTH_MAX = 1_000


def sweep_payments(*, now: datetime) -> int:
    """Wake workers for every open payment that is due. Returns how many; stops when the broker does not take them."""
    done = 0
    for channel, room in channels_with_room():
        rows = due_payments(now=now, lease=lease(), limit=room, channel=channel)
        woken = _wake(rows, task="payments.drive_payment", argument="payment_no", queue=queue_of(channel))
        Payment.remember_hints([row.pk for row in woken], now=now)
        done += len(woken)
    return done


def sweep_refunds(*, now: datetime) -> int:
    """The same for refunds."""
    done = 0
    for channel, room in channels_with_room():
        rows = due_refunds(now=now, lease=lease(), limit=room, channel=channel)
        woken = _wake(rows, task="payments.drive_refund", argument="refund_no", queue=queue_of(channel))
        Refund.remember_hints([row.pk for row in woken], now=now)
        done += len(woken)
    return done


def channels_with_room() -> Iterator[tuple[str, int]]:
    """Each channel whose queue is not full, and for how many there is room in this sweep."""
    look = look_at_broker([queue_of(channel) for channel in CHANNELS])
    for channel in CHANNELS:
        known = look.queues.get(queue_of(channel))
        room = BATCH_MAX if known is None else min(BATCH_MAX, QUEUE_LENGTH_MAX - known.length)
        if room > 0:
            yield channel, room


def _wake(rows: Sequence[Payment | Refund], *, task: str, argument: str, queue: str) -> list[Payment | Refund]:
    woken: list[Payment | Refund] = []
    for row in rows:
        if not send_now(task, queue=queue, **{argument: row.pk}):
            break
        woken.append(row)
    return woken
