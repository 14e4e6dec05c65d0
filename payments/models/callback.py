"""What the channels told us, and the trouble that stands beside a state instead of being dropped."""

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models.base import AppendOnly
from payments.models.account import ChannelAccount
from payments.models.order import Order
from payments.models.payment import Payment
from payments.models.refund import Refund


class Callback(AppendOnly):
    """A verified callback that was applied. It is written in the transaction of its effect: the row is the proof."""

    class Kind(models.TextChoices):
        PAYMENT = "payment", _("payment")
        REFUND = "refund", _("refund")

    id = SnowflakeField(primary_key=True)
    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, verbose_name=_("channel account"))
    channel_callback_id = models.CharField(_("channel's id"), max_length=64)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    event_type = models.CharField(_("type"), max_length=32)
    order = models.ForeignKey(Order, null=True, on_delete=models.PROTECT, related_name="callbacks")
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="callbacks")
    refund = models.ForeignKey(Refund, null=True, on_delete=models.PROTECT, related_name="callbacks")
    effect = models.CharField(_("effect"), max_length=40)
    body = models.TextField(_("body as received"))
    trace_id = models.CharField(_("trace"), max_length=32, blank=True)
    received_at = models.DateTimeField(_("received at"))

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        constraints = [models.UniqueConstraint(fields=["account", "channel_callback_id"], name="callback_once")]
        indexes = [models.Index(fields=["-received_at"], name="callback_received")]

    def __str__(self) -> str:
        return self.channel_callback_id


class Case(models.Model):
    """Trouble that a person must see. It is opened once for each kind and thing, and counts how often it came."""

    class Kind(models.TextChoices):
        AMOUNT_MISMATCH = "AMOUNT_MISMATCH", _("amount differs")
        DUPLICATE_PAID = "DUPLICATE_PAID", _("paid twice")
        FOREIGN_CALLBACK = "FOREIGN_CALLBACK", _("callback for an unknown payment")
        PAID_LATE = "PAID_LATE", _("paid after close")
        BLOCKED_PAYER = "BLOCKED_PAYER", _("paid by somebody on the blacklist")
        REFUND_ABNORMAL = "REFUND_ABNORMAL", _("refund could not reach the payer")
        REFUND_LATE = "REFUND_LATE", _("refund executed after it was called failed")
        REFUND_CONTRADICTED = "REFUND_CONTRADICTED", _("the channel contradicts a refund that is over here")

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        RESOLVED = "resolved", _("resolved")

    id = SnowflakeField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=24, choices=Kind)
    key = models.CharField(max_length=100, editable=False)
    account = models.ForeignKey(ChannelAccount, null=True, on_delete=models.PROTECT)
    order = models.ForeignKey(Order, null=True, on_delete=models.PROTECT, related_name="cases")
    payment = models.ForeignKey(Payment, null=True, on_delete=models.PROTECT, related_name="cases")
    refund = models.ForeignKey(Refund, null=True, on_delete=models.PROTECT, related_name="cases")
    details = models.JSONField(_("details"), default=dict)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OPEN)
    seen_count = models.PositiveIntegerField(_("times seen"), default=1)
    opened_at = models.DateTimeField(_("opened at"))
    resolution = models.CharField(_("what was decided"), max_length=200, blank=True)
    resolved_by = models.CharField(_("resolved by"), max_length=150, blank=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True)

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="case_once"),
            models.CheckConstraint(
                condition=models.Q(status="resolved", resolved_at__isnull=False)
                & ~models.Q(resolution="")
                & ~models.Q(resolved_by="")
                | models.Q(status="open", resolved_at=None),
                name="case_resolved_says_how",
            ),
        ]
        permissions = [("resolve_case", "Can resolve a case")]
        indexes = [models.Index(fields=["status", "-opened_at"], name="case_status_opened")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"

    @classmethod
    def report(cls, *, kind: Kind, key: str, now: datetime, **about: object) -> "Case":
        """Open the case, or count it once more. `about` names rows and details.

        One that was resolved stays so: what was decided about this thing holds for what is told of it again.
        """
        case, created = cls.objects.get_or_create(kind=kind, key=key, defaults={"opened_at": now, **about})
        if not created:
            cls.objects.filter(pk=case.pk).update(seen_count=models.F("seen_count") + 1)
        return case

    @classmethod
    def report_again(cls, *, kind: Kind, key: str, now: datetime, **about: object) -> "Case":
        """The same for trouble that may come anew: after one that was resolved this opens another."""
        count = cls.objects.filter(kind=kind, key__startswith=key, status=cls.Status.RESOLVED).count()
        return cls.report(kind=kind, key=f"{key}:{count}" if count else key, now=now, **about)

    @classmethod
    def lock(cls, case_id: int) -> "Case":
        """The row, held until the transaction ends. Lock its order first."""
        return cls.objects.select_for_update().get(pk=case_id)

    @classmethod
    def resolve_abnormal(cls, refund: Refund, *, resolution: str, by: str, now: datetime) -> None:
        """What a person did about a refund that could not reach the payer. Its order is locked."""
        for case in cls.objects.filter(kind=cls.Kind.REFUND_ABNORMAL, refund=refund, status=cls.Status.OPEN):
            case.resolve(resolution=resolution, by=by, now=now)

    def resolve(self, *, resolution: str, by: str, now: datetime) -> None:
        """Somebody has looked at it and says what was decided."""
        self.status = self.Status.RESOLVED
        self.resolution, self.resolved_by, self.resolved_at = resolution[:200], by[:150], now
        self.save(update_fields=["status", "resolution", "resolved_by", "resolved_at"])
