"""The guarantee: whatever is owed is found in the database and given to a worker again."""

from collections.abc import Sequence
from datetime import datetime

from openplatform.hints import send_now
from payments.models import Payment, Refund
from payments.operations.schedules import lease
from payments.queries import due_payments, due_refunds

BATCH_MAX = 500


def sweep_payments(*, now: datetime) -> int:
    """Wake workers for every open payment that is due. Returns how many; stops when the broker does not take them."""
    rows = due_payments(now=now, lease=lease(), limit=BATCH_MAX)
    woken = _wake(rows, task="payments.drive_payment", argument="payment_no", channels=[row.channel for row in rows])
    Payment.remember_hints([row.pk for row in woken], now=now)
    return len(woken)


def sweep_refunds(*, now: datetime) -> int:
    """The same for refunds."""
    rows = due_refunds(now=now, lease=lease(), limit=BATCH_MAX)
    channels = [row.payment.channel for row in rows]
    woken = _wake(rows, task="payments.drive_refund", argument="refund_no", channels=channels)
    Refund.remember_hints([row.pk for row in woken], now=now)
    return len(woken)


def _wake(
    rows: Sequence[Payment | Refund], *, task: str, argument: str, channels: Sequence[str]
) -> list[Payment | Refund]:
    woken: list[Payment | Refund] = []
    for row, channel in zip(rows, channels, strict=True):
        if not send_now(task, queue=f"channel.{channel}", **{argument: row.pk}):
            break
        woken.append(row)
    return woken
