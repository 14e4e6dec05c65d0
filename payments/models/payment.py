"""A payment: one try to fulfil an order on one channel. Its number is what the channel knows us by."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.clocks import still_runs
from openplatform.models.sealed import SealedField, open_column, seal_column
from openplatform.tracing import current_traceparent, trace_id_of
from payments.models.account import ChannelAccount
from payments.models.base import status_check, status_field
from payments.models.driven import Driven
from payments.models.event import StateEvent
from payments.models.order import Order
from payments.states import PAYMENT_OPEN, OrderEvent, PaymentStatus, next_payment_status

IN_OPEN = sorted(status.value for status in PAYMENT_OPEN)  # a set has no order, and a migration must


class Payment(Driven):
    """One try. `next_check_at` is what the sweep looks for; an open payment without it cannot exist."""

    open_statuses = IN_OPEN

    payment_no = SnowflakeField(_("payment no."), primary_key=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="payments", verbose_name=_("order"))
    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, verbose_name=_("channel account"))
    channel = models.CharField(_("channel"), max_length=20)
    method = models.CharField(_("method"), max_length=10)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    payer_sealed = SealedField(null=True)  # the payer's id at the channel; no query looks for it, so no index holds it
    client_ip = models.GenericIPAddressField(_("payer's address"), null=True)
    status = status_field(PaymentStatus, verbose_name=_("status"))
    channel_trade_no = models.CharField(_("channel's number"), max_length=64, null=True)
    # What the payer's page needs: {"prepay_id": …} or {"code_url": …}, and until when the channel honours it.
    prepay = models.JSONField(_("prepay"), default=dict)
    prepay_expires_at = models.DateTimeField(null=True)
    is_surplus = models.BooleanField(_("paid twice"), default=False)
    # One that ended unpaid is asked about for some days more: until the bill of its day must have told.
    recheck_at = models.DateTimeField(null=True)
    recheck_count = models.PositiveSmallIntegerField(default=0)
    # When the bills of all days on which it could have been paid were here, and it was in none of them.
    confirmed_unpaid_at = models.DateTimeField(_("bills say unpaid since"), null=True)
    # The refund that was sent last, and until when no other one may be: some channels want them apart.
    refund_turn_of = models.BigIntegerField(null=True)
    refund_turn_until = models.DateTimeField(null=True)
    traceparent = models.CharField(max_length=55, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"))
    paid_at = models.DateTimeField(_("paid at"), null=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            status_check(PaymentStatus, name="payment_status_known"),
            models.CheckConstraint(condition=models.Q(amount_fen__gt=0), name="payment_amount_positive"),
            models.UniqueConstraint(fields=["account", "channel_trade_no"], name="payment_channel_trade_no_unique"),
            models.UniqueConstraint(
                fields=["order"], condition=models.Q(status__in=IN_OPEN), name="payment_one_open_per_order"
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=models.Q(status=PaymentStatus.SUCCEEDED, is_surplus=False),
                name="payment_one_pays_the_order",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=IN_OPEN) | models.Q(next_check_at__isnull=False),
                name="payment_open_is_scheduled",
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="payment_due"),
            # The sweeps and the figures of one channel, which no other may hide or slow down.
            models.Index(
                fields=["channel", "next_check_at"],
                condition=models.Q(next_check_at__isnull=False),
                name="payment_due_of_channel",
            ),
            models.Index(fields=["recheck_at"], condition=models.Q(recheck_at__isnull=False), name="payment_recheck"),
            models.Index(
                fields=["channel", "created_at"],
                condition=models.Q(status=PaymentStatus.UNKNOWN),
                name="payment_unknown",
            ),
        ]

    def __str__(self) -> str:
        return str(self.payment_no)

    @classmethod
    def start(
        cls, *, order: Order, account: ChannelAccount, payer_id: str, now: datetime, client_ip: str = ""
    ) -> "Payment":
        """Begin a try: due at once, so that the sweep finds it even if nobody else remembers."""
        payment = cls(
            order=order, account=account, channel=order.channel, method=order.method, amount_fen=order.amount_fen,
            client_ip=client_ip or None, status=PaymentStatus.SUBMITTING, next_check_at=now, created_at=now,
            traceparent=current_traceparent(),
        )  # fmt: skip
        if payer_id:
            seal_column(payment, "payer_sealed", payer_id.encode())
        payment.save(force_insert=True)
        return payment

    @classmethod
    def lock(cls, payment_no: int) -> "Payment":
        """The row, held until the transaction ends. Lock its order first."""
        return cls.objects.select_for_update(of=("self",)).select_related("account").get(pk=payment_no)

    @classmethod
    def claim(cls, payment_no: int, *, now: datetime, lease: timedelta) -> "Payment | None":
        """The payment with the right to ask its channel about it, or None: see `Driven.claim_row`."""
        if not cls.claim_row(payment_no, now=now, lease=lease):
            return None
        return cls.objects.select_related("account", "order").get(pk=payment_no)

    @classmethod
    def claim_recheck(cls, payment_no: int, *, now: datetime, again_at: datetime) -> "Payment | None":
        """An ended payment that is due to be asked about, or None. It comes back at `again_at` if we die meanwhile."""
        due = cls.objects.filter(pk=payment_no, recheck_at__lte=now)
        if not due.update(recheck_at=again_at):
            return None
        return cls.objects.select_related("account").get(pk=payment_no)

    @classmethod
    def take_refund_turn(cls, payment_no: int, *, refund_no: int, now: datetime, gap: timedelta) -> datetime | None:
        """Let `refund_no` be sent, and no other refund of this payment for `gap`. None if it may be, else from when on.

        One guarded UPDATE, so of two workers one has the turn. A repeat of the same refund is no other one.
        """
        row = cls.objects.filter(pk=payment_no)
        others = still_runs("refund_turn_until", now=now, lasts=gap) & ~Q(refund_turn_of=refund_no)
        mine = row.filter(Q(refund_turn_until__isnull=True) | ~others)
        if mine.update(refund_turn_of=refund_no, refund_turn_until=now + gap):
            return None
        return row.values_list("refund_turn_until", flat=True).get() or now

    def plan_recheck(self, *, at: datetime | None) -> None:
        """When this ended payment is asked about next; None for never again."""
        self.recheck_at = at
        self.recheck_count += 1
        self.save(update_fields=["recheck_at", "recheck_count"])

    def confirm_unpaid(self, *, now: datetime) -> None:
        """The bills have told: nobody needs to ask about this ended payment any more."""
        self.confirmed_unpaid_at = now
        self.recheck_at = None
        self.save(update_fields=["confirmed_unpaid_at", "recheck_at"])

    @classmethod
    def recheck_now(cls, numbers: list[int], *, now: datetime) -> None:
        """Something new was heard of these ended payments: ask about them at once, also where that was over."""
        cls.objects.filter(pk__in=numbers).exclude(status__in=[*IN_OPEN, PaymentStatus.SUCCEEDED]).update(
            recheck_at=now
        )

    @property
    def is_open(self) -> bool:
        return PaymentStatus(self.status) in PAYMENT_OPEN

    @property
    def payer_id(self) -> str:
        """Who pays, as the channel knows them; "" when nobody was named. It leaves us only to the channel, or encrypted
        to the merchant's own key.
        """
        return open_column(self, "payer_sealed").decode() if self.payer_sealed is not None else ""

    def prepay_has_run_out(self, *, now: datetime) -> bool:
        """Whether the payer's parameters are worthless by now. Asked for earlier, the channel gives the same again."""
        return self.prepay_expires_at is not None and now >= self.prepay_expires_at

    def move(self, event: OrderEvent, *, now: datetime, next_check_at: datetime | None, because: str = "") -> None:
        """Take `event` by the table of payments.states and leave its row. Raises InvalidMove."""
        before, self.status = self.status, next_payment_status(PaymentStatus(self.status), event)
        self.plan(next_check_at=next_check_at if self.is_open else None)
        self.save()
        StateEvent.objects.create(
            subject=StateEvent.Subject.PAYMENT, order_id=self.order_id, payment=self, event=event, from_status=before,
            to_status=self.status, because=because[:200], trace_id=trace_id_of(current_traceparent()), created_at=now,
        )  # fmt: skip

    def is_number_taken(self, channel_trade_no: str) -> bool:
        """Whether the channel's number belongs to another payment of the account: then one of the two is not right."""
        others = Payment.objects.filter(account_id=self.account_id, channel_trade_no=channel_trade_no)
        return others.exclude(pk=self.pk).exists()

    def remember_prepay(self, *, prepay: dict[str, Any], expires_at: datetime) -> None:
        """What the payer's page needs; saved by the move that follows."""
        self.prepay, self.prepay_expires_at = prepay, expires_at

    def remember_paid(self, *, channel_trade_no: str, paid_at: datetime) -> None:
        """What the channel says about the money; saved by the move that follows."""
        self.channel_trade_no, self.paid_at = channel_trade_no, paid_at
