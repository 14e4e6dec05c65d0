"""The guarantee: whatever is owed and due is found in the database and given to a worker again."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from openplatform.hints import send_now
from openplatform.models import Notification
from openplatform.models.notification import HINT_AGAIN_AFTER, NotificationStatus
from openplatform.notifications.owing import QUEUE, TASK

BATCH_MAX = 500


def sweep_notifications(*, now: datetime) -> int:
    """Wake workers for what is due. Returns how many; stops when the broker does not take them.

    Two sweeps at once share the work: each skips the rows that the other has locked.
    """
    with transaction.atomic():
        due = (
            Notification.objects.select_for_update(skip_locked=True)
            .filter(
                Q(lease_until=None) | Q(lease_until__lt=now),
                Q(hinted_at=None) | Q(hinted_at__lt=now - HINT_AGAIN_AFTER),
                status=NotificationStatus.OWED,
                next_attempt_at__lte=now,
            )
            .order_by("next_attempt_at")
            .values_list("pk", flat=True)[:BATCH_MAX]
        )
        ids = list(due)
        Notification.remember_hints(ids, now=now)
    for done, notification_id in enumerate(ids):
        if not send_now(TASK, queue=QUEUE, notification_id=notification_id):
            Notification.forget_hints(ids[done:])
            return done
    return len(ids)
