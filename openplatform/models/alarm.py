"""What a person should look at: one open alarm for one trouble, however often it is noticed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext_lazy as _

from openplatform.models.base import one_of

ONE_OPEN = "alarm_one_open"
KEY_LENGTH_MAX, TEXT_LENGTH_MAX, NOTE_LENGTH_MAX = 320, 500, 200


class AlarmKind(models.TextChoices):
    NOTIFICATIONS_PAUSED = "notifications_paused", _("notifications paused")
    NOTIFICATIONS_STUCK = "notifications_stuck", _("notifications stuck")  # we cannot make or send them
    CHANNEL_KEYS = "channel_keys", _("keys of a channel")
    CHANNEL_CLOCK = "channel_clock", _("clocks differ")
    BILL_MISSING = "bill_missing", _("bill missing")
    BILL_REFUSED = "bill_refused", _("bills refused")
    BILL_CHANGED = "bill_changed", _("bill changed")
    BILL_UNSOUND = "bill_unsound", _("bill does not add up")
    CHANNEL_BACKLOG = "channel_backlog", _("backlog of a channel")
    NOTIFICATION_BACKLOG = "notification_backlog", _("backlog of notifications")
    NOTIFICATIONS_HELD = "notifications_held", _("notifications given up")
    UNKNOWN_TOO_LONG = "unknown_too_long", _("results not known for long")
    BREAKER_OPEN = "breaker_open", _("breaker open for long")
    NO_WORKER = "no_worker", _("queue without a worker")
    BEAT_SILENT = "beat_silent", _("sweeps do not run")
    BROKER_UNREACHABLE = "broker_unreachable", _("broker does not answer")
    STORE_UNREACHABLE = "store_unreachable", _("Redis does not answer")
    CLOCK_SKEW = "clock_skew", _("clock is wrong")
    IDGEN_FEW_FREE = "idgen_few_free", _("few worker ids are free")
    IDGEN_SPOILED = "idgen_spoiled", _("worker ids spoiled by a clock")
    IDGEN_REFUSES = "idgen_refuses", _("a process refuses to make numbers")


class Severity(models.TextChoices):
    CRITICAL = "critical", _("critical")  # money or merchants wait: somebody gets up at night
    WARNING = "warning", _("warning")  # can wait for the morning


CRITICAL = frozenset({
    AlarmKind.CHANNEL_BACKLOG, AlarmKind.UNKNOWN_TOO_LONG, AlarmKind.BREAKER_OPEN, AlarmKind.NO_WORKER,
    AlarmKind.BEAT_SILENT, AlarmKind.BROKER_UNREACHABLE, AlarmKind.STORE_UNREACHABLE, AlarmKind.IDGEN_FEW_FREE,
    AlarmKind.IDGEN_REFUSES, AlarmKind.NOTIFICATIONS_STUCK, AlarmKind.CHANNEL_KEYS,
})  # fmt: skip


class Alarm(models.Model):
    """`key` names the thing that is in trouble; `text` says in English what was seen when it began, and `facts` holds
    the same as values, so that each reader is told in their own language.
    """

    kind = models.CharField(_("kind"), max_length=32, choices=AlarmKind.choices)
    key = models.CharField(_("about"), max_length=KEY_LENGTH_MAX)
    text = models.CharField(_("what was seen"), max_length=TEXT_LENGTH_MAX)
    facts = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    opened_at = models.DateTimeField(_("opened at"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True, blank=True)
    acknowledged_by = models.CharField(_("acknowledged by"), max_length=150, blank=True, db_default="")
    note = models.CharField(_("note"), max_length=NOTE_LENGTH_MAX, blank=True, db_default="")

    class Meta:
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        constraints = [
            one_of("kind", AlarmKind, name="alarm_kind_known"),
            models.UniqueConstraint(fields=["kind", "key"], condition=Q(closed_at=None), name=ONE_OPEN),
            models.CheckConstraint(
                condition=Q(closed_at=None) | Q(closed_at__gte=F("opened_at")), name="alarm_times_in_order"
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_at=None, acknowledged_by="")
                | (Q(acknowledged_at__isnull=False) & ~Q(acknowledged_by="")),
                name="alarm_acknowledged_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["opened_at"], condition=Q(closed_at=None), name="alarm_open")]
        permissions = [
            ("acknowledge_alarm", "Can say that an alarm is being looked at"),
            ("reset_breaker", "Can close a channel's breaker"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.key}"

    @property
    def severity(self) -> Severity:
        return Severity.CRITICAL if self.kind in CRITICAL else Severity.WARNING

    @classmethod
    def open(
        cls, *, kind: AlarmKind, key: str, text: str, now: datetime, facts: Mapping[str, Any] | None = None
    ) -> "Alarm | None":
        """The new alarm; None when there is an open one already."""
        alarm = cls(kind=kind, key=key, text=text[:TEXT_LENGTH_MAX], facts=dict(facts or {}), opened_at=now)
        try:
            with transaction.atomic():
                alarm.save(force_insert=True)
        except IntegrityError as error:
            if ONE_OPEN not in str(error):
                raise
            return None
        return alarm

    @classmethod
    def close(cls, *, kind: AlarmKind, key: str, now: datetime) -> "Alarm | None":
        """The trouble is over; not before it began, though `now` may have been read before. The alarm that was open;
        None: there was none.
        """
        alarm = cls.objects.select_for_update().filter(kind=kind, key=key, closed_at=None).first()
        if alarm is None:
            return None
        ends_at = Greatest(F("opened_at"), Value(now, output_field=models.DateTimeField()))
        cls.objects.filter(pk=alarm.pk).update(closed_at=ends_at)
        alarm.refresh_from_db(fields=["closed_at"])
        return alarm

    @classmethod
    def lock_open(cls, alarm_id: int) -> "Alarm | None":
        """The alarm, held until the transaction ends; None when it is over or was acknowledged already."""
        rows = cls.objects.select_for_update().filter(pk=alarm_id, closed_at=None, acknowledged_at=None)
        return rows.first()

    def acknowledge(self, *, by: str, note: str, now: datetime) -> None:
        """Somebody looks at it. It stays open, and is not told again."""
        self.acknowledged_at, self.acknowledged_by, self.note = now, by, note[:NOTE_LENGTH_MAX]
        self.save(update_fields=["acknowledged_at", "acknowledged_by", "note"])


class AlarmStreak(models.Model):
    """How often in a row a figure was beyond its limit, or well below it: what keeps alarms from flapping.

    One row for each figure that is in trouble, or was a moment ago.
    """

    kind = models.CharField(max_length=32, choices=AlarmKind.choices)
    key = models.CharField(max_length=KEY_LENGTH_MAX)
    bad_count = models.PositiveIntegerField(default=0)
    well_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="alarm_streak_one")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.bad_count} bad, {self.well_count} well"

    @classmethod
    def locked(cls) -> "dict[tuple[str, str], AlarmStreak]":
        """All of them, held until the transaction ends."""
        return {(row.kind, row.key): row for row in cls.objects.select_for_update().order_by("pk")}

    def note(self, *, is_bad: bool, is_well: bool) -> None:
        """One more check: beyond the limit, well below it, or in between, which is neither."""
        self.bad_count = self.bad_count + 1 if is_bad else 0
        self.well_count = self.well_count + 1 if is_well else 0
        self.save()

    def forget(self) -> None:
        if self.pk is not None:
            self.delete()
