"""The calls. Every write of this API has its identity in its body, so the same write may be sent again."""

import json
import time
from collections.abc import Mapping
from typing import Any

import requests

from openplatform.client import signing
from openplatform.client.config import Config
from openplatform.client.errors import ApiError, NoAnswer, NotVerified

PREFIX = "/openapi/v1"
TIMEOUT_S = (3.05, 15.0)  # the platform itself waits up to 10 s for a channel
TRIES_MAX = 3
BACKOFF_S = 0.5
RETRY_STATUSES = frozenset({429, 502, 503, 504})
IDENTITIES = ("app_id", "out_trade_no", "out_refund_no", "order_no", "refund_no")

Document = dict[str, Any]


class Client:
    """One app's client. Not for sharing between threads: make one each."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str) -> Document:
        """GET `path` (with its query), verified. Raises ApiError, NotVerified or NoAnswer."""
        return self._call("GET", path, b"", expected={})

    def post(self, path: str, document: Mapping[str, Any] | None = None, **headers: str) -> Document:
        """POST, verified; what the answer says about identity must be what was asked for."""
        body = encode(document)
        return self._call("POST", path, body, expected=document or {}, headers=headers)

    def create_order(self, *, out_trade_no: str, amount: str, subject: str, channel: str, **more: Any) -> Document:
        """`amount` in yuan as text. `more`: method, payer, notify_url, return_url, expires_at, metadata."""
        wish = {"out_trade_no": out_trade_no, "amount": amount, "subject": subject, "channel": channel, **more}
        return self.post(f"{PREFIX}/orders", wish)

    def get_order(self, order_no: str) -> Document:
        return self.get(f"{PREFIX}/orders/{order_no}")

    def get_order_by_out_trade_no(self, out_trade_no: str) -> Document:
        return self.get(f"{PREFIX}/orders/out-trade-no/{out_trade_no}")

    def close_order(self, order_no: str) -> Document:
        return self.post(f"{PREFIX}/orders/{order_no}/close")

    def create_refund(self, *, out_refund_no: str, amount: str, **more: Any) -> Document:
        """`amount` in yuan as text. `more`: out_trade_no or order_no, reason, notify_url."""
        return self.post(f"{PREFIX}/refunds", {"out_refund_no": out_refund_no, "amount": amount, **more})

    def get_refund(self, refund_no: str) -> Document:
        return self.get(f"{PREFIX}/refunds/{refund_no}")

    def get_refund_by_out_refund_no(self, out_refund_no: str) -> Document:
        return self.get(f"{PREFIX}/refunds/out-refund-no/{out_refund_no}")

    def platform_keys(self) -> Document:
        return self.get(f"{PREFIX}/platform-keys")

    def keys(self) -> Document:
        return self.get(f"{PREFIX}/keys")

    def retire_key(self, serial_no: str, **more: Any) -> Document:
        """`more`: not_after (RFC 3339; a week from now without it), force."""
        return self.post(f"{PREFIX}/keys/{serial_no}/retire", more)

    def revoke_key(self, serial_no: str, **more: Any) -> Document:
        """At once and for good. `more`: force."""
        return self.post(f"{PREFIX}/keys/{serial_no}/revoke", more)

    def notifications(self, query: str = "") -> Document:
        return self.get(f"{PREFIX}/notifications{'?' + query if query else ''}")

    def replay_notification(self, event_id: str) -> Document:
        return self.post(f"{PREFIX}/notifications/{event_id}/replay")

    def _call(
        self,
        method: str,
        target: str,
        body: bytes,
        *,
        expected: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> Document:
        for tries_left in reversed(range(TRIES_MAX)):
            answer = self._try(method, target, body, headers or {})
            is_replay = answer is not None and answer.status_code == 401 and b'"REPLAYED_NONCE"' in answer.content
            if answer is not None and answer.status_code not in RETRY_STATUSES and not is_replay:
                break
            if tries_left:
                time.sleep(_pause_s(answer, tries_left))
        if answer is None:
            raise NoAnswer(f"{method} {target}: nobody answered")
        return self._read(answer, expected=expected)

    def _try(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> requests.Response | None:
        """One attempt, signed anew: the nonce of the last one may have been used up."""
        signed = signing.request_headers(self.config, method=method, target=target, body=body)
        try:
            return self._session.request(
                method, self.config.base_url + target, data=body or None, headers={**headers, **signed},
                timeout=TIMEOUT_S, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException:
            return None

    def _read(self, answer: requests.Response, *, expected: Mapping[str, Any]) -> Document:
        is_ok = 200 <= answer.status_code < 300
        is_verified = signing.is_signed(answer.headers)
        if is_verified or is_ok:
            signing.verify(self.config, headers=answer.headers, body=answer.content)
        document = _document(answer)
        if not is_ok:
            raise ApiError(status=answer.status_code, document=document, is_verified=is_verified)
        self._check_identity(document, expected=expected)
        return document

    def _check_identity(self, document: Document, *, expected: Mapping[str, Any]) -> None:
        """The signature does not bind an answer to its request; what the answer is about does."""
        wanted = {name: expected[name] for name in IDENTITIES if name in expected} | {"app_id": self.config.app_id}
        for name, value in wanted.items():
            if document.get(name) != value:
                raise NotVerified(f"the answer is about another {name}")


def encode(document: Mapping[str, Any] | None) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() if document is not None else b""


def _pause_s(answer: requests.Response | None, tries_left: int) -> float:
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    return float(asked) if asked.isdigit() and int(asked) <= 10 else BACKOFF_S * (TRIES_MAX - tries_left)


def _document(answer: requests.Response) -> Document:
    try:
        document = json.loads(answer.content)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    raise NotVerified(f"HTTP {answer.status_code} with a body that is not a JSON object")
