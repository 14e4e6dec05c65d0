"""Our words for what a channel does. A channel folder has a client that speaks theirs and a mapping that speaks ours.

A channel never touches the database and never decides: it asks, and says what it was told. Every call ends in one of
`Accepted | Rejected | Unknown`. A timeout is Unknown, never a failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

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
    """

    reason: str
    sent: bool = True
    unwell: bool = False


@dataclass(frozen=True, kw_only=True)
class PayRequest:
    """One try. `payment_no` is our number at the channel.

    What a method needs of the payer is said by `Capabilities`; the rest is "". `auth_code` is the bar code that the
    payer shows: it is worth money for a minute, and is never logged.
    """

    payment_no: int
    method: str
    amount_fen: int
    subject: str
    payer_id: str
    expires_at: datetime
    notify_url: str
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
    """Not theirs, not for this account, or not readable. Nothing may be concluded from it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a channel can do, as data.

    `methods` maps each method to what it needs of the payer: `openid` (who it is at the channel), `auth_code` (the bar
    code that it shows), `client_ip` (where its browser is).
    """

    methods: Mapping[str, frozenset[str]]
    # Methods whose payment the channel does not know before the payer begins: that it is not found there is no news.
    unseen_methods: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class AccountShape:
    """The names in an account's settings and secrets; docs/deploy.md says what they hold.

    `their_keys` is the setting that maps serial numbers to the channel's public keys in PEM.
    """

    their_keys: str
    settings: frozenset[str]
    settings_maybe: frozenset[str]
    secrets: frozenset[str]
    secrets_maybe: frozenset[str]

    def issues(self, *, settings: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """What is missing, unknown or empty, by name and never by value."""
        return [
            *_name_issues("settings", settings, needed=self.settings, known=self.settings | self.settings_maybe),
            *_name_issues("secrets", secrets, needed=self.secrets, known=self.secrets | self.secrets_maybe),
        ]


def _name_issues(what: str, given: Mapping[str, Any], *, needed: frozenset[str], known: frozenset[str]) -> list[str]:
    return [
        *(f"{what}: {name} is missing" for name in sorted(needed - given.keys())),
        *(f"{what}: {name} is not known" for name in sorted(given.keys() - known)),
        *(f"{what}: {name} is empty" for name in sorted(known & given.keys()) if not given[name]),
    ]


@dataclass(frozen=True, kw_only=True)
class AccountConfig:
    """A channel account as values: `settings` public, `secrets` never to be printed."""

    account_id: int
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    deadline_s: float
    connect_s: float
    private_hosts: frozenset[str] = frozenset()


class Channel(Protocol):
    """One account at one channel."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    code_parameter: ClassVar[str]  # under which the one-time code comes back from `authorize_url`
    # Seconds after the last move at which an open payment is asked about; the last value repeats.
    query_schedule_s: ClassVar[tuple[int, ...]]
    refund_schedule_s: ClassVar[tuple[int, ...]]

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
        """What the payer's page hands to the bridge, signed afresh."""

    def read_callback(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Callback:
        """Verify and read. Raises CallbackRefused."""

    def callback_answer(self, *, problem: str = "") -> tuple[int, bytes]:
        """HTTP status and body that acknowledge a callback, or refuse it when `problem` names one."""

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Where the payer's browser goes to say who it is."""

    def payer_id(self, *, code: str) -> Accepted[str] | Rejected | Unknown:
        """The payer's id for a one-time `code` that came back from `authorize_url`."""

    def sandbox_page_url(self, page: Mapping[str, str], *, return_to: str, language: str) -> str:
        """The stand-in phone page of a sandbox account; "" for a real one."""
