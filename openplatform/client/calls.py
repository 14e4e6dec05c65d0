"""The operations, typed. Every write of this API has its identity in its body, so the same write may be sent again."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Self, TypeVar

from openplatform.client.config import Config
from openplatform.client.errors import ApiError, NoAnswer, NotDecided, NotVerified
from openplatform.client.results import (
    NotificationPage,
    Order,
    PlatformKey,
    PlatformKeys,
    Refund,
    ReplayedPart,
    SentNotification,
)
from openplatform.client.retries import STATUSES, Retries
from openplatform.client.sending import Call, Document, Sender

IDENTITIES = ("app_id", "out_trade_no", "out_refund_no", "order_no", "refund_no", "event_id")
POLL_PAUSES_S = (1.0, 1.0, 2.0, 3.0, 5.0)
LIMIT_MAX = 100
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_OUT_NO = re.compile(r"[A-Za-z0-9_-]{1,64}")
_QUERY_VALUE = re.compile(r"[A-Za-z0-9_.:~-]{1,128}")
_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")

Thing = TypeVar("Thing", Order, Refund)
_WHERE: dict[type, tuple[str, str]] = {Order: ("orders", "order_no"), Refund: ("refunds", "refund_no")}


def new_idempotency_key() -> str:
    """For one write of yours: keep it with what you are about to do, and use it again if you repeat that."""
    return secrets.token_urlsafe(24)


class Client:
    """One app's client. Threads may share it, and it may be used after a fork.

    `retries` says what is sent again and for how long. Every method raises ApiError, NotVerified, NotUnderstood or
    NoAnswer; look at `may_have_happened` in each before you conclude that a write failed.
    """

    def __init__(
        self, config: Config, *, retries: Retries | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.config = config
        self._retries = retries or Retries()
        self._sleep = sleep
        self._sender = Sender(config, self._retries, sleep=sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connections. The client can be used again afterwards."""
        self._sender.close()

    # --- orders -----------------------------------------------------------------------------------------------------

    def create_order(  # noqa: PLR0913 - the fields of the operation
        self, *, out_trade_no: str, amount: str | Decimal, subject: str, channel: str, method: str,
        payer: Mapping[str, str] | None = None, notify_url: str | None = None, return_url: str | None = None,
        expires_at: str | None = None, metadata: Mapping[str, str] | None = None, wait_s: int | None = None,
        idempotency_key: str | None = None,
    ) -> Order:  # fmt: skip
        """`amount` in yuan, as text or Decimal. `wait_s`: how long the platform may wait for the channel, 0 to 10.

        Safe to repeat with the same arguments: one `out_trade_no` is one order.
        """
        wish = {
            "out_trade_no": out_trade_no, "amount": _yuan(amount), "subject": subject, "channel": channel,
            "method": method, "payer": payer, "notify_url": notify_url, "return_url": return_url,
            "expires_at": expires_at, "metadata": metadata,
        }  # fmt: skip
        return Order.read(self._write("orders", _given(wish), wait_s=wait_s, idempotency_key=idempotency_key))

    def get_order(self, order_no: str) -> Order:
        return Order.read(self._read(f"orders/{_number(order_no)}", order_no=order_no))

    def get_order_by_out_trade_no(self, out_trade_no: str) -> Order:
        path = f"orders/out-trade-no/{_out_no(out_trade_no)}"
        return Order.read(self._read(path, out_trade_no=out_trade_no))

    def close_order(self, order_no: str, *, wait_s: int | None = None, idempotency_key: str | None = None) -> Order:
        """The payer may be faster: look at the status of what comes back."""
        path = f"orders/{_number(order_no)}/close"
        answer = self._write(path, None, wait_s=wait_s, idempotency_key=idempotency_key, order_no=order_no)
        return Order.read(answer)

    # --- refunds ----------------------------------------------------------------------------------------------------

    def create_refund(  # noqa: PLR0913 - the fields of the operation
        self, *, out_refund_no: str, amount: str | Decimal, order_no: str | None = None,
        out_trade_no: str | None = None, reason: str | None = None, notify_url: str | None = None,
        wait_s: int | None = None, idempotency_key: str | None = None,
    ) -> Refund:  # fmt: skip
        """Of the order that `order_no` or `out_trade_no` names. One `out_refund_no` is one refund."""
        wish = {
            "out_refund_no": out_refund_no, "amount": _yuan(amount), "order_no": order_no,
            "out_trade_no": out_trade_no, "reason": reason, "notify_url": notify_url,
        }  # fmt: skip
        return Refund.read(self._write("refunds", _given(wish), wait_s=wait_s, idempotency_key=idempotency_key))

    def get_refund(self, refund_no: str) -> Refund:
        return Refund.read(self._read(f"refunds/{_number(refund_no)}", refund_no=refund_no))

    def get_refund_by_out_refund_no(self, out_refund_no: str) -> Refund:
        path = f"refunds/out-refund-no/{_out_no(out_refund_no)}"
        return Refund.read(self._read(path, out_refund_no=out_refund_no))

    def wait_until_decided(self, thing: Thing, *, timeout_s: float) -> Thing:
        """Ask again until the order or the refund has ended. Raises NotDecided, with the last view, at `timeout_s`.

        A notification is the better way to wait for a payer; this is for scripts, and for the seconds after a 202.
        """
        ends_at, turn = time.monotonic() + timeout_s, 0
        while not thing.is_decided:
            pause_s = POLL_PAUSES_S[min(turn, len(POLL_PAUSES_S) - 1)]
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise NotDecided(f"still {thing.status} after {timeout_s:g} s", last=thing)
            self._sleep(min(pause_s, left_s))
            thing, turn = self._seen_again(thing, within_s=max(1.0, ends_at - time.monotonic())), turn + 1
        return thing

    # --- keys and notifications -------------------------------------------------------------------------------------

    def platform_keys(self) -> tuple[PlatformKey, ...]:
        """The platform's public keys, told by an answer that a key you know has signed: see Config.trusting."""
        return PlatformKeys.read(self._read("platform-keys")).platform_keys

    def list_notifications(
        self, *, status: str | None = None, event_type: str | None = None, object_no: str | None = None,
        limit: int | None = None, cursor: str | None = None,
    ) -> NotificationPage:  # fmt: skip
        """One page of what you were told, the newest first."""
        wanted = {"status": status, "event_type": event_type, "object_no": object_no, "limit": limit, "cursor": cursor}
        query = "&".join(f"{name}={_query_value(str(value))}" for name, value in _given(wanted).items())
        return NotificationPage.read(self._read(f"notifications{'?' if query else ''}{query}"))

    def iter_notifications(
        self, *, status: str | None = None, event_type: str | None = None, object_no: str | None = None
    ) -> Iterator[SentNotification]:
        """All of them, page by page."""
        cursor: str | None = None
        while True:
            page = self.list_notifications(
                status=status, event_type=event_type, object_no=object_no, limit=LIMIT_MAX, cursor=cursor
            )
            yield from page.notifications
            cursor = page.next_cursor
            if cursor is None:
                return

    def get_notification(self, event_id: str) -> SentNotification:
        return SentNotification.read(self._read(f"notifications/{_number(event_id)}", event_id=event_id))

    def replay_notification(self, event_id: str) -> SentNotification:
        """Have it sent again, under the same event id."""
        answer = self._write(f"notifications/{_number(event_id)}/replay", None, event_id=event_id)
        return SentNotification.read(answer)

    def replay_notifications(
        self, *, status: str | None = None, event_type: str | None = None, object_no: str | None = None,
        created_from: datetime | None = None, created_until: datetime | None = None, cursor: str | None = None,
    ) -> ReplayedPart:  # fmt: skip
        """Have those that match sent again, 1,000 at most, the oldest first. The same call with `next_cursor` of what
        comes back as `cursor` goes on with the rest, until that is None. Times have an offset: from <= t < until.
        """
        wish = {
            "status": status, "event_type": event_type, "object_no": object_no, "created_from": _moment(created_from),
            "created_until": _moment(created_until), "cursor": cursor,
        }  # fmt: skip
        return ReplayedPart.read(self._write("notifications/replay", _given(wish)))

    def replay_all_notifications(
        self, *, status: str | None = None, event_type: str | None = None, object_no: str | None = None,
        created_from: datetime | None = None, created_until: datetime | None = None, cursor: str | None = None,
        on_part: Callable[[ReplayedPart], None] = lambda _part: None,
    ) -> int:  # fmt: skip
        """Have all that match sent again, part by part, each of them once; returns how many. `on_part` hears of each
        part: keep its `next_cursor`, and after a failure go on from there with `cursor`.
        """
        count = 0
        while True:
            part = self.replay_notifications(
                status=status, event_type=event_type, object_no=object_no, created_from=created_from,
                created_until=created_until, cursor=cursor,
            )  # fmt: skip
            on_part(part)
            count, cursor = count + part.replayed_count, part.next_cursor
            if cursor is None:
                return count

    # --- anything else ----------------------------------------------------------------------------------------------

    # --- keys -------------------------------------------------------------------------------------------------------

    def keys(self) -> Document:
        """All keys of the app, with their scopes and states."""
        return self._read("keys")

    def offer_key(self, offer: Mapping[str, Any]) -> Document:
        """Hand in a public key: `public_key_pem`, `purpose`, `scopes`. Its answer holds the challenge."""
        return self._write("keys", offer)

    def prove_key(self, serial_no: str, *, proof: str) -> Document:
        return self._write(f"keys/{serial_no}/prove", {"proof": proof})

    def retire_key(self, serial_no: str, **more: Any) -> Document:
        """`more`: not_after (RFC 3339; a week from now without it), force."""
        return self._write(f"keys/{serial_no}/retire", more)

    def revoke_key(self, serial_no: str, **more: Any) -> Document:
        """At once and for good. `more`: force."""
        return self._write(f"keys/{serial_no}/revoke", more)

    # --- whole paths ------------------------------------------------------------------------------------------------

    def get(self, target: str) -> Document:
        """GET a whole path with its query, such as /openapi/v1/orders/17."""
        return self._call(Call(method="GET", target=target, may_repeat=True), expected={})

    def post(
        self, target: str, document: Mapping[str, Any] | None = None, *, may_repeat: bool = False,
        idempotency_key: str | None = None, headers: Mapping[str, str] | None = None,
    ) -> Document:  # fmt: skip
        """POST to a whole path. Sent again only when you say that it is safe, or give an idempotency key."""
        keyed = {**(headers or {}), **_idempotency(idempotency_key)}
        call = Call(
            method="POST", target=target, body=encode(document), headers=keyed,
            may_repeat=may_repeat or idempotency_key is not None,
        )  # fmt: skip
        return self._call(call, expected=document or {})

    def _read(self, path: str, **expected: str) -> Document:
        call = Call(method="GET", target=f"{self.config.prefix}/{path}", may_repeat=True)
        return self._call(call, expected=expected)

    def _write(
        self, path: str, wish: Mapping[str, Any] | None, *, wait_s: int | None = None,
        idempotency_key: str | None = None, **expected: str,
    ) -> Document:  # fmt: skip
        headers = _prefer(wait_s) | _idempotency(idempotency_key)
        target = f"{self.config.prefix}/{path}"
        call = Call(method="POST", target=target, body=encode(wish), headers=headers, may_repeat=True)
        return self._call(call, expected={**(wish or {}), **expected})

    def _call(self, call: Call, *, expected: Mapping[str, Any], retries: Retries | None = None) -> Document:
        document = self._sender.send(call, policy=retries)
        self._check_identity(document, expected=expected, in_doubt=call.is_write)
        return document

    def _seen_again(self, thing: Thing, *, within_s: float) -> Thing:
        """The newer view; the one we have when the platform cannot be heard just now."""
        kind, name = _WHERE[type(thing)]
        number = getattr(thing, name)
        call = Call(method="GET", target=f"{self.config.prefix}/{kind}/{number}", may_repeat=True)
        retries = replace(self._retries, deadline_s=min(within_s, self._retries.deadline_s))
        try:
            return type(thing).read(self._call(call, expected={name: number}, retries=retries))
        except NoAnswer:
            return thing
        except ApiError as error:
            if error.status in STATUSES:
                return thing
            raise

    def _check_identity(self, document: Document, *, expected: Mapping[str, Any], in_doubt: bool) -> None:
        """The nonce has bound the answer to the request; this says that the platform did not mix two things up."""
        wanted = {name: expected[name] for name in IDENTITIES if name in expected} | {"app_id": self.config.app_id}
        for name, value in wanted.items():
            if document.get(name) != value:
                raise NotVerified(f"the answer is about another {name}", may_have_happened=in_doubt)


def encode(document: Mapping[str, Any] | None) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() if document is not None else b""


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _yuan(amount: str | Decimal) -> str:
    """As text, and never through a float: 40.1 is not a number that a float can hold."""
    if isinstance(amount, Decimal):
        return format(amount, "f")
    if not isinstance(amount, str):
        raise TypeError(f'an amount is yuan as text or Decimal, such as "40.30", not {type(amount).__name__}')
    return amount


def _moment(at: datetime | None) -> str | None:
    """RFC 3339. A time without an offset is another moment on another machine."""
    if at is not None and at.tzinfo is None:
        raise ValueError(f"{at} has no offset: give it a time zone")
    return at.isoformat() if at else None


def _prefer(wait_s: int | None) -> dict[str, str]:
    if wait_s is None:
        return {}
    return {"Prefer": f"wait={wait_s}" if wait_s else "respond-async"}


def _idempotency(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    return {"Idempotency-Key": _matching(_IDEMPOTENCY_KEY, key, "an idempotency key")}


def _number(text: str) -> str:
    return _matching(_NUMBER, text, "one of the platform's numbers")


def _out_no(text: str) -> str:
    return _matching(_OUT_NO, text, "a number of yours")


def _query_value(text: str) -> str:
    return _matching(_QUERY_VALUE, text, "a value that a query may hold")


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    """Here already: a slash in it would address something else."""
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not {what} ({pattern.pattern})")
    return text
