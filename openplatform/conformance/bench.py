"""Made-up events of one run, signed as real ones are, and what is done to them before they are sent."""

import base64
import hashlib
import hmac
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from openplatform.key_material import PLATFORM_RSA_BITS, RSA_EXPONENT, new_serial_no
from openplatform.keys import Signer, signer
from openplatform.models import App
from openplatform.notifications.message import Message, json_bytes, signed_headers
from openplatform.notifications.webhooks import webhook_headers

EVENT_ID_PREFIX = "test_"
AMOUNT_FEN = 4_030
WEBHOOK_SIGNATURE, SIGNATURE = "webhook-signature", "Fenpay-Signature"
SLOW_PIECES, SLOW_S = 20, 2.0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One request. Slow ones are sent in pieces over SLOW_S."""

    message: Message
    is_slow: bool = False

    def with_headers(self, **changes: str) -> "Shot":
        """Underscores stand for hyphens."""
        headers = {name.replace("_", "-"): value for name, value in changes.items()}
        return replace(self, message=replace(self.message, headers=self.message.headers | headers))

    def without(self, *names: str) -> "Shot":
        kept = {name: value for name, value in self.message.headers.items() if name not in names}
        return replace(self, message=replace(self.message, headers=kept))

    def with_body(self, body: bytes) -> "Shot":
        """Another body under the same signature."""
        return replace(self, message=replace(self.message, body=body))

    def signed_by(self, forge: Callable[[str], str]) -> "Shot":
        """Each signature changed: `forge` gets it in base64."""
        headers = dict(self.message.headers)
        headers[SIGNATURE] = forge(headers[SIGNATURE])
        if WEBHOOK_SIGNATURE in headers:
            versioned = (signature.split(",") for signature in headers[WEBHOOK_SIGNATURE].split(" "))
            headers[WEBHOOK_SIGNATURE] = " ".join(f"{version},{forge(signature)}" for version, signature in versioned)
        return replace(self, message=replace(self.message, headers=headers))


class SlowBody:
    """A body that arrives piece by piece, as over a bad line."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0
        self._piece = max(1, -(-len(body) // SLOW_PIECES))

    def __len__(self) -> int:
        return len(self._body)

    def read(self, _size: int = -1, /) -> bytes:
        if self._at:
            time.sleep(SLOW_S / SLOW_PIECES)
        piece = self._body[self._at : self._at + self._piece]
        self._at += len(piece)
        return piece


class Bench:
    """Where the events of one run are made. Times are those of `clock`."""

    def __init__(self, *, app: App, run_id: int, clock: Callable[[], datetime]) -> None:
        self.app, self.run_id, self.clock = app, run_id, clock
        self._numbers = itertools.count(1)

    def event(self, **changes: Any) -> dict[str, Any]:
        """A paid order of 40.30 yuan that nobody placed. Its number says its amount, for the merchant to compare."""
        number = next(self._numbers)
        return {
            "event_id": f"{EVENT_ID_PREFIX}{self.run_id}_{number}",
            "type": "order.succeeded",
            "created_at": self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "object_version": 3,
            "app_id": str(self.app.pk),
            "test": True,
            "data": self.order(number),
        } | changes

    def order(self, number: int = 0, **changes: Any) -> dict[str, Any]:
        return {
            "order_no": f"{self.run_id}{number:03d}",
            "out_trade_no": f"FENPAYTEST_{AMOUNT_FEN}_{self.run_id % 10**9}_{number}",
            "status": "SUCCEEDED",
            "amount": "40.30",
            "amount_fen": AMOUNT_FEN,
            "currency": "CNY",
            "subject": "conformance test",
            "version": 3,
        } | changes

    def shot(
        self, event: dict[str, Any] | None = None, *, late_s: int = 0, key: Signer | None = None, is_slow: bool = False
    ) -> Shot:
        """`event` signed as a notification is, `late_s` seconds ago."""
        event = self.event() if event is None else event
        said_at, body = self.clock() - timedelta(seconds=late_s), json_bytes(event)
        signed = {"event_id": event["event_id"], "body": body}
        headers = signed_headers(**signed, now=said_at, key=key or signer(now=self.clock()))
        headers |= self._webhook_headers(**signed, said_at=said_at, is_forged=key is not None)
        return Shot(message=Message(headers=headers, body=body), is_slow=is_slow)

    def strangers_key(self, *, serial_no: str = "") -> Signer:
        """A key that is not ours, under our serial number unless another is given."""
        private = rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=PLATFORM_RSA_BITS)
        return Signer(serial_no or signer(now=self.clock()).serial_no, private)

    def unknown_serial_no(self) -> str:
        return new_serial_no()

    def _webhook_headers(self, *, event_id: str, body: bytes, said_at: datetime, is_forged: bool) -> dict[str, str]:
        headers = webhook_headers(app_id=self.app.pk, event_id=event_id, body=body, now=self.clock(), said_at=said_at)
        if headers and is_forged:
            message = f"{event_id}.{headers['webhook-timestamp']}.".encode() + body
            forged = base64.b64encode(hmac.digest(b"not the secret of this app", message, hashlib.sha256)).decode()
            headers[WEBHOOK_SIGNATURE] = f"v1,{forged}"
        return headers
