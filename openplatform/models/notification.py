"""What we owe a merchant's server: one row per event, and one row per attempt to tell it."""

from datetime import datetime, timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.clocks import still_runs, was_lately
from openplatform.models.app import App
from openplatform.models.base import AppendOnly, one_of

LEASE = timedelta(seconds=30)  # several times the longest attempt: a lease only ends under a process that is dead
HINT_AGAIN_AFTER = timedelta(seconds=30)
EXCERPT_LENGTH_MAX = 512
BROUGHT_FORWARD_MAX = 5_000  # what is beyond waits for its own time, as if nothing had happened


def told_host(url: Any = "notify_url") -> Func:
    """In SQL what `Notification.notify_host` is here: the text between the second and the third slash."""
    return Func(url, Value("/"), Value(3), function="split_part", output_field=models.CharField())


def in_hand(*, now: datetime) -> Q:
    """Somebody makes an attempt."""
    return still_runs("lease_until", now=now, lasts=LEASE)


def in_queue(*, now: datetime) -> Q:
    """A worker was woken for it a moment ago."""
    return was_lately("hinted_at", now=now, within=HINT_AGAIN_AFTER)


class NotificationStatus(models.TextChoices):
    OWED = "owed", _("owed")
    DELIVERED = "delivered", _("delivered")
    HELD = "held", _("held")  # the schedule is used up: a person decides
    GONE = "gone", _("gone")  # the merchant said 410: stop telling


class NotificationShape(models.TextChoices):
    """Whose words the merchant's server understands."""

    NATIVE = "native", _("native")
    WECHATPAY = "wechatpay", _("WeChat Pay's")


class AttemptKind(models.TextChoices):
    SCHEDULED = "scheduled", _("scheduled")
    PROBE = "probe", _("probe of a paused host")  # outside the schedule: it takes no step of it
    SIGN_TEST = "sign_test", _("wrongly signed, to be refused")


class Notification(models.Model):
    """The facts of an event never change; each attempt is built from them anew, under the same id."""

    # Not columns: for what kind of attempt this object was claimed, and what notifications.queries.with_pause found.
    attempt_kind = AttemptKind.SCHEDULED
    paused_at: datetime | None = None

    id = SnowflakeField(_("event id"), primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="notifications", verbose_name=_("app"))
    event_type = models.CharField(_("event"), max_length=64)
    object_no = models.BigIntegerField(_("object no."))
    object_version = models.PositiveIntegerField(_("version"))
    data = models.JSONField(_("data"), encoder=DjangoJSONEncoder)
    shape = models.CharField(
        _("shape"), max_length=16, choices=NotificationShape.choices, default=NotificationShape.NATIVE
    )
    notify_url = models.CharField(_("sent to"), max_length=512)
    status = models.CharField(
        _("status"), max_length=16, choices=NotificationStatus.choices, default=NotificationStatus.OWED
    )
    attempts_count = models.PositiveIntegerField(_("attempts"), default=0)
    schedule_step = models.PositiveSmallIntegerField(_("step of the schedule"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, blank=True)
    lease_until = models.DateTimeField(_("being sent until"), null=True, blank=True)
    hinted_at = models.DateTimeField(_("given to a worker at"), null=True, blank=True)
    troubles_count = models.PositiveSmallIntegerField(_("failures of ours in a row"), default=0, db_default=0)
    replayed_at = models.DateTimeField(_("replayed at"), null=True, blank=True)
    traceparent = models.CharField(max_length=55, default="", blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"))
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            one_of("status", NotificationStatus, name="notification_status_known"),
            one_of("shape", NotificationShape, name="notification_shape_known"),
            models.CheckConstraint(
                condition=Q(status=NotificationStatus.OWED, next_attempt_at__isnull=False)
                | (~Q(status=NotificationStatus.OWED) & Q(next_attempt_at=None)),
                name="notification_owed_has_next_attempt",
            ),
            models.CheckConstraint(
                condition=Q(status=NotificationStatus.DELIVERED, delivered_at__isnull=False)
                | (~Q(status=NotificationStatus.DELIVERED) & Q(delivered_at=None)),
                name="notification_delivered_has_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(status=NotificationStatus.OWED), name="notification_due"
            ),
            models.Index(fields=["id"], condition=Q(status=NotificationStatus.HELD), name="notification_held"),
            models.Index(fields=["app", "-id"], name="notification_by_app"),
            models.Index(fields=["object_no"], name="notification_by_object"),
            models.Index(
                "app",
                told_host(),
                "next_attempt_at",
                "id",
                condition=Q(status=NotificationStatus.OWED),
                name="notification_owed_by_host",
            ),
            models.Index(fields=["app"], condition=Q(lease_until__isnull=False), name="notification_in_flight"),
            models.Index(
                fields=["app"],
                condition=Q(status=NotificationStatus.OWED, hinted_at__isnull=False),
                name="notification_in_queue",
            ),
        ]
        permissions = [("replay_notification", "Can send a notification again")]

    def __str__(self) -> str:
        return f"{self.event_type} {self.object_no}"

    @classmethod
    def record(  # noqa: PLR0913 - one row, all named
        cls,
        *,
        app: App,
        event_type: str,
        object_no: int,
        object_version: int,
        data: dict[str, Any],
        notify_url: str,
        now: datetime,
        traceparent: str,
        shape: NotificationShape = NotificationShape.NATIVE,
    ) -> "Notification":
        """Write down that an event is owed to `notify_url`, due at once."""
        notification = cls(
            app=app, event_type=event_type, object_no=object_no, object_version=object_version, data=data,
            notify_url=notify_url, next_attempt_at=now, traceparent=traceparent, created_at=now, shape=shape,
        )  # fmt: skip
        notification.save(force_insert=True)
        return notification

    @property
    def notify_host(self) -> str:
        """The host of `notify_url`, with its port; what stands there in an address that is none."""
        parts = self.notify_url.split("/", 3)
        return parts[2] if len(parts) > 2 else ""

    @classmethod
    def claim(
        cls,
        notification_id: int,
        *,
        now: datetime,
        kind: AttemptKind = AttemptKind.SCHEDULED,
        again_at: datetime | None = None,
    ) -> "Notification | None":
        """Take the row for one attempt if it is due and nobody else has it; None otherwise.

        One guarded UPDATE decides, so of any number of tasks at once exactly one gets it. The attempt is counted
        here: one that kills its process still counts, and such a row ends on the schedule like any other, at
        `again_at` at the earliest. A probe is outside the schedule: it need not be due, and takes no step.
        """
        is_probe = kind == AttemptKind.PROBE
        due = Q() if is_probe else Q(next_attempt_at__lte=now)
        claimed = cls.objects.filter(due, pk=notification_id, status=NotificationStatus.OWED).exclude(in_hand(now=now))
        changes = {} if again_at is None or is_probe else {"next_attempt_at": again_at}
        is_mine = claimed.update(
            lease_until=now + LEASE,
            attempts_count=F("attempts_count") + 1,
            schedule_step=F("schedule_step") + (0 if is_probe else 1),
            **changes,
        )
        if not is_mine:
            return None
        row = cls.objects.select_related("app").get(pk=notification_id)
        row.attempt_kind = kind
        return row

    @classmethod
    def give_back(cls, claimed: "Notification", *, at: datetime) -> bool:
        """The attempt that `claimed` stands for could not be made, for a reason of ours: it takes neither a step nor a
        number, and the row is due `at`. False when it is not ours any more: it was written down, or somebody took it.
        """
        mine = cls.objects.filter(
            pk=claimed.pk, status=NotificationStatus.OWED, attempts_count=claimed.attempts_count,
            lease_until=claimed.lease_until,
        )  # fmt: skip
        step = 0 if claimed.attempt_kind == AttemptKind.PROBE else 1
        given_back = mine.update(
            attempts_count=F("attempts_count") - 1,
            schedule_step=Greatest(F("schedule_step") - step, 0),  # 0 already when it was replayed meanwhile
            troubles_count=F("troubles_count") + 1,
            next_attempt_at=at, lease_until=None, hinted_at=None,
        )  # fmt: skip
        return bool(given_back)

    @classmethod
    def in_flight_count(cls, *, app_id: int, now: datetime) -> int:
        """How many attempts for this app are being made."""
        return cls.objects.filter(in_hand(now=now), app_id=app_id).count()

    @classmethod
    def bring_forward(cls, *, app_id: int, host: str, now: datetime) -> int:
        """What waits for this host waits no longer, the oldest first and BROUGHT_FORWARD_MAX at most; their steps of
        the schedule stay. Returns how many. Rows that somebody has locked are left out: they are being seen to.
        """
        at_host = cls.objects.alias(host=told_host()).filter(app_id=app_id, host=host)
        waiting = at_host.filter(status=NotificationStatus.OWED, next_attempt_at__gt=now).order_by("pk")
        with transaction.atomic():
            oldest = list(
                waiting.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BROUGHT_FORWARD_MAX]
            )
            return cls.objects.filter(pk__in=oldest).update(next_attempt_at=now, hinted_at=None)

    def is_mine_after(self, claimed: "Notification") -> bool:
        """Whether nobody claimed this row again since `claimed` was read."""
        return self.attempts_count == claimed.attempts_count

    def deliver(self, *, now: datetime) -> None:
        """The merchant's server took it."""
        self._end(NotificationStatus.DELIVERED, delivered_at=now)

    def stop(self) -> None:
        """The merchant's server said 410 Gone: this address wants to hear no more of it."""
        self._end(NotificationStatus.GONE)

    def hold(self) -> None:
        """The schedule is used up. It stays here until somebody replays it."""
        self._end(NotificationStatus.HELD)

    def retry(self, *, at: datetime) -> None:
        """Not delivered this time; try again then."""
        self.next_attempt_at = at
        self.lease_until = None
        self.hinted_at = None
        self.troubles_count = 0
        self.save(update_fields=["next_attempt_at", "lease_until", "hinted_at", "troubles_count"])

    def count_sign_test(self) -> None:
        """One more attempt after the delivery: it changes nothing but the count."""
        self.attempts_count += 1
        self.attempt_kind = AttemptKind.SIGN_TEST
        self.save(update_fields=["attempts_count"])

    def replay(self, *, now: datetime) -> None:
        """Owe it again, from the beginning of the schedule, whatever became of it before; the same event id."""
        self.replay_all([self.pk], now=now)
        self.refresh_from_db()

    @classmethod
    def replay_all(cls, notification_ids: list[int], *, now: datetime) -> None:
        """The same for many."""
        cls.objects.filter(pk__in=notification_ids).update(
            status=NotificationStatus.OWED, next_attempt_at=now, schedule_step=0, delivered_at=None, hinted_at=None,
            replayed_at=now,
        )  # fmt: skip

    @classmethod
    def remember_hints(cls, notification_ids: list[int], *, now: datetime) -> None:
        """These rows were given to workers now: the sweep leaves them alone for a while."""
        cls.objects.filter(pk__in=notification_ids).update(hinted_at=now)

    @classmethod
    def forget_hints(cls, notification_ids: list[int]) -> None:
        """No worker was told about these after all."""
        cls.objects.filter(pk__in=notification_ids).update(hinted_at=None)

    def _end(self, status: NotificationStatus, *, delivered_at: datetime | None = None) -> None:
        self.status = status
        self.delivered_at = delivered_at
        self.next_attempt_at = None
        self.lease_until = None
        self.troubles_count = 0
        self.save(update_fields=["status", "delivered_at", "next_attempt_at", "lease_until", "troubles_count"])


class NotificationAttempt(AppendOnly):
    """One try to tell the merchant, as it went."""

    notification = models.ForeignKey(
        Notification, on_delete=models.PROTECT, related_name="attempts", verbose_name=_("notification")
    )
    attempt_no = models.PositiveIntegerField(_("attempt"))
    kind = models.CharField(
        _("kind"), max_length=16, choices=AttemptKind.choices, db_default=AttemptKind.SCHEDULED.value
    )
    attempted_at = models.DateTimeField(_("attempted at"))
    duration_ms = models.PositiveIntegerField(_("took (ms)"))
    status_code = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=64, default="", blank=True)
    response_excerpt = models.CharField(_("answer"), max_length=EXCERPT_LENGTH_MAX, default="", blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["-attempt_no"]
        constraints = [
            models.UniqueConstraint(fields=["notification", "attempt_no"], name="notification_attempt_no_unique"),
            one_of("kind", AttemptKind, name="notification_attempt_kind_known"),
            models.CheckConstraint(
                condition=Q(status_code__isnull=False) | ~Q(error=""), name="notification_attempt_says_how_it_went"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.attempt_no}"

    @classmethod
    def record(cls, *, claimed: Notification, attempted_at: datetime, duration_ms: int, **outcome: Any) -> None:
        """Write down how the attempt that `claimed` stands for went: `status_code`, `error`, `response_excerpt`."""
        cls(
            notification=claimed,
            attempt_no=claimed.attempts_count,
            kind=claimed.attempt_kind,
            attempted_at=attempted_at,
            duration_ms=duration_ms,
            **outcome,
        ).save(force_insert=True)
