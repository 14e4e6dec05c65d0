"""A refund: money on its way back to the payer. It is never failed, closed or released by time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models import App
from openplatform.tracing import current_traceparent, trace_id_of
from payments.models.base import status_check, status_field
from payments.models.driven import Driven
from payments.models.event import StateEvent
from payments.models.order import Order
from payments.models.payment import Payment
from payments.states import REFUND_OPEN, RefundEvent, RefundStatus, next_refund_status

IN_OPEN = sorted(status.value for status in REFUND_OPEN)  # a set has no order, and a migration must


@dataclass(frozen=True, kw_only=True)
class RefundWish:
    """What a merchant asks for, checked in shape and in fen."""

    out_refund_no: str
    amount_fen: int
    reason: str
    notify_url: str
    digest: str
    order_fen: int | None = None  # what the merchant takes the order's amount to be; None when not said


class Refund(Driven):
    """`refund_no` is what the channel knows it by: every retry carries the same number and the same amount."""

    class Kind(models.TextChoices):
        MERCHANT = "merchant", _("asked for by the merchant")
        LATE = "late", _("paid too late, given back by itself")
        SURPLUS = "surplus", _("paid twice, given back by itself")

    open_statuses = IN_OPEN

    refund_no = SnowflakeField(_("refund no."), primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, verbose_name=_("app"))
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("order"))
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("payment"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.MERCHANT)
    out_refund_no = models.CharField(_("merchant's refund no."), max_length=64)
    content_digest = models.CharField(max_length=64, editable=False)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    reason = models.CharField(_("reason"), max_length=80, blank=True)
    notify_url = models.CharField(_("notify URL"), max_length=255, blank=True)
    status = status_field(RefundStatus, verbose_name=_("status"))
    version = models.PositiveIntegerField(_("version"), default=0)
    channel_refund_no = models.CharField(_("channel's number"), max_length=64, null=True)
    failure_code = models.CharField(_("failure"), max_length=64, blank=True)
    traceparent = models.CharField(max_length=55, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"))
    succeeded_at = models.DateTimeField(_("succeeded at"), null=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        permissions = [("redirect_refund", "Can send an abnormal refund to another account")]
        constraints = [
            models.UniqueConstraint(fields=["app", "out_refund_no"], name="refund_out_refund_no_unique"),
            status_check(RefundStatus, name="refund_status_known"),
            models.CheckConstraint(condition=models.Q(amount_fen__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(
                condition=models.Q(kind__in=["merchant", "late", "surplus"]), name="refund_kind_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=IN_OPEN) | models.Q(next_check_at__isnull=False),
                name="refund_open_is_scheduled",
            ),
            models.CheckConstraint(
                condition=models.Q(status=RefundStatus.SUCCEEDED, succeeded_at__isnull=False)
                | (~models.Q(status=RefundStatus.SUCCEEDED) & models.Q(succeeded_at__isnull=True)),
                name="refund_succeeded_at_iff_succeeded",
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="refund_due"),
            models.Index(fields=["-created_at"], name="refund_created"),
            models.Index(fields=["created_at"], condition=models.Q(status=RefundStatus.UNKNOWN), name="refund_unknown"),
        ]

    def __str__(self) -> str:
        return str(self.refund_no)

    @classmethod
    def ask(
        cls, *, order: Order, payment: Payment, wish: RefundWish, now: datetime, kind: Kind = Kind.MERCHANT
    ) -> "Refund":
        """Write down the wish. Raises IntegrityError `refund_out_refund_no_unique` when the number is taken."""
        return cls.objects.create(
            app_id=order.app_id, order=order, payment=payment, kind=kind, out_refund_no=wish.out_refund_no,
            content_digest=wish.digest, amount_fen=wish.amount_fen, reason=wish.reason,
            notify_url=wish.notify_url or order.notify_url, status=RefundStatus.CREATED, created_at=now,
            traceparent=current_traceparent(),
        )  # fmt: skip

    @classmethod
    def lock(cls, refund_no: int) -> "Refund":
        """The row, held until the transaction ends. Lock its order and its payment first."""
        return cls.objects.select_for_update(of=("self",)).get(pk=refund_no)

    @classmethod
    def claim(cls, refund_no: int, *, now: datetime, lease: timedelta) -> "Refund | None":
        """The refund with the right to ask its channel about it, or None: see `Driven.claim_row`."""
        if not cls.claim_row(refund_no, now=now, lease=lease):
            return None
        return cls.objects.select_related("payment__account", "order").get(pk=refund_no)

    @classmethod
    def claim_abnormal(cls, refund_no: int, *, now: datetime, lease: timedelta) -> "Refund | None":
        """The same for a person who acts on an abnormal one, due or not. None: it is not, or somebody is at it."""
        if not cls._take(cls.objects.filter(pk=refund_no, status=RefundStatus.ABNORMAL), now=now, lease=lease):
            return None
        return cls.objects.select_related("payment__account", "order").get(pk=refund_no)

    @property
    def trace_id(self) -> str:
        return trace_id_of(self.traceparent)

    @property
    def counts_on_order(self) -> bool:
        """Whether the order's own money goes back: a payment too many never was that."""
        return self.kind != self.Kind.SURPLUS

    @property
    def is_open(self) -> bool:
        return RefundStatus(self.status) in REFUND_OPEN

    def move(self, event: RefundEvent, *, now: datetime, next_check_at: datetime | None, because: str = "") -> None:
        """Take `event` by the table of payments.states and leave its row. Raises InvalidMove."""
        before, self.status = self.status, next_refund_status(RefundStatus(self.status), event)
        if self.status == RefundStatus.SUCCEEDED:
            self.succeeded_at = now
        self.version += 1
        self.plan(next_check_at=next_check_at if self.is_open else None)
        self.save()
        StateEvent.objects.create(
            subject=StateEvent.Subject.REFUND, order_id=self.order_id, payment_id=self.payment_id, refund=self,
            event=event, from_status=before, to_status=self.status, because=because[:200],
            trace_id=trace_id_of(current_traceparent()), created_at=now,
        )  # fmt: skip
