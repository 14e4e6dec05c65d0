"""What is sent, and what a good merchant does with it. docs/notifications.md tells it to merchants."""

import base64
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openplatform.conformance import wechatpay
from openplatform.conformance.bench import Bench
from openplatform.conformance.shots import WEBHOOK_HEADERS, Shot
from openplatform.models.notification import NotificationShape

LATE_S = 400
LARGE_BYTES = 60_000
AT_ONCE = 5
NEEDED_HEADERS = ("Timestamp", "Nonce", "Serial", "Signature")
LONG_SERIAL_LENGTH = 4_000  # servers take about twice as much in one header
NOT_NUMBERS = ("yesterday", "1.8e9", "9" * 400)  # the last one is, and larger than any clock or float
NOT_BASE64 = ("this is not base64!", "A")
ANOTHER_APP = "1000000000000000001"


class Expected(enum.StrEnum):
    ACCEPTED = "accepted"  # any 2xx
    REFUSED = "refused"  # any 4xx but 410


@dataclass(frozen=True, kw_only=True)
class Case:
    """`is_grave`: whoever gets it wrong loses money or notifications; otherwise it is worth a warning."""

    name: str
    expected: Expected
    shots: Callable[[Any], Sequence[Shot]]  # of the bench of its shape
    is_grave: bool = True
    is_at_once: bool = False


# --- bad days --------------------------------------------------------------------------------------------------------


def _duplicate(bench: Bench) -> list[Shot]:
    event = bench.event()
    return [bench.shot(event), bench.shot(event)]


def _reordered(bench: Bench) -> list[Shot]:
    newer = bench.event()
    older = bench.event(object_version=2, type="order.late", data=newer["data"] | {"version": 2})
    return [bench.shot(newer), bench.shot(older)]


def _content_types(bench: Bench) -> list[Shot]:
    spellings = ("application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON")
    return [bench.shot().with_headers({"Content-Type": spelling}) for spelling in spellings]


def _lower_case(bench: Bench) -> list[Shot]:
    shot = bench.shot()
    names = [name for name in shot.message.headers if name.startswith(bench.header(""))]
    return [shot.without(*names).with_headers({name.lower(): shot.message.headers[name] for name in names})]


# --- forgeries -------------------------------------------------------------------------------------------------------


def _one_bit(signature: str) -> str:
    raw = bytearray(base64.b64decode(signature))
    raw[-1] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def _body_changed(bench: Bench) -> list[Shot]:
    """Everything in it fits, so that only the signature tells."""
    number = bench.next_number()
    forged = bench.event(number=number, on_file_fen=1)
    return [bench.shot(bench.event(number=number)).with_body(bench.body(forged))]


def _strangers(bench: Bench, *, is_known_serial: bool) -> list[Shot]:
    serial_no = "" if is_known_serial else bench.unknown_serial_no()
    return [bench.shot(key=bench.strangers_key(serial_no=serial_no))]


def _missing_headers(bench: Bench) -> list[Shot]:
    return [bench.shot().without(bench.header(name), *WEBHOOK_HEADERS) for name in NEEDED_HEADERS]


def _sign_test(bench: Bench) -> list[Shot]:
    return [bench.shot().signed_by(bench.visibly_false)]


# --- garbage: whoever takes it apart without looking falls over it ---------------------------------------------------


def _garbage_timestamp(bench: Bench) -> list[Shot]:
    """Signed by us, so that those who verify first read it too."""
    return [bench.timestamped(bench.shot(), text) for text in NOT_NUMBERS]


def _garbage_signature(bench: Bench) -> list[Shot]:
    return [bench.shot().signed_by(_always(text)) for text in NOT_BASE64]


def _always(text: str) -> Callable[[str], str]:
    return lambda _signature: text


def _garbage_serial(bench: Bench) -> list[Shot]:
    """Without webhook headers, which have no serial no. and would be right."""
    serials = ("F" * LONG_SERIAL_LENGTH, "../../etc/passwd", "' OR 1=1 --")
    return [bench.shot().without(*WEBHOOK_HEADERS).with_headers({bench.header("Serial"): text}) for text in serials]


def _repeated_header(bench: Bench) -> list[Shot]:
    """The first one is right and the second one is not: which of them counts is anybody's guess."""
    shot = bench.shot().without(*WEBHOOK_HEADERS)
    signature, timestamp = bench.header("Signature"), bench.header("Timestamp")
    return [
        shot.with_once_more(signature, bench.visibly_false(shot.message.headers[signature])),
        shot.with_once_more(timestamp, str(int(shot.message.headers[timestamp]) - LATE_S)),
    ]


def _accepted(name: str, shots: Callable[[Any], Sequence[Shot]], *, is_grave: bool = True) -> Case:
    return Case(name=name, expected=Expected.ACCEPTED, shots=shots, is_grave=is_grave)


def _refused(name: str, shots: Callable[[Any], Sequence[Shot]], *, is_grave: bool = True) -> Case:
    return Case(name=name, expected=Expected.REFUSED, shots=shots, is_grave=is_grave)


GOOD = _accepted("good", lambda bench: [bench.shot()])
_REPEATS = (
    _accepted("duplicate", _duplicate),
    Case(
        name="duplicates_at_once", expected=Expected.ACCEPTED, is_at_once=True,
        shots=lambda bench: [bench.shot()] * AT_ONCE,
    ),
)  # fmt: skip
_FORGERIES = (
    _refused("replayed_old", lambda bench: [bench.shot(late_s=LATE_S)]),
    _refused("from_the_future", lambda bench: [bench.shot(late_s=-LATE_S)]),
    _refused("one_bit", lambda bench: [bench.shot().signed_by(_one_bit)]),
    _refused("body_changed", _body_changed),
    _refused("other_key", lambda bench: _strangers(bench, is_known_serial=True)),
    _refused("unknown_serial", lambda bench: _strangers(bench, is_known_serial=False)),
    _refused("missing_headers", _missing_headers),
    _refused("sign_test", _sign_test),
    _refused("garbage_timestamp", _garbage_timestamp),
    _refused("garbage_signature", _garbage_signature),
    _refused("garbage_serial", _garbage_serial),
    # Who reads the right one of the two has proven it: that is a warning.
    _refused("repeated_header", _repeated_header, is_grave=False),
)
_NOT_OURS = (
    _refused("wrong_amount", lambda bench: [bench.shot(bench.event(paid_fen=1))]),
    _refused("wrong_app", lambda bench: [bench.shot(bench.event(app_id=ANOTHER_APP))]),
)
_UNUSUAL = (
    _accepted("unknown_fields", lambda bench: [bench.shot(bench.with_unknown_fields(bench.event()))]),
    _accepted("content_types", _content_types),
    _accepted("lower_case_headers", _lower_case),
    _accepted("large", lambda bench: [bench.shot(bench.event(padding="x" * LARGE_BYTES))], is_grave=False),
    _accepted("slow", lambda bench: [bench.shot(is_slow=True)], is_grave=False),
)
CASES: Mapping[NotificationShape, tuple[Case, ...]] = {
    NotificationShape.NATIVE: (
        GOOD, *_REPEATS, _accepted("reordered", _reordered), *_FORGERIES, *_NOT_OURS,
        _accepted("unknown_type", lambda bench: [bench.shot(bench.event(type="test.never_heard_of"))]), *_UNUSUAL,
    ),
    NotificationShape.WECHATPAY: (
        GOOD, *_REPEATS, _accepted("refund_event", wechatpay.refund_event), *_FORGERIES,
        _refused("tampered_ciphertext", wechatpay.tampered_ciphertext),
        _refused("other_associated_data", wechatpay.other_associated_data),
        _refused("other_apiv3_key", wechatpay.other_apiv3_key), *_NOT_OURS, *_UNUSUAL,
    ),
}  # fmt: skip
