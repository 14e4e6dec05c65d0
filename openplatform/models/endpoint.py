"""How the hosts that we tell are doing: failures in a row, and the pause that follows from too many of them."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from openplatform.models.app import App

HOST_LENGTH_MAX = 255
REASON_LENGTH_MAX = 64
PROBE_WAIT_MAX = timedelta(minutes=15)
PROBE_NEVER_LATER = timedelta(hours=1)  # NOTIFICATION_PROBE_S is below it, as a system check says
DOUBLINGS_MAX = 16


def probe_due(*, now: datetime) -> Q:
    """The time of the next probe has come. One that is further away than any wait was set by a clock that was wrong."""
    return Q(probe_at__lte=now) | Q(probe_at__gt=now + PROBE_NEVER_LATER)


class NotifyEndpoint(models.Model):
    """One app at one host, with its port. There is no row before the first failure or test of signatures.

    Paused, nothing is sent there but one probe after the other, at growing intervals, until one of them is answered.
    """

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="notify_endpoints", verbose_name=_("app"))
    host = models.CharField(_("host"), max_length=HOST_LENGTH_MAX)
    failures_count = models.PositiveIntegerField(_("failures in a row"), default=0)
    last_reason = models.CharField(_("last failure"), max_length=REASON_LENGTH_MAX, blank=True)
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    probes_count = models.PositiveIntegerField(_("probes"), default=0)
    probe_at = models.DateTimeField(_("next probe at"), null=True, blank=True)
    sign_tested_at = models.DateTimeField(_("signatures tested at"), null=True, blank=True)
    verifies = models.BooleanField(_("verifies signatures"), null=True, blank=True)

    class Meta:
        verbose_name = _("notify endpoint")
        verbose_name_plural = _("notify endpoints")
        constraints = [
            models.UniqueConstraint(fields=["app", "host"], name="notify_endpoint_unique"),
            models.CheckConstraint(
                condition=Q(paused_at=None, probe_at=None) | Q(paused_at__isnull=False, probe_at__isnull=False),
                name="notify_endpoint_paused_has_probe",
            ),
        ]
        indexes = [
            models.Index(fields=["probe_at"], condition=Q(paused_at__isnull=False), name="notify_endpoint_probe"),
        ]
        permissions = [("probe_notifyendpoint", "Can have a paused endpoint tried at once")]

    def __str__(self) -> str:
        return f"{self.app_id} {self.host}"

    @classmethod
    def lock(cls, *, app_id: int, host: str) -> "NotifyEndpoint | None":
        """The row, held until the transaction ends; it is locked after the app and before its notifications."""
        return cls.objects.select_for_update().filter(app_id=app_id, host=host).first()

    @classmethod
    def lock_or_add(cls, *, app_id: int, host: str) -> "NotifyEndpoint":
        NotifyEndpoint.objects.bulk_create([NotifyEndpoint(app_id=app_id, host=host)], ignore_conflicts=True)
        return cls.objects.select_for_update().get(app_id=app_id, host=host)

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None

    def fail(self, *, reason: str) -> None:
        """One more failure in a row."""
        self.failures_count += 1
        self.last_reason = reason[:REASON_LENGTH_MAX]
        self.save(update_fields=["failures_count", "last_reason"])

    def pause(self, *, now: datetime, probe_wait: timedelta) -> None:
        """Send nothing there but probes."""
        self.paused_at, self.probe_at, self.probes_count = now, now + probe_wait, 0
        self.save(update_fields=["paused_at", "probe_at", "probes_count"])

    def may_probe(self, *, now: datetime) -> bool:
        """As probe_due has it in SQL."""
        return self.probe_at is not None and not now < self.probe_at <= now + PROBE_NEVER_LATER

    def take_probe(self, *, now: datetime, probe_wait: timedelta) -> None:
        """One probe goes out. The next one is due after twice the wait before this one, PROBE_WAIT_MAX at most."""
        self.probes_count += 1
        longer = probe_wait * 2 ** min(self.probes_count, DOUBLINGS_MAX)
        self.probe_at = now + max(probe_wait, min(longer, PROBE_WAIT_MAX))
        self.save(update_fields=["probes_count", "probe_at"])

    def recover(self) -> None:
        """It answered: whatever is owed may flow again."""
        self.failures_count, self.paused_at, self.probe_at, self.probes_count = 0, None, None, 0
        self.save(update_fields=["failures_count", "paused_at", "probe_at", "probes_count"])

    @classmethod
    def probe_soon(cls, *, now: datetime, **which: object) -> int:
        """Somebody says that it is well again: let the next probe of these go now. Returns how many are paused."""
        return cls.objects.filter(paused_at__isnull=False, **which).update(probe_at=now, probes_count=0)

    def begin_sign_test(self, *, now: datetime) -> None:
        self.sign_tested_at = now
        self.save(update_fields=["sign_tested_at"])

    def note_sign_test(self, *, verifies: bool) -> None:
        """Whether it refused a wrong signature."""
        self.verifies = verifies
        self.save(update_fields=["verifies"])
