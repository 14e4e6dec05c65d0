"""Notifications as what is owed to a merchant, whatever the channel: written with the state that they tell."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sandbox import options, runtime
from sandbox.choosing import choose
from sandbox.faults import Subject
from sandbox.models import Notification, PayOrder
from sandbox.plans import ORDINARY_NOTICE, NoticePlan
from sandbox.store import writing


def owe(
    *,
    subject: Subject,
    order: PayOrder,
    url: str,
    event_type: str,
    write: Callable[[Notification, NoticePlan], str],
    now: datetime,
) -> None:
    """Inside the transaction of the change that is told. `write` makes the content and may set the event_id."""
    plan = choose(subject).notice
    held = plan.never or plan.after_next
    notification = Notification.objects.create(
        channel=order.channel,
        order=order,
        mchid=order.mchid,
        number=subject.number,
        event_type=event_type,
        url=url,
        plan={} if plan == ORDINARY_NOTICE else asdict(plan),
        state=Notification.HELD if held else Notification.WAITING,
        created_at=now,
        next_at=None if held else now + timedelta(seconds=options.compressed(plan.delay_s)),
    )
    notification.body = write(notification, plan)
    notification.save()
    runtime.wake.set()


def resend(notification: Notification, *, now: datetime) -> None:
    """One more round from now on, whatever became of it before."""
    with writing():
        notification.state, notification.next_at = Notification.WAITING, now
        notification.save(update_fields=["state", "next_at"])
    runtime.wake.set()


def release_overtaken(notification: Notification, *, now: datetime) -> None:
    """`notification` has been told: those of its order that were to come after a later one are due now."""
    waiting = Notification.objects.filter(order=notification.order, state=Notification.HELD, pk__lt=notification.pk)
    for held in waiting:
        if held.plan.get("after_next"):
            held.state, held.next_at = Notification.WAITING, now
            held.save(update_fields=["state", "next_at"])


def altered(content: dict[str, Any], changes: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """`content` with some of its values put through a function; names that it does not have are left out."""
    return content | {name: change(content[name]) for name, change in changes.items() if name in content}
