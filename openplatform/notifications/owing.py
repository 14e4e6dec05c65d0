"""The moment in which a notification begins to be owed."""

from datetime import datetime
from typing import Any

from django.db import transaction

from openplatform.hints import hint
from openplatform.models import App, Notification
from openplatform.models.notification import NotificationShape

TASK, QUEUE = "openplatform.deliver_notification", "notifications"


def owe(  # noqa: PLR0913 - one row, all named
    *,
    app: App,
    event_type: str,
    object_no: int,
    object_version: int,
    data: dict[str, Any],
    notify_url: str,
    now: datetime,
    traceparent: str = "",
    shape: NotificationShape = NotificationShape.NATIVE,
) -> Notification | None:
    """Owe `app` the news of a change, inside the transaction that makes the change; None without a `notify_url`.

    `data` is JSON: the facts as they are now, which never change again. With `shape` WECHATPAY it is what that envelope
    needs: `event_type`, `summary` and `original_type`, and as `resource` what is to be encrypted. The sweep guarantees
    the delivery, the hint only hurries it.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("owe() must be called inside the transaction that changes the state")
    if not notify_url:
        return None
    notification = Notification.record(
        app=app,
        event_type=event_type,
        object_no=object_no,
        object_version=object_version,
        data=data,
        notify_url=notify_url,
        now=now,
        traceparent=traceparent,
        shape=shape,
    )
    hint_delivery(notification.pk)
    return notification


def hint_delivery(notification_id: int) -> None:
    """Wake a worker for it, on commit."""
    hint(TASK, queue=QUEUE, notification_id=notification_id)
