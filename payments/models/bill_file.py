"""The files of a bill as they came, and what they say: written once, and never changed.

Two downloads that say the same are one file. One that says something else stands beside the first as a new version.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from openplatform.models.base import AppendOnly
from payments.models.bill import Bill
from payments.models.payment import Payment
from payments.states import RowKind, RowState

PART_BYTES = 1_048_576  # each statement stays small, however large the file is
ROWS_AT_ONCE = 1_000
NUMBER_LENGTH_MAX = 64


class BillFile(AppendOnly):
    """One download, packed as it came. `is_sound`: each row was read, and together they are what the file says.

    `counted` and `told` hold counts and sums by the words of payments.channels.bills: of the rows, and as stated.
    """

    id = SnowflakeField(_("bill file"), primary_key=True)
    bill = models.ForeignKey(Bill, on_delete=models.PROTECT, related_name="files", verbose_name=_("bill"))
    version_no = models.PositiveSmallIntegerField(_("version"))
    suffix = models.CharField(max_length=8)
    byte_size = models.BigIntegerField(_("size (bytes)"))
    told_hash = models.CharField(_("hash as the channel says"), max_length=80, blank=True)
    digest = models.CharField(_("digest"), max_length=64)
    row_count = models.PositiveIntegerField(_("rows"))
    unreadable_count = models.PositiveIntegerField(_("rows that cannot be read"))
    counted = models.JSONField(_("counted"), default=dict)
    told = models.JSONField(_("stated"), default=dict)
    is_sound = models.BooleanField(_("sound"))
    fetched_at = models.DateTimeField(_("fetched at"))

    class Meta:
        verbose_name = _("bill file")
        verbose_name_plural = _("bill files")
        constraints = [
            models.UniqueConstraint(fields=["bill", "version_no"], name="bill_file_version_once"),
            models.UniqueConstraint(fields=["bill", "digest"], name="bill_file_content_once"),
            models.CheckConstraint(
                condition=models.Q(is_sound=False) | models.Q(unreadable_count=0), name="bill_file_sound_is_readable"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bill_id} v{self.version_no}"

    @classmethod
    def keep(cls, *, bill: Bill, content: BinaryIO, now: datetime, **facts: Any) -> "BillFile":
        """The next version of a locked bill: its bytes in parts, and the facts about it. The caller adds its rows."""
        version_no = cls.objects.filter(bill=bill).count() + 1
        byte_size = content.seek(0, 2)
        file = cls(bill=bill, version_no=version_no, byte_size=byte_size, fetched_at=now, **facts)
        file.save(force_insert=True)
        content.seek(0)
        for part_no, part in enumerate(iter(lambda: content.read(PART_BYTES), b"")):
            BillFilePart(file=file, part_no=part_no, content=part).save(force_insert=True)
        return file

    def content(self) -> Iterator[bytes]:
        """The file as it came, part by part."""
        for part_no in range(-(-self.byte_size // PART_BYTES)):
            yield bytes(self.parts.get(part_no=part_no).content)


class BillFilePart(AppendOnly):
    id = models.BigAutoField(primary_key=True)
    file = models.ForeignKey(BillFile, on_delete=models.PROTECT, related_name="parts", db_index=False)
    part_no = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file", "part_no"], name="bill_file_part_once")]

    def __str__(self) -> str:
        return f"{self.file_id} {self.part_no}"


class _OfFile(AppendOnly):
    """Something that stands in a file, at a line of it."""

    id = models.BigAutoField(primary_key=True)
    file = models.ForeignKey(BillFile, on_delete=models.PROTECT, db_index=False, verbose_name=_("bill file"))
    line_no = models.PositiveIntegerField(_("line"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.file_id}:{self.line_no}"

    @classmethod
    def keep(cls, *, file: BillFile, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write down some rows, each given by the names of its columns."""
        cls._default_manager.bulk_create((cls(file=file, **row) for row in rows), batch_size=ROWS_AT_ONCE)


class BillRow(_OfFile):
    """A line of a trade bill. Amounts are in fen and never negative; `fee_millifen` is in thousandths of a fen, and
    negative when it is given back. A number that can be one of ours is in `payment_no`, whether or not we know it;
    any other is in `foreign_no` as it is written.
    """

    kind = models.CharField(_("kind"), max_length=10, choices=[(kind.value, kind.value) for kind in RowKind])
    payment_no = models.BigIntegerField(_("payment no."), null=True)
    foreign_no = models.CharField(_("number that is none of ours"), max_length=NUMBER_LENGTH_MAX, blank=True)
    channel_trade_no = models.CharField(_("channel's number"), max_length=NUMBER_LENGTH_MAX, blank=True)
    refund_no = models.BigIntegerField(_("refund no."), null=True)
    foreign_refund_no = models.CharField(max_length=NUMBER_LENGTH_MAX, blank=True)
    channel_refund_no = models.CharField(_("channel's refund no."), max_length=NUMBER_LENGTH_MAX, blank=True)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    settled_fen = models.BigIntegerField(_("of it the merchant's (fen)"))
    fee_millifen = models.BigIntegerField(_("fee (1/1000 fen)"))
    state = models.CharField(_("state"), max_length=10, choices=[(state.value, state.value) for state in RowState])
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("bill row")
        verbose_name_plural = _("bill rows")
        constraints = [
            models.UniqueConstraint(fields=["file", "line_no"], name="bill_row_once"),
            models.CheckConstraint(condition=models.Q(kind__in=[kind.value for kind in RowKind]), name="bill_row_kind"),
            models.CheckConstraint(
                condition=models.Q(state__in=[state.value for state in RowState]), name="bill_row_state"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_fen__gte=0, settled_fen__gte=0), name="bill_row_amounts_not_negative"
            ),
        ]
        indexes = [
            models.Index(fields=["payment_no"], condition=models.Q(payment_no__isnull=False), name="bill_row_payment"),
            models.Index(fields=["refund_no"], condition=models.Q(refund_no__isnull=False), name="bill_row_refund"),
            models.Index(fields=["channel_trade_no"], name="bill_row_channel_trade"),
        ]


class BillFlowRow(_OfFile):
    """A line of a fund flow bill; `amount_fen` is negative when money left the merchant's account at the channel."""

    flow_no = models.CharField(_("movement"), max_length=NUMBER_LENGTH_MAX, blank=True)
    channel_trade_no = models.CharField(_("channel's number"), max_length=NUMBER_LENGTH_MAX, blank=True)
    what = models.CharField(_("what for"), max_length=64, blank=True)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    balance_fen = models.BigIntegerField(_("balance (fen)"))
    voucher_no = models.CharField(_("merchant's number"), max_length=NUMBER_LENGTH_MAX, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("fund flow row")
        verbose_name_plural = _("fund flow rows")
        constraints = [models.UniqueConstraint(fields=["file", "line_no"], name="bill_flow_row_once")]
        indexes = [models.Index(fields=["channel_trade_no"], name="bill_flow_channel_trade")]


class BillUnreadableRow(_OfFile):
    """A line that could not be read, as it stands in the file."""

    text = models.TextField(_("line as it stands"))
    reason = models.CharField(_("reason"), max_length=120)

    class Meta:
        verbose_name = _("unreadable row")
        verbose_name_plural = _("unreadable rows")
        constraints = [models.UniqueConstraint(fields=["file", "line_no"], name="bill_unreadable_row_once")]


class BillFinding(AppendOnly):
    """What a file and our own books say differently of one payment. A fact, for reconciliation to judge later."""

    class Kind(models.TextChoices):
        NOT_IN_BILL = "not_in_bill", _("paid here, not in the bill")
        AMOUNT_DIFFERS = "amount_differs", _("amounts differ")
        NOT_PAID_HERE = "not_paid_here", _("in the bill, not paid here")

    id = models.BigAutoField(primary_key=True)
    file = models.ForeignKey(
        BillFile, on_delete=models.PROTECT, related_name="findings", db_index=False, verbose_name=_("bill file")
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="findings", verbose_name=_("payment"))
    ours_fen = models.BigIntegerField(_("ours (fen)"), null=True)
    told_fen = models.BigIntegerField(_("told (fen)"), null=True)
    found_at = models.DateTimeField(_("found at"))

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.UniqueConstraint(fields=["file", "kind", "payment"], name="bill_finding_once"),
            models.CheckConstraint(
                condition=models.Q(kind__in=["not_in_bill", "amount_differs", "not_paid_here"]),
                name="bill_finding_kind_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.payment_id}"

    @classmethod
    def keep(cls, findings: Iterator[Self]) -> None:
        """Some at a time: of a bill that lacks everything there may be very many."""
        while batch := list(islice(findings, ROWS_AT_ONCE)):
            cls.objects.bulk_create(batch, ignore_conflicts=True)
