"""What merchants and operators may read about notifications. Nothing here writes."""

from django.db.models import Case, OuterRef, QuerySet, Subquery, When

from openplatform.models import Alarm, Notification, NotificationAttempt, NotifyEndpoint
from openplatform.models.notification import NotificationStatus

ATTEMPTS_SHOWN_MAX = 50


class NotificationNotFound(LookupError):
    """There is no such notification, or it is another app's."""


def with_pause(rows: QuerySet[Notification]) -> QuerySet[Notification]:
    """The same rows, each with its `paused_at`."""
    endpoint = NotifyEndpoint.objects.filter(app=OuterRef("app"), host=OuterRef("notify_host"))
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


def open_alarms_count() -> int:
    """How many troubles call for a person."""
    return Alarm.objects.filter(closed_at=None).count()
