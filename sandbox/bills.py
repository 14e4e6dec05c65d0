"""What a bill tells, before any channel's layout: the payments and refunds of one day, and what is wrong with them.

The rows come from the sandbox's own orders and refunds. Wrong ones are asked for by a rule (`bill_missing_row`, ...)
or by a test value: an order ending in 13 is left out, one in 14 has a stranger beside it, one in 15 a fee off by a fen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sandbox import chance, options
from sandbox.clock import BEIJING
from sandbox.models import PayOrder, Refund

FEE_PER_MYRIAD = 60
READY_HOUR = 9  # Beijing, of the day after
NUMBER_LENGTH = 20
BOMB_LINES = 400_000  # empty ones: 800 kB that are packed in one


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A payment, or a refund when `refund` is there. Amounts in fen, never negative."""

    order: PayOrder
    refund: Refund | None
    at: datetime
    amount_fen: int
    fee_fen: int
    out_trade_no: str
    trade_no: str

    @property
    def is_reversal(self) -> bool:
        """Money of a bar-code payment that was taken back by `reverse` and not by a refund."""
        return self.refund is None and self.order.state == PayOrder.REVOKED and self.at == self.order.ended_at


def fee_fen(amount_fen: int) -> int:
    """0.60 %, rounded half up to the fen."""
    return (amount_fen * FEE_PER_MYRIAD + 5_000) // 10_000


def entries(*, channel: str, mchid: str, sub_mchid: str, first: date, days: int = 1, trick: str = "") -> list[Entry]:
    """All of one account from the Beijing day `first` on, by time; wrong where a rule or a test value says so."""
    start = datetime.combine(first, datetime.min.time(), BEIJING)
    span = (start, start + timedelta(days=days))
    found = sorted(_true_entries(channel, mchid, sub_mchid, span), key=lambda entry: (entry.at, entry.trade_no))
    if options.get("test_values"):
        found = [wrong for entry in found for wrong in _by_test_value(entry)]
    return _by_trick(found, trick)


def ready_at(last: date) -> datetime:
    """When the bill that ends with the day `last` can be fetched."""
    return datetime.combine(last + timedelta(days=1), datetime.min.time(), BEIJING) + timedelta(hours=READY_HOUR)


def yuan(fen: int, *, sign: int = 1) -> str:
    """Two decimals, exact."""
    minus = "-" if sign * fen < 0 else ""
    return f"{minus}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def local(moment: datetime | None) -> str:
    """`yyyy-MM-dd HH:mm:ss`, Beijing."""
    return f"{moment.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}" if moment else ""


def _true_entries(channel: str, mchid: str, sub_mchid: str, span: tuple[datetime, datetime]) -> Iterator[Entry]:
    orders = PayOrder.objects.filter(channel=channel, mchid=mchid)
    refunds = Refund.objects.select_related("order").filter(channel=channel, mchid=mchid)
    if sub_mchid:
        orders, refunds = orders.filter(sub_mchid=sub_mchid), refunds.filter(order__sub_mchid=sub_mchid)
    for order in orders.filter(success_time__gte=span[0], success_time__lt=span[1]):
        yield _entry(order, at=order.success_time)
    reversed_ones = orders.filter(state=PayOrder.REVOKED, success_time__isnull=False)
    for order in reversed_ones.filter(ended_at__gte=span[0], ended_at__lt=span[1]):
        yield _entry(order, at=order.ended_at)
    for refund in refunds.filter(created_at__gte=span[0], created_at__lt=span[1]):
        yield _entry(refund.order, at=refund.created_at, refund=refund)


def _entry(order: PayOrder, *, at: datetime | None, refund: Refund | None = None) -> Entry:
    if at is None:
        raise ValueError("an entry needs its time")
    amount = refund.refund_fen if refund else order.total_fen
    return Entry(
        order=order,
        refund=refund,
        at=at,
        amount_fen=amount,
        fee_fen=fee_fen(amount),
        out_trade_no=order.out_trade_no,
        trade_no=str(order.transaction_id),
    )


def _by_test_value(entry: Entry) -> list[Entry]:
    value = entry.order.total_fen % 100
    if entry.refund is not None or value not in {13, 14, 15}:
        return [entry]
    if value == 13:
        return []
    return [entry, _stranger(entry)] if value == 14 else [replace(entry, fee_fen=entry.fee_fen + 1)]


def _stranger(entry: Entry) -> Entry:
    """A payment that nobody has made: the same sum under a number that no order has."""
    number = chance.digits("bill_stranger", entry.out_trade_no, count=NUMBER_LENGTH - 1)
    return replace(entry, refund=None, out_trade_no=f"X{number}", trade_no=f"{entry.trade_no[:-8]}99999999")


def _by_trick(found: list[Entry], trick: str) -> list[Entry]:
    """One row wrong, chosen by the seed."""
    if not found or trick not in {"missing_row", "extra_row", "amount_differs"}:
        return found
    index = chance.draw("bill_row").randrange(len(found))
    entry = found[index]
    wrong = {
        "missing_row": [],
        "extra_row": [entry, _stranger(entry)],
        "amount_differs": [replace(entry, amount_fen=entry.amount_fen + 1)],
    }[trick]
    return [*found[:index], *wrong, *found[index + 1 :]]
