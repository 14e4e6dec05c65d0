"""What a merchant may read about its own notifications. Nothing here writes."""

from openplatform.models import Notification, NotificationAttempt
from openplatform.notifications.replay import NotificationNotFound

ATTEMPTS_SHOWN_MAX = 50


def own_notifications(
    *, app_id: int, below: int | None, limit: int, status: str = "", event_type: str = "", object_no: int | None = None
) -> list[Notification]:
    """The newest first, at most `limit`, with ids below `below`."""
    wanted = {"status": status, "event_type": event_type, "object_no": object_no, "pk__lt": below}
    conditions = {name: value for name, value in wanted.items() if value not in {None, ""}}
    return list(Notification.objects.filter(app_id=app_id, **conditions).order_by("-pk")[:limit])


def own_notification(*, app_id: int, notification_id: int) -> tuple[Notification, list[NotificationAttempt]]:
    """One, with its last attempts. Raises NotificationNotFound, also for another app's."""
    notification = Notification.objects.filter(app_id=app_id, pk=notification_id).first()
    if notification is None:
        raise NotificationNotFound
    return notification, list(notification.attempts.order_by("-attempt_no")[:ATTEMPTS_SHOWN_MAX])
