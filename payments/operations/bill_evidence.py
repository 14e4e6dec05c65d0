"""What the bills say of a payment that ended unpaid: the law's last word, where there are bills."""

from datetime import date, datetime, timedelta
from enum import Enum, auto

from payments import queries
from payments.channels.days import day_of, days_between
from payments.models import Bill, Payment
from payments.operations.accounts import bill_offers_of
from payments.operations.bills import want_trade_bills
from payments.states import BillKind, BillStatus


class BillsSay(Enum):
    UNPAID = auto()  # the bills of all days on which it could have been paid are here, and lack it
    PAID = auto()  # one of them has it: the channel's own answer decides
    LATER = auto()  # one of them is waited for
    NOTHING = auto()  # there are none, or they are not to be trusted


def what_bills_say(payment: Payment, *, now: datetime) -> BillsSay:
    """Of an ended payment whose account is there. Bills that nobody waits for yet are waited for from now on."""
    if queries.is_in_a_trade_bill(payment):
        return BillsSay.PAID
    days = _days(payment)
    if BillKind.TRADE not in bill_offers_of(payment.account) or not days:
        return BillsSay.NOTHING
    want_trade_bills(payment.account, days, now=now)
    bills = queries.trade_bills(payment.account_id, days)
    if any(bill.status == BillStatus.WAITED_FOR for bill in bills):
        return BillsSay.LATER
    is_whole = len(bills) == len(days) and all(_tells(bill) for bill in bills)
    return BillsSay.UNPAID if is_whole else BillsSay.NOTHING


def _days(payment: Payment) -> list[date]:
    """On which it could have been paid: while it lived, and the next day too, for a row may move over midnight."""
    ended_at = queries.ended_at(payment)
    if ended_at is None:
        return []
    return days_between(day_of(payment.created_at), day_of(ended_at) + timedelta(days=1))


def _tells(bill: Bill) -> bool:
    """Whether what is not in it did not happen: a row that cannot be read might be the very one."""
    return bill.status == BillStatus.EMPTY or (bill.newest_file is not None and bill.newest_file.is_sound)
