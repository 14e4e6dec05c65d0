"""What the platform answers, typed. Fields that are newer than this client are in `document`, and no error."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from openplatform.client.errors import NotUnderstood


@dataclass(frozen=True, kw_only=True)
class Result:
    """The base: reads itself from a document that is proven already."""

    document: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Raises NotUnderstood when a field is missing or of another type; one that may be null may be missing."""
        fields = _fields(cls)  # type: ignore[arg-type]  # a class is hashable
        values = {name: _value(hint, document.get(name), name=f"{cls.__name__}.{name}") for name, hint in fields}
        return cls(document=document, **values)


@dataclass(frozen=True, kw_only=True)
class Order(Result):
    """Money is integer fen in `amount_fen` and yuan as text in `amount`; calculate with fen."""

    app_id: str
    order_no: str
    out_trade_no: str
    status: str
    amount: str
    amount_fen: int
    refunded: str
    refunded_fen: int
    currency: str
    subject: str
    channel: str
    method: str
    channel_trade_no: str | None
    failure_code: str | None
    metadata: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    closed_at: datetime | None
    version: int  # of two views of one order, the higher is the newer
    cashier_url: str
    jsapi: Mapping[str, Any] | None  # for the bridge of the payer's app, as it is
    code_url: str | None
    pay_url: str | None  # where a page in the payer's app goes, at a channel without a bridge
    next_check_at: datetime | None
    resolve_by: datetime | None
    trace_id: str | None

    @property
    def is_payable(self) -> bool:
        """The payer can pay now."""
        return self.status == "PAYING"

    @property
    def is_paid(self) -> bool:
        """The money has come. For SUCCEEDED_LATE after the order had ended: deliver all the same, or refund."""
        return self.status in {"SUCCEEDED", "SUCCEEDED_LATE"}

    @property
    def is_decided(self) -> bool:
        """Nothing more is expected. A status that this client does not know is not decided."""
        return self.is_paid or self.status in {"FAILED", "CLOSED"}


@dataclass(frozen=True, kw_only=True)
class Refund(Result):
    """Money on its way back."""

    app_id: str
    refund_no: str
    out_refund_no: str
    order_no: str
    out_trade_no: str
    status: str
    amount: str
    amount_fen: int
    currency: str
    reason: str
    channel_refund_no: str | None
    failure_code: str | None
    created_at: datetime
    succeeded_at: datetime | None
    version: int
    next_check_at: datetime | None
    trace_id: str | None

    @property
    def is_decided(self) -> bool:
        """SUCCEEDED or FAILED; ABNORMAL is not decided: a person must act, and then it may still succeed."""
        return self.status in {"SUCCEEDED", "FAILED"}


@dataclass(frozen=True, kw_only=True)
class Attempt(Result):
    """One try to deliver a notification."""

    attempt_no: int
    attempted_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response_excerpt: str | None


@dataclass(frozen=True, kw_only=True)
class SentNotification(Result):
    """What the platform told you, or still owes you. `attempts` is filled by `get_notification` alone."""

    app_id: str
    event_id: str
    type: str
    object_no: str
    object_version: int
    status: str
    notify_url: str
    attempts_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None
    data: Mapping[str, Any]
    attempts: tuple[Attempt, ...] | None


@dataclass(frozen=True, kw_only=True)
class NotificationPage(Result):
    """The newest first; `next_cursor` is None on the last page."""

    app_id: str
    notifications: tuple[SentNotification, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class ReplayedPart(Result):
    """How many are sent again by this part; with `next_cursor` the same call goes on, None: that was the last part."""

    app_id: str
    replayed_count: int
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class PlatformKey(Result):
    """A public key of the platform. Trust it only because an answer that you could prove has brought it."""

    serial_no: str
    algorithm: str
    public_key_pem: str
    status: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, kw_only=True)
class PlatformKeys(Result):
    """Those that sign now, that will, and that still may."""

    app_id: str
    platform_keys: tuple[PlatformKey, ...]


@cache
def _fields(result: type) -> tuple[tuple[str, Any], ...]:
    return tuple((name, hint) for name, hint in get_type_hints(result).items() if name != "document")


def _value(hint: Any, raw: Any, *, name: str) -> Any:
    """`raw` as the annotation says; nothing is converted kindly."""
    if get_origin(hint) is UnionType:
        if raw is None:
            return None
        hint = get_args(hint)[0]
    if get_origin(hint) is tuple and type(raw) is list:
        return tuple(get_args(hint)[0].read(_value(Mapping[str, Any], item, name=name)) for item in raw)
    if hint is datetime and type(raw) is str:
        return _moment(raw, name=name)
    if type(raw) is not (dict if get_origin(hint) is Mapping else hint):
        raise NotUnderstood(f"{name} is {type(raw).__name__} in the answer")
    return raw


def _moment(text: str, *, name: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise NotUnderstood(f"{name} is not a time in the answer") from error
