"""Where the made-up events of one run are made, signed as real ones are."""

import base64
import hashlib
import hmac
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import rsa

from openplatform.conformance.shots import WEBHOOK_SIGNATURE, Shot
from openplatform.key_material import PLATFORM_RSA_BITS, RSA_EXPONENT, new_serial_no
from openplatform.keys import Signer, signer
from openplatform.models import App
from openplatform.notifications import sign_tests
from openplatform.notifications.message import Message, json_bytes, signed_headers
from openplatform.notifications.webhooks import webhook_headers
from openplatform.signature import NATIVE_SCHEME, SCHEMES, answer_message

EVENT_ID_PREFIX = "test_"
TEST_ORDER = "FENPAYTEST"
AMOUNT_FEN = 4_030
Event = dict[str, Any]


class Bench(ABC):
    """One for each run. Times are those of `clock`."""

    scheme: ClassVar[str]
    sign_test_prefix: ClassVar[str]

    def __init__(self, *, app: App, run_id: int, clock: Callable[[], datetime]) -> None:
        self.app, self.run_id, self.clock = app, run_id, clock
        self._numbers = itertools.count(1)

    @abstractmethod
    def event(
        self,
        *,
        number: int | None = None,
        on_file_fen: int = AMOUNT_FEN,
        paid_fen: int | None = None,
        app_id: str = "",
        **changes: Any,
    ) -> Event:
        """A paid order that nobody placed: the run's own `number`-th, or one that was not there yet.

        The order's number says what the merchant has on file; `paid_fen` is what we say was paid.
        """

    @abstractmethod
    def with_unknown_fields(self, event: Event) -> Event: ...

    @abstractmethod
    def event_id(self, document: Event) -> str: ...

    def document(self, event: Event) -> Event:
        """What is sent of an event."""
        return event

    def body(self, event: Event) -> bytes:
        return json_bytes(self.document(event))

    def shot(self, event: Event | None = None, **how: Any) -> Shot:
        """`event` as a notification: `how` as `shot_of` takes it."""
        return self.shot_of(self.document(self.event() if event is None else event), **how)

    def shot_of(self, document: Event, *, late_s: int = 0, key: Signer | None = None, is_slow: bool = False) -> Shot:
        """`document` signed as a notification is, `late_s` seconds ago."""
        said_at, body = self.clock() - timedelta(seconds=late_s), json_bytes(document)
        headers = signed_headers(
            event_id=self.event_id(document), body=body, now=said_at, key=key or self.key(), scheme=self.scheme
        )
        headers |= self.more_headers(document, body=body, said_at=said_at, is_forged=key is not None)
        return Shot(message=Message(headers=headers, body=body), is_slow=is_slow)

    def more_headers(
        self,
        document: Event,  # noqa: ARG002 - for those who have some
        *,
        body: bytes,  # noqa: ARG002
        said_at: datetime,  # noqa: ARG002
        is_forged: bool,  # noqa: ARG002
    ) -> dict[str, str]:
        return {}

    def timestamped(self, shot: Shot, timestamp: str) -> Shot:
        """The same with any text as its timestamp, under our signature."""
        nonce, body = shot.message.headers[self.header("Nonce")], shot.message.body
        signature = self.key().sign(answer_message(timestamp=timestamp, nonce=nonce, body=body))
        changed = {self.header("Timestamp"): timestamp, self.header("Signature"): signature}
        if "webhook-timestamp" in shot.message.headers:
            changed["webhook-timestamp"] = timestamp
        return shot.with_headers(changed)

    def header(self, name: str) -> str:
        """A header of ours under the prefix of this scheme."""
        return f"{SCHEMES[self.scheme].header_prefix}-{name}"

    def visibly_false(self, signature: str) -> str:
        return sign_tests.visibly_false(len(base64.b64decode(signature)), prefix=self.sign_test_prefix)

    def key(self) -> Signer:
        return signer(now=self.clock())

    def strangers_key(self, *, serial_no: str = "") -> Signer:
        """A key that is not ours, under our serial number unless another is given."""
        return Signer(serial_no or self.key().serial_no, _strangers_private())

    def unknown_serial_no(self) -> str:
        return new_serial_no()

    def next_number(self) -> int:
        return next(self._numbers)

    def new_event_id(self, number: int) -> str:
        return f"{EVENT_ID_PREFIX}{self.run_id}_{number}"

    def out_trade_no(self, number: int, *, on_file_fen: int) -> str:
        return f"{TEST_ORDER}_{on_file_fen}_{self.run_id % 10**9}_{number}"


@lru_cache(maxsize=1)
def _strangers_private() -> rsa.RSAPrivateKey:
    """One for this process: a pair costs more than most cases."""
    return rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=PLATFORM_RSA_BITS)


class NativeBench(Bench):
    """Events in our own words, and the headers of Standard Webhooks for an app that has a secret."""

    scheme = NATIVE_SCHEME
    sign_test_prefix = sign_tests.PREFIX

    def event(
        self,
        *,
        number: int | None = None,
        on_file_fen: int = AMOUNT_FEN,
        paid_fen: int | None = None,
        app_id: str = "",
        **changes: Any,
    ) -> Event:
        number, paid_fen = number or self.next_number(), paid_fen or on_file_fen
        order = {
            "order_no": f"{self.run_id}{number:03d}",
            "out_trade_no": self.out_trade_no(number, on_file_fen=on_file_fen),
            "status": "SUCCEEDED",
            "amount": f"{paid_fen // 100}.{paid_fen % 100:02d}",
            "amount_fen": paid_fen,
            "currency": "CNY",
            "subject": "conformance test",
            "version": 3,
        }
        return {
            "event_id": self.new_event_id(number),
            "type": "order.succeeded",
            "created_at": self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "object_version": 3,
            "app_id": app_id or str(self.app.pk),
            "test": True,
            "data": order,
        } | changes

    def with_unknown_fields(self, event: Event) -> Event:
        return event | {"new_thing": {"a": [1, None]}, "data": event["data"] | {"another_new_thing": "x"}}

    def event_id(self, document: Event) -> str:
        return str(document["event_id"])

    def more_headers(self, document: Event, *, body: bytes, said_at: datetime, is_forged: bool) -> dict[str, str]:
        event_id = self.event_id(document)
        headers = webhook_headers(app_id=self.app.pk, event_id=event_id, body=body, now=self.clock(), said_at=said_at)
        if headers and is_forged:
            message = f"{event_id}.{headers['webhook-timestamp']}.".encode() + body
            forged = base64.b64encode(hmac.digest(b"not the secret of this app", message, hashlib.sha256)).decode()
            headers[WEBHOOK_SIGNATURE] = f"v1,{forged}"
        return headers
