"""The ledger: double entry in integer fen. An entry's postings add up to zero, and nothing is ever changed or removed.

The database enforces both, by a deferred constraint trigger and by append-only triggers (migration 0002).
"""

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from openplatform.models.base import AppendOnly
from openplatform.tracing import current_traceparent, trace_id_of
from payments.models.order import Order
from payments.models.payment import Payment
from payments.models.refund import Refund


class LedgerAccount(models.Model):
    """A named pot. Positive postings are debits, negative ones credits."""

    class Kind(models.TextChoices):
        CHANNEL_RECEIVABLE = "channel_receivable", _("held by the channel for us")
        MERCHANT_PAYABLE = "merchant_payable", _("owed by us to the merchant")

    code = models.CharField(_("code"), max_length=64, primary_key=True)
    kind = models.CharField(_("kind"), max_length=24, choices=Kind)

    class Meta:
        verbose_name = _("ledger account")
        verbose_name_plural = _("ledger accounts")

    def __str__(self) -> str:
        return self.code

    @classmethod
    def open(cls, *, kind: Kind, owner_id: int) -> "LedgerAccount":
        """The pot of `kind` for the channel account or merchant `owner_id`, made on first use."""
        account, _created = cls.objects.get_or_create(code=f"{kind}:{owner_id}", defaults={"kind": kind})
        return account


class LedgerEntry(AppendOnly):
    """One fact about money and the state that it explains. There is at most one for each payment and each refund."""

    class Kind(models.TextChoices):
        PAYMENT = "payment", _("payment")
        REFUND = "refund", _("refund")

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="ledger_entries")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="ledger_entries")
    refund = models.ForeignKey(Refund, null=True, on_delete=models.PROTECT, related_name="ledger_entries")
    trace_id = models.CharField(_("trace"), max_length=32, blank=True)
    created_at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        indexes = [models.Index(fields=["created_at"], name="ledger_created")]
        constraints = [
            models.UniqueConstraint(
                fields=["payment"], condition=models.Q(kind="payment"), name="ledger_payment_posted_once"
            ),
            models.UniqueConstraint(
                fields=["refund"], condition=models.Q(kind="refund"), name="ledger_refund_posted_once"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="payment", refund__isnull=True) | models.Q(kind="refund", refund__isnull=False),
                name="ledger_refund_iff_kind_refund",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @classmethod
    def post_payment(cls, *, payment: Payment, now: datetime) -> "LedgerEntry":
        """The channel holds the payer's money for us, and we owe it to the merchant."""
        return cls._post(kind=cls.Kind.PAYMENT, payment=payment, refund=None, held_fen=payment.amount_fen, now=now)

    @classmethod
    def post_refund(cls, *, refund: Refund, payment: Payment, now: datetime) -> "LedgerEntry":
        """The channel gave money back to the payer, and we owe the merchant that much less."""
        return cls._post(kind=cls.Kind.REFUND, payment=payment, refund=refund, held_fen=-refund.amount_fen, now=now)

    @classmethod
    def _post(
        cls, *, kind: Kind, payment: Payment, refund: Refund | None, held_fen: int, now: datetime
    ) -> "LedgerEntry":
        """Write an entry by which the channel holds `held_fen` more, and we owe the merchant that much more."""
        entry = cls.objects.create(
            kind=kind, order_id=payment.order_id, payment=payment, refund=refund, created_at=now,
            trace_id=trace_id_of(current_traceparent()),
        )  # fmt: skip
        kinds, account = LedgerAccount.Kind, payment.account
        receivable = LedgerAccount.open(kind=kinds.CHANNEL_RECEIVABLE, owner_id=account.pk)
        payable = LedgerAccount.open(kind=kinds.MERCHANT_PAYABLE, owner_id=account.merchant_id)
        Posting.objects.bulk_create(
            [
                Posting(entry=entry, account=receivable, amount_fen=held_fen),
                Posting(entry=entry, account=payable, amount_fen=-held_fen),
            ]
        )
        return entry


class Posting(AppendOnly):
    """One line of an entry, in fen; debits positive, credits negative."""

    id = models.BigAutoField(primary_key=True)
    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="postings")
    account = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="postings")
    amount_fen = models.BigIntegerField(_("amount (fen)"))

    class Meta:
        verbose_name = _("posting")
        verbose_name_plural = _("postings")
        constraints = [models.CheckConstraint(condition=~models.Q(amount_fen=0), name="posting_not_zero")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.amount_fen}"
