"""What merchants and operators may read about notifications. Nothing here writes."""

from urllib.parse import urlsplit

from django.db.models import Case, OuterRef, QuerySet, Subquery, When

from openplatform.models import Alarm, Notification, NotificationAttempt, NotifyEndpoint
from openplatform.models.notification import NotificationShape, NotificationStatus, told_host

ATTEMPTS_SHOWN_MAX = 50
LATELY_MAX = 1_000  # the newest of an app: they are found by an index, however many it has


class NotificationNotFound(LookupError):
    """There is no such notification, or it is another app's."""


def with_pause(rows: QuerySet[Notification]) -> QuerySet[Notification]:
    """The same rows, each with its `paused_at`."""
    endpoint = NotifyEndpoint.objects.filter(app=OuterRef("app"), host=told_host(OuterRef("notify_url")))
    paused_at = Subquery(endpoint.values("paused_at")[:1])
    shown = Case(When(status=NotificationStatus.OWED, then=paused_at))
    return rows.annotate(paused_at=shown)  # type: ignore[no-redef]  # the model declares it for others


def own_notifications(
    *, app_id: int, below: int | None, limit: int, status: str = "", event_type: str = "", object_no: int | None = None
) -> list[Notification]:
    """The newest first, at most `limit`, with ids below `below`."""
    wanted = {"status": status, "event_type": event_type, "object_no": object_no, "pk__lt": below}
    conditions = {name: value for name, value in wanted.items() if value not in {None, ""}}
    rows = Notification.objects.filter(app_id=app_id, **conditions).order_by("-pk")
    return list(with_pause(rows)[:limit])


def own_notification(*, app_id: int, notification_id: int) -> tuple[Notification, list[NotificationAttempt]]:
    """One, with its last attempts. Raises NotificationNotFound, also for another app's."""
    notification = with_pause(Notification.objects.filter(app_id=app_id, pk=notification_id)).first()
    if notification is None:
        raise NotificationNotFound
    return notification, list(notification.attempts.order_by("-attempt_no")[:ATTEMPTS_SHOWN_MAX])


def _lately(*, app_id: int) -> QuerySet[Notification]:
    newest = Notification.objects.filter(app_id=app_id).order_by("-pk").values("pk")[:LATELY_MAX]
    return Notification.objects.filter(pk__in=newest).order_by("-pk")


def was_told_lately(*, app_id: int, url: str) -> bool:
    """Whether the host of `url`, with its port, is that of one of the app's own newest notifications."""
    told = _lately(app_id=app_id).annotate(host=told_host()).values_list("host", flat=True)
    return urlsplit(url).netloc in set(told)


def last_notify_url(*, app_id: int, shape: NotificationShape) -> str:
    """Where the app was told last in these words, or ""."""
    return _lately(app_id=app_id).filter(shape=shape).values_list("notify_url", flat=True).first() or ""


def told_appid(*, app_id: int) -> str:
    """The WeChat appid in the last payment that this app was told in WeChat Pay's envelope, or ""."""
    payments = _lately(app_id=app_id).filter(shape=NotificationShape.WECHATPAY, data__original_type="transaction")
    return payments.values_list("data__resource__appid", flat=True).first() or ""


def open_alarms_count() -> int:
    """How many troubles call for a person."""
    return Alarm.objects.filter(closed_at=None).count()
