"""Our words for what a channel does. A channel folder has a client that speaks theirs and a mapping that speaks ours.

A channel never touches the database and never decides: it asks, and says what it was told. Every call ends in one of
`Accepted | Rejected | Unknown`. A timeout is Unknown, never a failure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, BinaryIO, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from openplatform.limits import Pace
from payments.channels.account_shape import AccountShape
from payments.channels.bills import BillFacts, BillItems, BillLimits, BillOffer, BillWish
from payments.channels.wallets import Text, Wallet
from payments.states import BillKind

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Accepted(Generic[T_co]):
    """The channel answered, its answer was verified, and this is what it says."""

    facts: T_co


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A definite no: the channel did not execute the request and will not. `code` is theirs.

    `account_refused`: not because of this payment, but of the account: another account of the merchant may do.
    """

    code: str
    message: str = ""
    account_refused: bool = False


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """No answer that counts. `sent` is False when certainly no byte left us. Ask again, with the same number.

    `unwell`: it looks as if the channel itself is in trouble (no answer, HTTP 5xx), and not this one call.
    `key_wanted`: the answer is signed under a key of theirs that we do not have, and that could be fetched.
    `clock_ahead_s`: they refuse our time, and their clock is so many seconds ahead of ours (behind: negative).
    """

    reason: str
    sent: bool = True
    unwell: bool = False
    key_wanted: str = ""
    clock_ahead_s: int = 0


@dataclass(frozen=True, kw_only=True)
class NotReady:
    """What was asked for is not made yet; the channel says that it will be."""


@dataclass(frozen=True, kw_only=True)
class Empty:
    """There is no bill of that day, because nothing happened on it.

    `is_certain` is False where the channel has the same words for a bill that is not made yet.
    """

    is_certain: bool


BillAnswer = Accepted[BillFacts] | NotReady | Empty | Rejected | Unknown


@dataclass(frozen=True, kw_only=True)
class PayRequest:
    """One try. `payment_no` is our number at the channel. A retry carries the same values, `begun_at` included.

    What a method needs of the payer is said by `Capabilities`; the rest is "". `auth_code` is the bar code that the
    payer shows: it is worth money for a minute, and is never logged. `page_url` is our page of the order, where the
    payer may be sent back to.
    """

    payment_no: int
    method: str
    amount_fen: int
    subject: str
    payer_id: str
    begun_at: datetime
    expires_at: datetime
    notify_url: str
    page_url: str
    auth_code: str = field(default="", repr=False)
    client_ip: str = ""


@dataclass(frozen=True, kw_only=True)
class Prepay:
    """What the payer's page needs, and how long the channel honours it."""

    values: dict[str, str]
    valid_for: timedelta


class TradeState(StrEnum):
    PAID = "PAID"
    NOT_PAID = "NOT_PAID"
    CLOSED = "CLOSED"
    RETURNED = "RETURNED"  # was paid, and the channel has given all of it back
    FAILED = "FAILED"  # the payer's bar code was refused for good
    NOT_FOUND = "NOT_FOUND"


@dataclass(frozen=True, kw_only=True)
class TradeFacts:
    """What the channel says of a payment. The money fields are there when `state` is PAID.

    `payment_no` is 0 when the number that they name cannot be one of ours.
    """

    state: TradeState
    payment_no: int
    channel_trade_no: str = ""
    amount_fen: int = 0
    currency: str = "CNY"
    paid_at: datetime | None = None
    # By what the channel knows whoever paid: perhaps by several names, perhaps by none that it tells.
    payer_ids: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class RefundRequest:
    """Money to send back. Every retry carries the same number and the same amounts."""

    refund_no: int
    payment_no: int
    amount_fen: int
    paid_fen: int
    reason: str
    notify_url: str


class RefundState(StrEnum):
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    NOT_DONE = "NOT_DONE"  # ended; the money is still with the merchant
    ABNORMAL = "ABNORMAL"
    NOT_FOUND = "NOT_FOUND"


@dataclass(frozen=True, kw_only=True)
class RefundFacts:
    """What the channel says of a refund."""

    state: RefundState
    refund_no: int
    payment_no: int
    channel_refund_no: str = ""
    amount_fen: int = 0
    succeeded_at: datetime | None = None
    destination: str = ""  # where the money goes or went, as they say it: masked, for people


@dataclass(frozen=True, kw_only=True)
class BankCard:
    """A card of the payer for a refund that could not go back the way it came. Never stored, never logged."""

    bank_type: str
    account: str = field(repr=False)
    name: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Callback:
    """A callback that was verified and read. `callback_id` is theirs and the same on re-sends.

    `mismatch` names what in it belongs to another account, although the signature is the channel's.
    """

    callback_id: str
    event_type: str
    facts: TradeFacts | RefundFacts
    mismatch: str = ""


class CallbackRefused(Exception):
    """Not theirs, not for this account, or not readable. Nothing may be concluded from it.

    `key_wanted`: it is signed under a key of theirs that we do not have, and that could be fetched. `alarm` says what a
    person would have to do for such callbacks to be read; "" when there is nothing.
    """

    def __init__(self, reason: str, *, key_wanted: str = "", alarm: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.key_wanted = key_wanted
        self.alarm = alarm


@dataclass(frozen=True, kw_only=True)
class TheirCertificate:
    """A certificate of theirs as it was fetched, in PEM, with those between it and a root where it has any."""

    serial: str
    pem: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a channel can do, as data.

    `methods` maps each method to what it needs of the payer: `openid` (who it is at the channel), `auth_code` (the bar
    code that it shows), `client_ip` (where its browser is).
    """

    methods: Mapping[str, frozenset[str]]
    # Methods whose payment the channel does not know before the payer begins: that it is not found there is no news.
    unseen_methods: frozenset[str] = frozenset()
    # How often one account may call an operation, where the channel states it; and how far apart two refunds of one
    # payment must be.
    paces: Mapping[str, Pace] = field(default_factory=dict)
    refund_gap: timedelta = timedelta(0)
    # Its certificates are fetched so often; None: only one that is missing, when it is.
    certificates_every: timedelta | None = None
    bills: Mapping[BillKind, BillOffer] = field(default_factory=dict)


def _none_fetched() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class AccountConfig:
    """A channel account as values: `settings` public, `secrets` never to be printed.

    `certificates` gives what was fetched of the channel's certificates, by serial number, as it is now.
    """

    account_id: int
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    deadline_s: float
    connect_s: float
    private_hosts: frozenset[str] = frozenset()
    certificates: Callable[[], Mapping[str, str]] = field(default=_none_fetched, repr=False)
    bills: BillLimits = field(default_factory=BillLimits)


class Channel(Protocol):
    """One account at one channel."""

    name: ClassVar[str]
    label: ClassVar[Text]  # for operators
    # Built after a description, and certified with nobody: no real money without ALLOW_MODEL_CHANNELS.
    is_model: ClassVar[bool]
    wallet: ClassVar[Wallet]
    account_shape: ClassVar[AccountShape]
    capabilities: ClassVar[Capabilities]
    code_parameter: ClassVar[str]  # under which the one-time code comes back from `authorize_url`
    # Seconds after the last move at which an open payment is asked about; the last value repeats.
    query_schedule_s: ClassVar[tuple[int, ...]]
    refund_schedule_s: ClassVar[tuple[int, ...]]
    config: AccountConfig

    def __init__(self, config: AccountConfig) -> None: ...

    @property
    def endpoint(self) -> str:
        """The host that it talks to: what is in trouble there is in trouble for each of its accounts."""

    def create(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:
        """Begin a payment: what the payer's page needs, or what became of a bar code (PAID, or NOT_PAID yet)."""

    def query(self, *, payment_no: int, now: datetime) -> Accepted[TradeFacts] | Rejected | Unknown: ...

    def close(self, *, payment_no: int, method: str, now: datetime) -> Accepted[None] | Rejected | Unknown:
        """End a payment that is not paid; a bar code's is reversed. Whatever it answers, a query decides."""

    def refund(self, request: RefundRequest, *, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown: ...

    def query_refund(
        self, *, refund_no: int, payment_no: int, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown: ...

    def page_parameters(self, prepay: Mapping[str, str], *, now: datetime) -> dict[str, str]:
        """What the payer's page hands to the bridge, signed afresh; or an address: `code_url` is shown to be scanned,
        `h5_url` is opened by the phone's browser, and `pay_url` by the page inside the payer's app.
        """

    def read_callback(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Callback:
        """Verify and read. Raises CallbackRefused."""

    def callback_answer(self, *, problem: str = "") -> tuple[int, bytes]:
        """HTTP status and body that acknowledge a callback, or refuse it when `problem` names one."""

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Where the payer's browser goes to say who it is."""

    def payer_id(self, *, code: str, user_agent: str) -> Accepted[str] | Rejected | Unknown:
        """The payer's id for a one-time `code` that came back from `authorize_url` to the browser `user_agent`."""

    def sandbox_page_url(self, page: Mapping[str, str], *, return_to: str, language: str) -> str:
        """The stand-in phone page of a sandbox account; "" for a real one."""

    @staticmethod
    def sandbox_account(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Settings and secrets of an account, from what a sandbox says about itself under the channel's name."""


@runtime_checkable
class FetchesCertificates(Protocol):
    """A channel whose keys change while we watch."""

    def fetch_certificates(
        self, *, serial: str, now: datetime
    ) -> Accepted[tuple[TheirCertificate, ...]] | Rejected | Unknown:
        """All that they publish now, or where they give them out one by one that of `serial`. None is no error."""

    def keys_end_at(self) -> datetime | None:
        """When the last of their keys that we have runs out, or ran out; None when it never does, or nobody minds."""


@runtime_checkable
class RedirectsRefunds(Protocol):
    """A channel that can be told where an abnormal refund goes."""

    def redirect_refund(
        self, *, refund_no: int, channel_refund_no: str, card: BankCard | None, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown:
        """To `card`, or without one to the merchant's own bank account, who then owes it to the payer."""


@runtime_checkable
class HasBills(Protocol):
    """A channel with bills; which ones, and from when on, its capabilities say."""

    def download_bill(self, wish: BillWish, *, into: BinaryIO, now: datetime) -> BillAnswer:
        """Write the file of a bill, as it came, into the empty file `into`, and check that it is the one meant."""

    def read_bill(self, file: BinaryIO, wish: BillWish) -> BillItems:
        """What a file that `download_bill` wrote says, row by row, with a BillEnd as the last item.

        Raises BillSpoiled, at the latest instead of that item: rows that came before then count for nothing.
        """
