"""What a person should look at: one open alarm for one trouble, however often it is noticed."""

from datetime import datetime

from django.db import IntegrityError, models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext_lazy as _

from openplatform.models.base import one_of

ONE_OPEN = "alarm_one_open"
KEY_LENGTH_MAX, TEXT_LENGTH_MAX = 320, 500


class AlarmKind(models.TextChoices):
    NOTIFICATIONS_PAUSED = "notifications_paused", _("notifications paused")


class Alarm(models.Model):
    """`key` names the thing that is in trouble; `text` says in English what was seen when it began."""

    kind = models.CharField(_("kind"), max_length=32, choices=AlarmKind.choices)
    key = models.CharField(_("about"), max_length=KEY_LENGTH_MAX)
    text = models.CharField(_("what was seen"), max_length=TEXT_LENGTH_MAX)
    opened_at = models.DateTimeField(_("opened at"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        constraints = [
            one_of("kind", AlarmKind, name="alarm_kind_known"),
            models.UniqueConstraint(fields=["kind", "key"], condition=Q(closed_at=None), name=ONE_OPEN),
            models.CheckConstraint(
                condition=Q(closed_at=None) | Q(closed_at__gte=F("opened_at")), name="alarm_times_in_order"
            ),
        ]
        indexes = [models.Index(fields=["opened_at"], condition=Q(closed_at=None), name="alarm_open")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.key}"

    @classmethod
    def open(cls, *, kind: AlarmKind, key: str, text: str, now: datetime) -> bool:
        """False when there is an open one already."""
        try:
            with transaction.atomic():
                cls(kind=kind, key=key, text=text[:TEXT_LENGTH_MAX], opened_at=now).save(force_insert=True)
        except IntegrityError as error:
            if ONE_OPEN not in str(error):
                raise
            return False
        return True

    @classmethod
    def close(cls, *, kind: AlarmKind, key: str, now: datetime) -> bool:
        """The trouble is over; not before it began, though `now` may have been read before. False: there was none."""
        ends_at = Greatest(F("opened_at"), Value(now, output_field=models.DateTimeField()))
        return bool(cls.objects.filter(kind=kind, key=key, closed_at=None).update(closed_at=ends_at))
