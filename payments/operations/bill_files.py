"""Keeping a bill's file and its rows, and comparing them with our own books. All inside the caller's transaction."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from openplatform.hints import hint
from payments import queries
from payments.channels.bills import BillFacts, BillItem, BillLine, FlowRow, Tally, TradeRow, UnreadableRow
from payments.models import Bill, BillFile, BillFinding, BillFlowRow, BillRow, BillUnreadableRow, Payment
from payments.models.bill_file import ROWS_AT_ONCE
from payments.states import BillKind

HINTS_MAX = 100  # the sweep finds the others
TABLES: dict[type[BillLine], type[BillRow | BillFlowRow | BillUnreadableRow]] = {
    TradeRow: BillRow, FlowRow: BillFlowRow, UnreadableRow: BillUnreadableRow,
}  # fmt: skip


def keep(
    bill: Bill, *, content: BinaryIO, facts: BillFacts, tally: Tally, items: Iterable[BillItem], now: datetime
) -> BillFile:
    """The file of `bill`, which is locked, with all its rows; or the one that said the same before."""
    if (known := BillFile.objects.filter(bill=bill, digest=tally.digest).first()) is not None:
        return known
    file = BillFile.keep(
        bill=bill, content=content, now=now, suffix=facts.suffix, told_hash=facts.told_hash, digest=tally.digest,
        row_count=tally.row_count, unreadable_count=tally.unreadable_count, counted=tally.counted, told=tally.told,
        is_sound=tally.is_sound,
    )  # fmt: skip
    _keep_rows(file, items)
    if bill.kind == BillKind.TRADE:
        BillFinding.keep(_findings(file, bill, now=now))
        _ask_about_unpaid(file, bill, now=now)
    return file


def _keep_rows(file: BillFile, items: Iterable[BillItem]) -> None:
    lines = (item for item in items if type(item) in TABLES)
    while batch := list(islice(lines, ROWS_AT_ONCE)):
        for kind, table in TABLES.items():
            table.keep(file=file, rows=[_columns(line) for line in batch if type(line) is kind])


def _columns(line: object) -> dict[str, Any]:
    """The columns have the names of the facts; a number that is none of ours is NULL, not 0."""
    columns = dict(vars(line))
    return columns | {name: columns[name] or None for name in ("payment_no", "refund_no") if name in columns}


def _findings(file: BillFile, bill: Bill, *, now: datetime) -> Iterator[BillFinding]:
    kinds = BillFinding.Kind
    for payment in queries.paid_but_not_in(file, account_id=bill.account_id, day=bill.bill_date):
        yield BillFinding(
            file=file, kind=kinds.NOT_IN_BILL, payment=payment, ours_fen=payment.amount_fen, found_at=now
        )  # fmt: skip
    for payment, told_fen in queries.listed_in(file, account_id=bill.account_id):
        is_paid = payment.paid_at is not None
        if is_paid and payment.amount_fen == told_fen:
            continue
        kind = kinds.AMOUNT_DIFFERS if is_paid else kinds.NOT_PAID_HERE
        yield BillFinding(
            file=file, kind=kind, payment=payment, ours_fen=payment.amount_fen, told_fen=told_fen, found_at=now
        )  # fmt: skip


def _ask_about_unpaid(file: BillFile, bill: Bill, *, now: datetime) -> None:
    """The bill lists payments that are not paid here: the channel's own answer decides, and is asked for at once.

    Last in the transaction: their rows are locked by this until it ends.
    """
    found = file.findings.filter(kind=BillFinding.Kind.NOT_PAID_HERE).order_by("payment_id")
    numbers = list(found.values_list("payment_id", flat=True))
    Payment.recheck_now(numbers, now=now)
    for number in numbers[:HINTS_MAX]:
        hint("payments.recheck_payment", queue=f"channel.{bill.account.channel}", payment_no=number)
