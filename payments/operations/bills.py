"""The bills of the channels: planned day by day, fetched in a queue of their own, and looked for when they do not come.

`fetch_bill` may be killed at any line: what was downloaded is stored in one transaction or not at all, and the lease
of whoever died runs out.
"""

import logging
import tempfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import BinaryIO

from django.db import transaction

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.faults import fault_point
from openplatform.hints import hint, send_now
from openplatform.models.alarm import AlarmKind
from openplatform.tracing import span
from payments import queries
from payments.channels.base import Accepted, BillAnswer, Empty, HasBills, NotReady, Rejected, Unknown
from payments.channels.bills import BillFacts, BillSpoiled, BillWish, Tally
from payments.channels.days import day_of
from payments.models import Bill, ChannelAccount
from payments.operations import bill_files, schedules
from payments.operations.accounts import bill_offers_of, open_account
from payments.operations.guarded import GuardedChannel
from payments.states import BILL_SETTLED, BillEvent, BillKind, BillStatus

Clock = Callable[[], datetime]

CATCH_UP_DAYS = 7  # so far back a day is planned that nobody planned in its time
OVERDUE_AFTER = timedelta(days=1)  # of a bill that should have been there
ASKED_FOR = timedelta(days=30)  # then only when somebody says so
EMPTY_NOT_BEFORE = timedelta(hours=3)  # after it should have been there: an unclear "there is none" is early until then
REFETCHES_MAX = 10  # of a bill that is settled: somebody wanted it again, and it does not come
QUEUE = "bills"
BATCH_MAX = 500
logger = logging.getLogger(__name__)


def plan_bills(*, now: datetime) -> int:
    """Write down the bills that every account should get, and call for a person where one has not come for a day.

    Returns how many are new. Run as often as one likes.
    """
    today = day_of(now)
    days = [today - timedelta(days=back) for back in range(1, CATCH_UP_DAYS + 1)]
    known = queries.known_bills(first=days[-1])
    wanted = [
        bill
        for account in queries.accounts_for_bills(day=days[0])
        for day in days
        for bill in _awaited(account, day=day, now=now)
        if (account.pk, bill.kind, day) not in known and bill.next_check_at is not None and bill.next_check_at <= now
    ]
    Bill.wait_for(wanted)
    _call_for_the_missing(now=now)
    return len(wanted)


def _awaited(account: ChannelAccount, *, day: date, now: datetime) -> list[Bill]:
    """Rows that are not stored yet. An account has no bills from before we knew it."""
    if day < day_of(account.created_at):
        return []
    offers = bill_offers_of(account)
    return [
        Bill.awaited(account=account, kind=kind, bill_date=day, ready_at=offer.ready(day), now=now)
        for kind, offer in offers.items()
    ]


def want_trade_bills(account: ChannelAccount, days: list[date], *, now: datetime) -> None:
    """Somebody has to know what happened on these days, whether or not the account is active still."""
    wanted = [bill for day in days for bill in _awaited(account, day=day, now=now) if bill.kind == BillKind.TRADE]
    Bill.wait_for(wanted)


def _call_for_the_missing(*, now: datetime) -> None:
    for bill in queries.bills_waited_for(before=now - OVERDUE_AFTER, limit=BATCH_MAX):
        with transaction.atomic(durable=True):
            row = Bill.lock(bill.pk)
            if row.status != BillStatus.WAITED_FOR or max(_ready_at(row), row.created_at) + OVERDUE_AFTER > now:
                continue
            row.move(BillEvent.OVERDUE, now=now, next_check_at=row.next_check_at)
            raise_alarm(
                kind=AlarmKind.BILL_MISSING, key=_key(row), now=now,
                text=f"The {row.kind} bill of {row.bill_date} of account {row.account_id} has not come; the last"
                f" answer: {row.last_answer or 'none'}",
            )  # fmt: skip


def sweep_bills(*, now: datetime) -> int:
    """Wake workers for the bills that are due. Returns how many."""
    due = queries.due_bills(now=now, lease=schedules.bill_lease(), limit=BATCH_MAX)
    woken = []
    for bill in due:
        if not send_now("payments.fetch_bill", queue=QUEUE, bill_id=bill.pk):
            break
        woken.append(bill.pk)
    Bill.remember_hints(woken, now=now)
    return len(woken)


def ask_for_bill(*, bill_id: int, now: datetime) -> None:
    """Somebody wants this bill fetched now, whatever we have of it."""
    with transaction.atomic(durable=True):
        Bill.lock(bill_id).ask_again(at=now)
        hint("payments.fetch_bill", queue=QUEUE, bill_id=bill_id)


def ask_for_day(*, account: ChannelAccount, kind: BillKind, day: date, now: datetime) -> Bill | None:
    """The same, by its names; None when the account has no such bill. No worker is woken: the caller is one."""
    wanted = [bill for bill in _awaited(account, day=day, now=now) if bill.kind == kind]
    if not wanted:
        return None
    Bill.wait_for(wanted)
    (known,) = queries.newest_bills(limit=1, account=account, kind=kind, bill_date=day)
    with transaction.atomic(durable=True):
        bill = Bill.lock(known.pk)
        bill.ask_again(at=now)
    return bill


def fetch_bill(*, bill_id: int, clock: Clock) -> bool:
    """Fetch a bill that is due. False when it is not, or somebody else is at it."""
    bill = Bill.claim(bill_id, now=clock(), lease=schedules.bill_lease())
    if bill is None:
        return False
    with (
        span("payments.fetch_bill", attributes={"fenpay.bill": str(bill)}),
        tempfile.TemporaryFile(prefix="fenpay-bill-") as content,
    ):
        try:
            _fetch(bill, content, clock=clock)
        except Exception as error:
            # A defect, a lost database, the soft limit: the row must not come back every lease as if nothing had been.
            logger.exception("bill %s could not be fetched", bill_id)
            record_answer(claimed=bill, answer=Unknown(reason=type(error).__name__), now=clock())
    return True


def _fetch(bill: Bill, content: BinaryIO, *, clock: Clock) -> None:
    channel, wish, now = open_account(bill.account), BillWish(kind=BillKind(bill.kind), day=bill.bill_date), clock()
    if not isinstance(channel, HasBills):
        raise TypeError(f"{channel.name} has no bills")
    answer = GuardedChannel(channel).hold_back(
        "bill", lambda: channel.download_bill(wish, into=content, now=now), now=now
    )
    fault_point("bill.downloaded")
    if not isinstance(answer, Accepted):
        record_answer(claimed=bill, answer=answer, now=clock())
        return
    try:
        tally = Tally.of(channel.read_bill(content, wish))
    except BillSpoiled as spoiled:
        record_answer(claimed=bill, answer=Unknown(reason=f"file: {spoiled.reason}"), now=clock())
        return
    record_file(claimed=bill, content=content, facts=answer.facts, tally=tally, channel=channel, now=clock())
    fault_point("bill.stored")


def record_file(
    *, claimed: Bill, content: BinaryIO, facts: BillFacts, tally: Tally, channel: HasBills, now: datetime
) -> None:
    """Keep a file that was read through, with all its rows, in one transaction; or find that we have it already."""
    wish = BillWish(kind=BillKind(claimed.kind), day=claimed.bill_date)
    with transaction.atomic(durable=True):
        bill = Bill.lock(claimed.pk)
        if not bill.release(claimed):
            return  # it took too long, and another worker has it
        known = bill.newest_file
        is_new = known is None or known.digest != tally.digest
        is_changed = is_new and BillStatus(bill.status) in BILL_SETTLED
        if is_new:
            items = channel.read_bill(content, wish)
            bill.newest_file = bill_files.keep(bill, content=content, facts=facts, tally=tally, items=items, now=now)
        if bill.status == BillStatus.FETCHED:
            bill.leave()
        else:
            bill.move(BillEvent.FETCHED, now=now)
        _tell_of_file(bill, tally=tally, is_changed=is_changed, now=now)


def _tell_of_file(bill: Bill, *, tally: Tally, is_changed: bool, now: datetime) -> None:
    """Alarms about this bill, opened and closed in the transaction that stores it."""
    close_alarm(kind=AlarmKind.BILL_MISSING, key=_key(bill), now=now)
    close_alarm(kind=AlarmKind.BILL_REFUSED, key=_account_key(bill), now=now)
    if is_changed:
        raise_alarm(
            kind=AlarmKind.BILL_CHANGED, key=_key(bill), now=now,
            text=f"The {bill.kind} bill of {bill.bill_date} of account {bill.account_id} was fetched again and says"
            " something else than before; both are kept",
        )  # fmt: skip
    if not tally.is_sound:
        raise_alarm(
            kind=AlarmKind.BILL_UNSOUND, key=_key(bill), now=now,
            text=f"The {bill.kind} bill of {bill.bill_date} of account {bill.account_id} confirms nothing:"
            f" {tally.unreadable_count} rows cannot be read; stated and counted differ in"
            f" {', '.join(tally.differences()) or 'nothing'}",
        )  # fmt: skip
    else:
        close_alarm(kind=AlarmKind.BILL_UNSOUND, key=_key(bill), now=now)


def record_answer(*, claimed: Bill, answer: BillAnswer, now: datetime) -> None:
    """Write down what the channel said instead of handing out a file."""
    with transaction.atomic(durable=True):
        bill = Bill.lock(claimed.pk)
        if not bill.release(claimed):
            return
        is_settled = BillStatus(bill.status) in BILL_SETTLED
        match answer:
            case Empty() if not is_settled and _is_empty(bill, answer, now=now):
                bill.move(BillEvent.EMPTY, now=now)
                close_alarm(kind=AlarmKind.BILL_MISSING, key=_key(bill), now=now)
                close_alarm(kind=AlarmKind.BILL_REFUSED, key=_account_key(bill), now=now)
            case Empty() if bill.status == BillStatus.EMPTY:
                bill.leave()
            case Empty():
                _come_again(bill, answer="empty", schedule=schedules.BILL_NOT_READY_S, not_found=True, now=now)
            case NotReady():
                _come_again(bill, answer="not ready", schedule=schedules.BILL_NOT_READY_S, now=now)
            case Rejected():
                _record_refusal(bill, answer, now=now)
            case Unknown():
                _come_again(bill, answer=answer.reason, schedule=schedules.BILL_UNKNOWN_S, now=now)


def _is_empty(bill: Bill, answer: Empty, *, now: datetime) -> bool:
    """Whether "there is none" is believed: at once where it cannot mean "not yet"; else when it was said often enough,
    late enough in the day, and nothing in our own books says otherwise.
    """
    if answer.is_certain:
        return True
    is_often = bill.not_found_count + 1 >= schedules.EVIDENCE_COUNT
    is_late = now >= _ready_at(bill) + EMPTY_NOT_BEFORE
    return is_often and is_late and not queries.has_moved_money(bill.account_id, day=bill.bill_date)


def _record_refusal(bill: Bill, answer: Rejected, *, now: datetime) -> None:
    """A refusal is not signed: it counts when it is repeated."""
    is_enough = bill.refused_count + 1 >= schedules.EVIDENCE_COUNT
    if is_enough and bill.status in {BillStatus.WAITED_FOR, BillStatus.MISSING}:
        bill.last_answer = answer.code
        bill.move(BillEvent.REFUSED, now=now, next_check_at=_next(bill, schedule=schedules.BILL_LATE_S, now=now))
        raise_alarm(
            kind=AlarmKind.BILL_REFUSED, key=_account_key(bill), now=now,
            text=f"The channel refuses the {bill.kind} bills of account {bill.account_id}: {answer.code}",
        )  # fmt: skip
        return
    _come_again(bill, answer=answer.code, schedule=schedules.BILL_NOT_READY_S, refused=True, now=now)


def _come_again(
    bill: Bill, *, answer: str, schedule: tuple[int, ...], now: datetime, refused: bool = False, not_found: bool = False
) -> None:
    at = _next(bill, schedule=schedule, now=now)
    bill.check_again(at=at, answer=answer, refused=refused, not_found=not_found)


def _next(bill: Bill, *, schedule: tuple[int, ...], now: datetime) -> datetime | None:
    """By the schedule while it is waited for; seldom when it is late, and at last not at all."""
    if BillStatus(bill.status) in BILL_SETTLED:
        is_over = bill.checks_count + 1 >= REFETCHES_MAX
    else:
        is_over = bill.status != BillStatus.WAITED_FOR and now > _ready_at(bill) + ASKED_FOR
    if is_over:
        return None
    is_late = bill.status in {BillStatus.MISSING, BillStatus.REFUSED}
    return schedules.at_step(schedules.BILL_LATE_S if is_late else schedule, step=bill.checks_count, now=now)


def _ready_at(bill: Bill) -> datetime:
    """When it should have been there. A kind that the account gets no more has no hour of its own."""
    offer = bill_offers_of(bill.account).get(BillKind(bill.kind))
    return offer.ready(bill.bill_date) if offer else bill.created_at


def _key(bill: Bill) -> str:
    return f"{bill.account_id}:{bill.kind}:{bill.bill_date}"


def _account_key(bill: Bill) -> str:
    return f"{bill.account_id}:{bill.kind}"
