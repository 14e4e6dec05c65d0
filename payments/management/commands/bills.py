"""The bills of the channels from a terminal: which there are, and fetch those of a day now."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from payments import queries
from payments.channels.days import day_of
from payments.models import Bill, ChannelAccount
from payments.operations.bills import ask_for_day, fetch_bill
from payments.states import BillKind, BillStatus

SHOWN_MAX = 1_000


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text} is not a day such as 2026-01-02") from error


class Command(BaseCommand):
    help = (
        "list: the newest bills. fetch: ask the channel for the bills of a day now, also for those that are here; what"
        " differs from a file that we have is kept beside it, and raises an alarm."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        shown, fetched = verbs.add_parser("list"), verbs.add_parser("fetch")
        shown.add_argument("--date", type=_day, help="a day in Beijing")
        shown.add_argument("--status", choices=[status.value for status in BillStatus])
        fetched.add_argument("--date", type=_day, required=True, help="a day in Beijing that is over")
        for verb in (shown, fetched):
            verb.add_argument("--account", type=int, help="a channel account's id; all active ones without it")
            verb.add_argument("--kind", choices=[kind.value for kind in BillKind])

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        named = {
            "account_id": options["account"], "kind": options["kind"], "bill_date": options["date"],
            "status": options.get("status"),
        }  # fmt: skip
        if verb == "list":
            for bill in queries.newest_bills(
                limit=SHOWN_MAX, **{name: value for name, value in named.items() if value}
            ):
                self._show(bill)
        else:
            self._fetch(options)

    def _fetch(self, options: dict[str, Any]) -> None:
        now, day = timezone.now(), options["date"]
        if day >= day_of(now):
            raise CommandError(f"{day} has no bill before it is over")
        kinds = [BillKind(options["kind"])] if options["kind"] else list(BillKind)
        asked = [
            bill
            for account in self._accounts(options["account"])
            for kind in kinds
            if (bill := ask_for_day(account=account, kind=kind, day=day, now=now)) is not None
        ]
        if not asked:
            raise CommandError("There is nothing to fetch: no such account has such a bill of that day.")
        for bill in asked:
            if not fetch_bill(bill_id=bill.pk, clock=timezone.now):
                self.stdout.write(f"{bill.pk}  a worker is at it")
            self._show(queries.bill_with_file(bill.pk))

    def _accounts(self, account_id: int | None) -> list[ChannelAccount]:
        if account_id is None:
            return list(ChannelAccount.objects.filter(is_active=True).order_by("pk"))
        account = ChannelAccount.objects.filter(pk=account_id).first()
        if account is None:
            raise CommandError("There is no such account.")
        return [account]

    def _show(self, bill: Bill) -> None:
        file = bill.newest_file
        what = f"v{file.version_no}, {file.row_count} rows" if file else bill.last_answer
        self.stdout.write(f"{bill.pk}  {bill.bill_date}  {bill.account_id}  {bill.kind:11}  {bill.status:10}  {what}")
