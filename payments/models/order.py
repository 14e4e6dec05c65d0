"""An order: a merchant's wish to be paid."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models import App
from openplatform.tracing import current_traceparent, trace_id_of
from payments.errors import PaymentsError
from payments.models.base import status_check, status_field
from payments.models.event import StateEvent
from payments.models.pay_code import PayCode
from payments.states import ORDER_PAID, OrderEvent, OrderStatus, PaymentStatus, next_order_status

if TYPE_CHECKING:
    from payments.models.payment import Payment

IN_PAID = sorted(status.value for status in ORDER_PAID)  # a set has no order, and a migration must


class RefundExceedsPaid(PaymentsError):
    """The refund is larger than what is left of the payment."""

    code = "REFUND_EXCEEDS_PAID"


class OrderNotPaid(PaymentsError):
    """Only a paid order can be refunded."""

    code = "INVALID_STATE"


class Door(models.TextChoices):
    """Which of our interfaces the order came in by: its notifications speak the same language."""

    NATIVE = "native", _("our own")
    WECHATPAY = "wechatpay", _("WeChat Pay's")


@dataclass(frozen=True, kw_only=True)
class OrderWish:
    """What a merchant asks for, checked in shape and in fen. `digest` identifies the content as it was sent."""

    out_trade_no: str
    amount_fen: int
    subject: str
    channel: str
    method: str
    payer_id: str
    notify_url: str
    return_url: str
    expires_at: datetime
    metadata: dict[str, str]
    digest: str
    client_ip: str = ""
    door: Door = Door.NATIVE
    channel_appid: str = ""  # the appid at the channel that the merchant takes its account to have; "" when not said


class Order(models.Model):
    """The state of the wish, its money counters, and the trace that it began in."""

    order_no = SnowflakeField(_("order no."), primary_key=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, verbose_name=_("app"))
    pay_code = models.ForeignKey(PayCode, null=True, on_delete=models.PROTECT, verbose_name=_("pay code"))
    out_trade_no = models.CharField(_("merchant's order no."), max_length=32)
    content_digest = models.CharField(max_length=64, editable=False)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    currency = models.CharField(_("currency"), max_length=3, default="CNY")
    refunded_fen = models.BigIntegerField(_("refunded (fen)"), default=0)
    refund_reserved_fen = models.BigIntegerField(_("refunds under way (fen)"), default=0)
    subject = models.CharField(_("subject"), max_length=127)
    channel = models.CharField(_("channel"), max_length=20)
    method = models.CharField(_("method"), max_length=10)
    door = models.CharField(_("interface"), max_length=16, choices=Door.choices, default=Door.NATIVE)
    notify_url = models.CharField(_("notify URL"), max_length=255, blank=True)
    return_url = models.CharField(_("return URL"), max_length=255, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict)
    cashier_token = models.CharField(max_length=43, unique=True, editable=False)
    status = status_field(OrderStatus, verbose_name=_("status"))
    version = models.PositiveIntegerField(_("version"), default=0)
    failure_code = models.CharField(_("failure"), max_length=64, blank=True)
    traceparent = models.CharField(max_length=55, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires at"))
    created_at = models.DateTimeField(_("created at"))
    paid_at = models.DateTimeField(_("paid at"), null=True)
    closed_at = models.DateTimeField(_("closed at"), null=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.UniqueConstraint(fields=["app", "out_trade_no"], name="order_out_trade_no_unique"),
            status_check(OrderStatus, name="order_status_known"),
            models.CheckConstraint(condition=models.Q(door__in=Door.values), name="order_door_known"),
            models.CheckConstraint(condition=models.Q(amount_fen__gt=0), name="order_amount_positive"),
            models.CheckConstraint(
                condition=models.Q(refunded_fen__gte=0)
                & models.Q(refund_reserved_fen__gte=0)
                & models.Q(amount_fen__gte=models.F("refunded_fen") + models.F("refund_reserved_fen")),
                name="order_refunds_within_amount",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=IN_PAID, paid_at__isnull=False)
                | (~models.Q(status__in=IN_PAID) & models.Q(paid_at__isnull=True)),
                name="order_paid_at_iff_paid",
            ),
        ]
        indexes = [
            models.Index(fields=["app", "-created_at"], name="order_app_created"),
            models.Index(fields=["-created_at"], name="order_created"),
        ]

    def __str__(self) -> str:
        return str(self.order_no)

    @classmethod
    def place(cls, *, app: App, wish: OrderWish, now: datetime, pay_code: PayCode | None = None) -> "Order":
        """Write down the wish. Raises IntegrityError `order_out_trade_no_unique` when the number is taken."""
        return cls.objects.create(
            app=app, pay_code=pay_code, out_trade_no=wish.out_trade_no, content_digest=wish.digest,
            amount_fen=wish.amount_fen, subject=wish.subject, channel=wish.channel, method=wish.method, door=wish.door,
            notify_url=wish.notify_url, return_url=wish.return_url, metadata=wish.metadata,
            cashier_token=secrets.token_urlsafe(32), status=OrderStatus.CREATED, traceparent=current_traceparent(),
            expires_at=wish.expires_at, created_at=now,
        )  # fmt: skip

    @classmethod
    def lock(cls, order_no: int) -> "Order":
        """The row, held until the transaction ends. Order of locks: order, payment, refund."""
        return cls.objects.select_for_update(of=("self",)).select_related("app").get(pk=order_no)

    @property
    def trace_id(self) -> str:
        return trace_id_of(self.traceparent)

    @property
    def refundable_fen(self) -> int:
        return self.amount_fen - self.refunded_fen - self.refund_reserved_fen if self.is_paid else 0

    @property
    def is_paid(self) -> bool:
        return OrderStatus(self.status) in ORDER_PAID

    def shown_payment(self) -> "Payment | None":
        """The try that paid the order, or else the newest one: whose channel number stands for the order."""
        tries = list(self.payments.select_related("account").order_by("-payment_no"))
        paid = (one for one in tries if one.status == PaymentStatus.SUCCEEDED and not one.is_surplus)
        return next(paid, tries[0] if tries else None)

    def move(self, event: OrderEvent, *, now: datetime, because: str = "") -> None:
        """Take `event` by the table of payments.states and leave its row. Raises InvalidMove."""
        before, self.status = self.status, next_order_status(OrderStatus(self.status), event)
        if self.is_paid:
            self.paid_at = now
        if self.status in {OrderStatus.CLOSED, OrderStatus.FAILED}:
            self.closed_at = now
        self.version += 1
        self.save(update_fields=["status", "version", "paid_at", "closed_at", "failure_code"])
        StateEvent.objects.create(
            subject=StateEvent.Subject.ORDER, order=self, event=event, from_status=before, to_status=self.status,
            because=because[:200], trace_id=trace_id_of(current_traceparent()), created_at=now,
        )  # fmt: skip

    def reserve_refund(self, *, amount_fen: int) -> None:
        """Take `amount_fen` out of what may still be refunded. The row must be locked."""
        if not self.is_paid:
            raise OrderNotPaid
        if amount_fen > self.refundable_fen:
            raise RefundExceedsPaid
        self._change_refunds(reserved=amount_fen)

    def settle_refund(self, *, amount_fen: int, done: bool) -> None:
        """End a reservation: the money went back to the payer (`done`), or certainly did not."""
        self._change_refunds(reserved=-amount_fen, refunded=amount_fen if done else 0)

    def count_late_refund(self, *, amount_fen: int) -> bool:
        """Count a refund that was called failed and was executed all the same. False when there is no room left for it:
        the merchant has refunded the money again in between, and a person must see that.
        """
        if amount_fen > self.refundable_fen:
            return False
        self._change_refunds(reserved=0, refunded=amount_fen)
        return True

    def _change_refunds(self, *, reserved: int, refunded: int = 0) -> None:
        self.refund_reserved_fen += reserved
        self.refunded_fen += refunded
        self.version += 1
        self.save(update_fields=["refund_reserved_fen", "refunded_fen", "version"])
