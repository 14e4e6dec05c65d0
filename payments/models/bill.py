"""The bill of one day at one channel: that we wait for it, and what became of that. Its files are in bill_file.py."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from idgen.fields import SnowflakeField
from payments.models.account import ChannelAccount
from payments.models.base import status_check, status_field
from payments.models.driven import Driven
from payments.states import BillEvent, BillKind, BillStatus, next_bill_status


class Bill(Driven):
    """`next_check_at` is when it is asked for, again or at all; None for never by itself."""

    open_statuses = [status.value for status in BillStatus]  # also a bill that is here may be fetched again

    id = SnowflakeField(_("bill"), primary_key=True)
    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, verbose_name=_("channel account"))
    kind = models.CharField(_("kind"), max_length=24, choices=[(kind.value, kind.value) for kind in BillKind])
    bill_date = models.DateField(_("day"))  # in Beijing
    status = status_field(BillStatus, verbose_name=_("status"))
    newest_file = models.ForeignKey("payments.BillFile", null=True, on_delete=models.PROTECT, related_name="+")
    settled_at = models.DateTimeField(_("settled at"), null=True)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("bill")
        verbose_name_plural = _("bills")
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "bill_date"], name="bill_one_per_account_kind_and_day"),
            status_check(BillStatus, name="bill_status_known"),
            models.CheckConstraint(
                condition=models.Q(kind__in=[kind.value for kind in BillKind]), name="bill_kind_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(status=BillStatus.WAITED_FOR) | models.Q(next_check_at__isnull=False),
                name="bill_waited_for_is_scheduled",
            ),
            models.CheckConstraint(
                condition=models.Q(status=BillStatus.FETCHED, newest_file__isnull=False)
                | (~models.Q(status=BillStatus.FETCHED) & models.Q(newest_file__isnull=True)),
                name="bill_has_file_iff_fetched",
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="bill_due"),
            models.Index(fields=["-bill_date", "-id"], name="bill_day"),
        ]
        permissions = [
            ("download_bill", "Can download the files of bills"),
            ("fetch_bill", "Can have a bill fetched again"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.bill_date}"

    @classmethod
    def wait_for(cls, wanted: Iterable[Self]) -> None:
        """Write down bills to be fetched, made by `awaited`; those that are written down already stay as they are."""
        cls.objects.bulk_create(wanted, ignore_conflicts=True)

    @classmethod
    def awaited(
        cls, *, account: ChannelAccount, kind: BillKind, bill_date: date, ready_at: datetime, now: datetime
    ) -> Self:
        """A row that is not stored yet: due when the channel has made the bill."""
        return cls(
            account=account, kind=kind, bill_date=bill_date, status=BillStatus.WAITED_FOR, next_check_at=ready_at,
            created_at=now,
        )  # fmt: skip

    @classmethod
    def claim(cls, bill_id: int, *, now: datetime, lease: timedelta) -> "Bill | None":
        """The bill with the right to fetch it, or None: see `Driven.claim_row`."""
        if not cls.claim_row(bill_id, now=now, lease=lease):
            return None
        return cls.objects.select_related("account", "newest_file").get(pk=bill_id)

    @classmethod
    def lock(cls, bill_id: int) -> "Bill":
        """The row, held until the transaction ends."""
        return cls.objects.select_for_update(of=("self",)).select_related("account", "newest_file").get(pk=bill_id)

    def ask_again(self, *, at: datetime) -> None:
        """Somebody wants it fetched, whatever we have of it already. Who is at it at the moment goes on."""
        self.plan(next_check_at=at)
        self.save(update_fields=["next_check_at", "checks_count", "refused_count", "not_found_count"])

    def move(self, event: BillEvent, *, now: datetime, next_check_at: datetime | None = None) -> None:
        """Take `event` by the table of payments.states. Raises InvalidMove.

        A bill's history is its files, which are kept for good: it needs no events of its own.
        """
        self.status = next_bill_status(BillStatus(self.status), event)
        if event in {BillEvent.FETCHED, BillEvent.EMPTY}:
            self.settled_at = now
        self.plan(next_check_at=next_check_at)
        self.save()

    def leave(self) -> None:
        """It was asked for again and there is nothing new: not to be asked for any more."""
        self.plan(next_check_at=None)
        self.save()
