"""Our words for a channel's bills: what they list, day by day, for reconciliation to judge.

A bill is data that others have written: a layout that changes, free text of payers, a file cut short. So a row that
cannot be read is kept as it stands and costs no other row, and a file that is not whole is no bill.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from payments.channels.days import BEIJING
from payments.states import BillKind, RowKind, RowState


@dataclass(frozen=True, kw_only=True)
class BillOffer:
    """A kind of bill that a channel has, and when it is there."""

    ready_at: time  # Beijing, of the day after
    is_default: bool = True  # False: only for an account whose `bill_kinds` name it
    not_with: str = ""  # a setting of an account with which this bill would be of somebody else's money

    def ready(self, day: date) -> datetime:
        """From when on the bill of `day` is worth asking for."""
        return datetime.combine(day + timedelta(days=1), self.ready_at, BEIJING)


@dataclass(frozen=True, kw_only=True)
class BillWish:
    kind: BillKind
    day: date  # Beijing


@dataclass(frozen=True, kw_only=True)
class BillLimits:
    """How long a download may take in all, how large it may be, and how large once it is unpacked."""

    deadline_s: float = 120
    bytes_max: int = 64 * 1024 * 1024
    unpacked_bytes_max: int = 512 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class BillFacts:
    """A bill's file has been written where the caller wanted it, and is the one that the channel meant."""

    suffix: str  # "csv.gz" or "zip"
    told_hash: str = ""  # "SHA1:<hex>" of the text in it; "" where the channel names none


@dataclass(frozen=True, kw_only=True)
class TradeRow:
    """A line of a trade bill. Amounts are never negative; `kind` says which way the money went.

    `payment_no` and `refund_no` are 0 where the number cannot be one of ours: `foreign_no` and `foreign_refund_no` hold
    it then. `amount_fen` is what the payer paid or got back, `settled_fen` what of it the merchant gets or gives.
    A channel charges parts of a fen: `fee_millifen` is in thousandths, an integer because sums of it must be exact.
    It is negative when a fee is given back.
    """

    line_no: int
    kind: RowKind
    payment_no: int
    channel_trade_no: str
    amount_fen: int
    settled_fen: int
    fee_millifen: int
    state: RowState
    at: datetime  # UTC
    foreign_no: str = ""
    refund_no: int = 0
    foreign_refund_no: str = ""
    channel_refund_no: str = ""


@dataclass(frozen=True, kw_only=True)
class FlowRow:
    """A line of a fund flow bill: `amount_fen` is negative when money left the account."""

    line_no: int
    flow_no: str
    channel_trade_no: str
    what: str  # the channel's own word for the movement
    amount_fen: int
    balance_fen: int
    voucher_no: str  # the merchant's number that it belongs to
    at: datetime  # UTC


@dataclass(frozen=True, kw_only=True)
class UnreadableRow:
    """A line that could not be read, as it stands."""

    line_no: int
    text: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class BillEnd:
    """The last item of every bill that is whole: what it says about itself, in the words of `Tally`.

    `digest` is the SHA-256 of what the bill says, without what differs from one download to the next.
    """

    told: Mapping[str, int]
    digest: str = ""


BillLine = TradeRow | FlowRow | UnreadableRow
BillItem = BillLine | BillEnd
BillItems = Iterator[BillItem]


class BillSpoiled(Exception):
    """Not whole, not of this account and day, or in a layout that we do not know. The text says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(kw_only=True)
class Tally:
    """Counts and sums over the rows of one bill, to be compared with what it says of itself."""

    counted: dict[str, int] = field(default_factory=dict)
    row_count: int = 0
    unreadable_count: int = 0
    end: BillEnd | None = None

    @classmethod
    def of(cls, items: BillItems) -> "Tally":
        """Read a bill through. Raises BillSpoiled."""
        tally = cls()
        for item in items:
            tally.add(item)
        return tally

    def add(self, item: BillItem) -> None:
        if isinstance(item, BillEnd):
            self.end = item
            return
        self.row_count += 1
        self._count("count", 1)
        if isinstance(item, TradeRow):
            self._add_trade(item)
        elif isinstance(item, FlowRow):
            way = "in" if item.amount_fen >= 0 else "out"
            self._count(f"{way}_count", 1)
            self._count(f"{way}_fen", abs(item.amount_fen))
        else:
            self.unreadable_count += 1

    def _add_trade(self, row: TradeRow) -> None:
        way = "paid" if row.kind is RowKind.PAYMENT else "refunded"
        self._count(f"{way}_count", 1)
        self._count(f"{way}_fen", row.amount_fen)
        self._count(f"settled_{way}_fen", row.settled_fen)
        self._count("fee_millifen", row.fee_millifen)

    def _count(self, name: str, more: int) -> None:
        self.counted[name] = self.counted.get(name, 0) + more

    @property
    def told(self) -> dict[str, int]:
        return dict(self.end.told) if self.end else {}

    @property
    def digest(self) -> str:
        return self.end.digest if self.end else ""

    def differences(self) -> dict[str, tuple[int, int]]:
        """What the bill says of itself and its rows do not: name, what was told, what was counted."""
        told = self.told.items()
        return {name: (said, self.counted.get(name, 0)) for name, said in told if said != self.counted.get(name, 0)}

    @property
    def is_sound(self) -> bool:
        """Whether what is not in the rows is not in the bill: each was read, and together they are what it says."""
        return self.end is not None and not self.unreadable_count and not self.differences()
