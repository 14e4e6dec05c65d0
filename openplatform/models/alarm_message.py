"""What we owe to the people on call: an alarm began, is still there, or is over. Written with the alarm's own row."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from openplatform.clocks import still_runs
from openplatform.models.alarm import Alarm
from openplatform.models.base import one_of

LEASE = timedelta(seconds=30)  # several times the longest attempt: a lease only ends under a process that is dead
ERROR_LENGTH_MAX = 64


def _in_nobodys_hand(*, now: datetime) -> Q:
    return Q(lease_until=None) | ~still_runs("lease_until", now=now, lasts=LEASE)


class MessageEvent(models.TextChoices):
    OPENED = "opened", _("began")
    REMINDER = "reminder", _("still there")
    CLOSED = "closed", _("over")


class MessageStatus(models.TextChoices):
    OWED = "owed", _("owed")
    DELIVERED = "delivered", _("delivered")
    HELD = "held", _("given up")  # the schedule is used up
    DROPPED = "dropped", _("not needed any more")  # somebody acknowledged the alarm before it was told


class AlarmMessage(models.Model):
    """One thing to say about one alarm."""

    alarm = models.ForeignKey(Alarm, on_delete=models.PROTECT, related_name="messages", verbose_name=_("alarm"))
    event = models.CharField(_("event"), max_length=16, choices=MessageEvent.choices)
    status = models.CharField(_("status"), max_length=16, choices=MessageStatus.choices, default=MessageStatus.OWED)
    attempts_count = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, blank=True)
    lease_until = models.DateTimeField(_("being sent until"), null=True, blank=True)
    last_error = models.CharField(_("last failure"), max_length=ERROR_LENGTH_MAX, blank=True)
    is_summed_up = models.BooleanField(_("in a summary"), default=False)
    created_at = models.DateTimeField(_("created at"))
    sent_at = models.DateTimeField(_("last attempt at"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)

    class Meta:
        verbose_name = _("message about an alarm")
        verbose_name_plural = _("messages about alarms")
        ordering = ["-pk"]
        constraints = [
            one_of("event", MessageEvent, name="alarm_message_event_known"),
            one_of("status", MessageStatus, name="alarm_message_status_known"),
            models.UniqueConstraint(
                fields=["alarm", "event"], condition=~Q(event=MessageEvent.REMINDER), name="alarm_message_once"
            ),
            models.CheckConstraint(
                condition=Q(status=MessageStatus.OWED, next_attempt_at__isnull=False)
                | (~Q(status=MessageStatus.OWED) & Q(next_attempt_at=None)),
                name="alarm_message_owed_has_next_attempt",
            ),
            models.CheckConstraint(
                condition=Q(status=MessageStatus.DELIVERED, delivered_at__isnull=False)
                | (~Q(status=MessageStatus.DELIVERED) & Q(delivered_at=None)),
                name="alarm_message_delivered_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status=MessageStatus.OWED), name="alarm_message_owed"),
            models.Index(fields=["-sent_at"], condition=Q(sent_at__isnull=False), name="alarm_message_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.get_event_display()} {self.get_status_display()}"

    @classmethod
    def owe(cls, *, alarm: Alarm, event: MessageEvent, now: datetime) -> "AlarmMessage":
        """Write down that it is to be told, at once."""
        message = cls(alarm=alarm, event=event, next_attempt_at=now, created_at=now)
        message.save(force_insert=True)
        return message

    @classmethod
    def alarms_to_repeat(cls, *, since: datetime) -> list[Alarm]:
        """Open alarms that nobody has acknowledged and of which nothing was said after `since`; held until the end."""
        said = cls.objects.filter(alarm=OuterRef("pk"), created_at__gt=since)
        rows = Alarm.objects.select_for_update(skip_locked=True).filter(~Exists(said), closed_at=None)
        return list(rows.filter(acknowledged_at=None, opened_at__lte=since).order_by("pk"))

    @classmethod
    def due(cls, *, now: datetime) -> "models.QuerySet[AlarmMessage]":
        """What may be sent now, the oldest first, but one that was refused is in nobody's way. Of one alarm the end is
        not told before the beginning.
        """
        earlier = cls.objects.filter(alarm=OuterRef("alarm"), status=MessageStatus.OWED, pk__lt=OuterRef("pk"))
        rows = cls.objects.filter(
            _in_nobodys_hand(now=now), ~Exists(earlier), status=MessageStatus.OWED, next_attempt_at__lte=now
        )
        return rows.order_by("attempts_count", "pk")

    @classmethod
    def sent_since(cls, since: datetime) -> tuple[int, int]:
        """How many were sent by themselves since then, and how many in summaries; whether they were taken or not."""
        sent = cls.objects.filter(sent_at__gt=since).aggregate(
            singles=Count("pk", filter=Q(is_summed_up=False)), summed_up=Count("pk", filter=Q(is_summed_up=True))
        )
        return sent["singles"], sent["summed_up"]

    @classmethod
    def claim(cls, message_ids: list[int], *, now: datetime, is_summed_up: bool) -> "list[AlarmMessage]":
        """Those of them that nobody else has taken, for one attempt; the attempt is counted here, so that one which
        kills its process counts too. Call it in a transaction.
        """
        wanted = cls.objects.filter(_in_nobodys_hand(now=now), status=MessageStatus.OWED)
        locked = list(
            wanted.filter(pk__in=message_ids).select_for_update(skip_locked=True).values_list("pk", flat=True)
        )
        cls.objects.filter(pk__in=locked).update(
            lease_until=now + LEASE, attempts_count=F("attempts_count") + 1, sent_at=now, is_summed_up=is_summed_up
        )
        return list(cls.objects.filter(pk__in=locked).select_related("alarm").order_by("pk"))

    @classmethod
    def lock_claimed(cls, claimed: "list[AlarmMessage]") -> "list[AlarmMessage]":
        """The rows of `claimed` that nobody claimed again since, and that are still owed; held until the end."""
        attempts = {row.pk: row.attempts_count for row in claimed}
        rows = cls.objects.select_for_update().filter(pk__in=attempts, status=MessageStatus.OWED).order_by("pk")
        return [row for row in rows if row.attempts_count == attempts[row.pk]]

    def deliver(self, *, now: datetime) -> None:
        self._end(MessageStatus.DELIVERED, delivered_at=now, last_error="")

    def hold(self, *, error: str) -> None:
        """The schedule is used up."""
        self._end(MessageStatus.HELD, last_error=error)

    def retry(self, *, at: datetime, error: str) -> None:
        self.next_attempt_at, self.lease_until, self.last_error = at, None, error[:ERROR_LENGTH_MAX]
        self.save(update_fields=["next_attempt_at", "lease_until", "last_error"])

    @classmethod
    def wait_together(cls, *, now: datetime, until: datetime) -> None:
        """The webhook does not answer: what is due besides would fail as well."""
        due = cls.objects.filter(status=MessageStatus.OWED, next_attempt_at__lte=now)
        due.filter(_in_nobodys_hand(now=now)).update(next_attempt_at=until)

    @classmethod
    def drop_owed(cls, *, alarm: Alarm) -> None:
        """Nobody needs to be told of this alarm any more: somebody looks at it."""
        rows = cls.objects.filter(alarm=alarm, status=MessageStatus.OWED)
        rows.update(status=MessageStatus.DROPPED, next_attempt_at=None, lease_until=None)

    def _end(self, status: MessageStatus, *, last_error: str, delivered_at: datetime | None = None) -> None:
        self.status, self.delivered_at, self.last_error = status, delivered_at, last_error[:ERROR_LENGTH_MAX]
        self.next_attempt_at = self.lease_until = None
        self.save(update_fields=["status", "delivered_at", "last_error", "next_attempt_at", "lease_until"])
