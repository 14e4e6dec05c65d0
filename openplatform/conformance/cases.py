"""What is sent, and what a good merchant does with it. docs/notifications.md tells it to merchants."""

import base64
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openplatform.conformance.bench import AMOUNT_FEN, Bench, Shot
from openplatform.notifications.message import json_bytes
from openplatform.notifications.sign_tests import visibly_false

LATE_S = 400
LARGE_BYTES = 60_000
AT_ONCE = 5
OUR_HEADERS = ("Fenpay-Timestamp", "Fenpay-Nonce", "Fenpay-Serial", "Fenpay-Signature")
WEBHOOK_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Expected(enum.StrEnum):
    ACCEPTED = "accepted"  # any 2xx
    REFUSED = "refused"  # any 4xx but 410


@dataclass(frozen=True, kw_only=True)
class Case:
    """`is_grave`: whoever gets it wrong loses money or notifications; otherwise it is worth a warning."""

    name: str
    expected: Expected
    shots: Callable[[Bench], Sequence[Shot]]
    is_grave: bool = True
    is_at_once: bool = False


def _duplicate(bench: Bench) -> list[Shot]:
    event = bench.event()
    return [bench.shot(event), bench.shot(event)]


def _reordered(bench: Bench) -> list[Shot]:
    newer = bench.event()
    older = bench.event(object_version=2, type="order.late", data=newer["data"] | {"version": 2})
    return [bench.shot(newer), bench.shot(older)]


def _one_bit(signature: str) -> str:
    raw = bytearray(base64.b64decode(signature))
    raw[-1] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def _body_changed(bench: Bench) -> list[Shot]:
    """Everything in it fits, so that only the signature tells."""
    event = bench.event()
    number = event["data"]["out_trade_no"].replace(f"_{AMOUNT_FEN}_", "_1_")
    forged = event | {"data": event["data"] | {"out_trade_no": number, "amount": "0.01", "amount_fen": 1}}
    return [bench.shot(event).with_body(json_bytes(forged))]


def _missing_headers(bench: Bench) -> list[Shot]:
    return [bench.shot().without(name, *WEBHOOK_HEADERS) for name in OUR_HEADERS]


def _sign_test(bench: Bench) -> list[Shot]:
    return [bench.shot().signed_by(lambda signature: visibly_false(len(base64.b64decode(signature))))]


def _wrong_amount(bench: Bench) -> list[Shot]:
    """Genuine in every way; only the order has another amount on the merchant's file."""
    return [bench.shot(bench.event(data=bench.order(900, amount="0.01", amount_fen=1)))]


def _unknown_fields(bench: Bench) -> list[Shot]:
    event = bench.event(new_thing={"a": [1, None]})
    return [bench.shot(event | {"data": event["data"] | {"another_new_thing": "x"}})]


def _content_types(bench: Bench) -> list[Shot]:
    spellings = ("application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON")
    return [bench.shot().with_headers(Content_Type=spelling) for spelling in spellings]


def _lower_case(bench: Bench) -> list[Shot]:
    shot = bench.shot()
    names = [name for name in shot.message.headers if name.startswith("Fenpay-")]
    lower = {name.lower().replace("-", "_"): shot.message.headers[name] for name in names}
    return [shot.without(*names).with_headers(**lower)]


def _strangers(bench: Bench, *, is_known_serial: bool) -> list[Shot]:
    serial_no = "" if is_known_serial else bench.unknown_serial_no()
    return [bench.shot(key=bench.strangers_key(serial_no=serial_no))]


def _accepted(name: str, shots: Callable[[Bench], Sequence[Shot]], *, is_grave: bool = True) -> Case:
    return Case(name=name, expected=Expected.ACCEPTED, shots=shots, is_grave=is_grave)


def _refused(name: str, shots: Callable[[Bench], Sequence[Shot]]) -> Case:
    return Case(name=name, expected=Expected.REFUSED, shots=shots)


GOOD = _accepted("good", lambda bench: [bench.shot()])
CASES: tuple[Case, ...] = (
    GOOD,
    _accepted("duplicate", _duplicate),
    Case(
        name="duplicates_at_once", expected=Expected.ACCEPTED, is_at_once=True,
        shots=lambda bench: [bench.shot(bench.event())] * AT_ONCE,
    ),
    _accepted("reordered", _reordered),
    _refused("replayed_old", lambda bench: [bench.shot(late_s=LATE_S)]),
    _refused("from_the_future", lambda bench: [bench.shot(late_s=-LATE_S)]),
    _refused("one_bit", lambda bench: [bench.shot().signed_by(_one_bit)]),
    _refused("body_changed", _body_changed),
    _refused("other_key", lambda bench: _strangers(bench, is_known_serial=True)),
    _refused("unknown_serial", lambda bench: _strangers(bench, is_known_serial=False)),
    _refused("missing_headers", _missing_headers),
    _refused("sign_test", _sign_test),
    _refused("wrong_amount", _wrong_amount),
    _refused("wrong_app", lambda bench: [bench.shot(bench.event(app_id="1000000000000000001"))]),
    _accepted("unknown_type", lambda bench: [bench.shot(bench.event(type="test.never_heard_of"))]),
    _accepted("unknown_fields", _unknown_fields),
    _accepted("content_types", _content_types),
    _accepted("lower_case_headers", _lower_case),
    _accepted("large", lambda bench: [bench.shot(bench.event(padding="x" * LARGE_BYTES))], is_grave=False),
    _accepted("slow", lambda bench: [bench.shot(is_slow=True)], is_grave=False),
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}
