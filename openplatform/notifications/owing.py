"""Owing a notification: a row beside the state that it tells, and a hint to whoever delivers."""

from datetime import datetime
from typing import Any

from django.db import transaction

from openplatform.hints import hint
from openplatform.models import App, Notification

QUEUE = "notifications"
DELIVER_TASK = "openplatform.deliver_notification"


def owe(  # noqa: PLR0913 - one event, all named
    *,
    app: App,
    event_type: str,
    object_no: int,
    object_version: int,
    data: dict[str, Any],
    notify_url: str,
    now: datetime,
    traceparent: str = "",
) -> Notification | None:
    """Owe `app` the news of an event; None when it named no address.

    Call it inside the transaction that changes the state: either both are written or neither is.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a notification is owed in the transaction of the state that it tells")
    if not notify_url:
        return None
    notification = Notification.record(
        app=app, event_type=event_type, object_no=object_no, object_version=object_version, data=data,
        notify_url=notify_url, now=now, traceparent=traceparent,
    )  # fmt: skip
    hint(DELIVER_TASK, queue=QUEUE, notification_id=notification.pk)
    return notification
