"""What a person should know of alarms and of the webhook that tells them. Nothing here writes."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Count, F, Min, Q

from openplatform.models import Alarm, AlarmMessage
from openplatform.models.alarm_message import MessageStatus


@dataclass(frozen=True, kw_only=True)
class WebhookState:
    """Where alarms go and whether they arrive. Of the address only the host is shown: the rest is a secret."""

    is_set: bool
    format: str
    host: str
    owed_count: int
    owed_since: datetime | None
    held_count: int
    last_error: str
    delivered_at: datetime | None

    @property
    def is_failing(self) -> bool:
        """Somebody should have been told and was not yet, after an attempt."""
        return self.owed_count > 0 and bool(self.last_error)


def webhook_state() -> WebhookState:
    rows = AlarmMessage.objects
    owed = Q(status=MessageStatus.OWED)
    counts = rows.filter(owed | Q(status=MessageStatus.HELD)).aggregate(
        owed=Count("pk", filter=owed), since=Min("created_at", filter=owed), held=Count("pk", filter=~owed)
    )
    failed = rows.filter(owed).exclude(last_error="").order_by("-sent_at").first()
    delivered = rows.filter(status=MessageStatus.DELIVERED).order_by("-pk").first()
    return WebhookState(
        is_set=bool(settings.ALARM_WEBHOOK_URL), format=settings.ALARM_WEBHOOK_FORMAT,
        host=urlsplit(settings.ALARM_WEBHOOK_URL).hostname or "", owed_count=counts["owed"],
        owed_since=counts["since"], held_count=counts["held"], last_error=failed.last_error if failed else "",
        delivered_at=delivered.delivered_at if delivered else None,
    )  # fmt: skip


def open_alarms(*, limit: int) -> list[Alarm]:
    """Those that nobody has acknowledged first, and of each part the oldest first."""
    rows = Alarm.objects.filter(closed_at=None)
    return list(rows.order_by(F("acknowledged_at").asc(nulls_first=True), "opened_at")[:limit])
