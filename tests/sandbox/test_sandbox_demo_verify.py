"""The fifty lines that shops copy refuse whatever strangers send, and never crash: a 500 would be sent again."""

import base64
import json
import math
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from sandbox.demomerchant.verify import NotGenuine, verified

APP_ID, SERIAL = "7301234567890123456", "PLATFORM_KEY_1"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EVENT = {"event_id": "5", "type": "order.succeeded", "app_id": APP_ID, "object_version": 3, "data": {"a": 1}}
TIMESTAMPS = [
    "", "yesterday", "NaN", "inf", "1e9", "-1", "+1795597764", " 1795597764", "1795597764.5", "0x6b", "1_795_597_764",
    "１７９５５９７７６４", "١٧٩٥٥٩٧٧٦٤", "1795597764²", "9" * 13, "9" * 5_000, "9" * 12, "0", "\udc80", "1795\x00",
]  # fmt: skip
SIGNATURES = [
    "", "signed", "NaN", "=", "====", "é" * 344, "Ａ" * 344, "\udc80", "AA==", "A" * 339 + "=", "A" * 4_000_000,
    "AAAA\n" * 70, "-_" * 172, "\x00" * 344,
]  # fmt: skip


def public_pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    encoding, format_ = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, format_).decode()


def check(event: Any = EVENT, *, now: float | None = None, pem: str = "", **changes: str) -> dict[str, Any]:
    """What the shop makes of an event that is signed well, but for the headers in `changes`."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    timestamp, nonce = str(int(time.time())), "a-nonce-of-16-letters"
    signature = KEY.sign(f"{timestamp}\n{nonce}\n".encode() + body + b"\n", padding.PKCS1v15(), hashes.SHA256())
    headers = {
        "Fenpay-Timestamp": timestamp, "Fenpay-Nonce": nonce, "Fenpay-Serial": SERIAL,
        "Fenpay-Signature": base64.b64encode(signature).decode(), "Fenpay-Signature-Type": "FENPAY-SHA256-RSA2048",
    }  # fmt: skip
    named = {f"Fenpay-{name.title().replace('_', '-')}": value for name, value in changes.items()}
    return verified(
        headers=headers | named, body=body, app_id=APP_ID, platform_keys={SERIAL: pem or public_pem(KEY)},
        now=time.time() if now is None else now,
    )  # fmt: skip


def test_a_genuine_one_is_taken() -> None:
    assert check() == EVENT


@pytest.mark.parametrize("timestamp", TIMESTAMPS, ids=range(len(TIMESTAMPS)))
def test_no_timestamp_is_a_crash(timestamp: str) -> None:
    with pytest.raises(NotGenuine, match="timestamp"):
        check(timestamp=timestamp)


@pytest.mark.parametrize("signature", SIGNATURES, ids=range(len(SIGNATURES)))
def test_no_signature_is_a_crash(signature: str) -> None:
    with pytest.raises(NotGenuine, match="signature does not match"):
        check(signature=signature)


@pytest.mark.parametrize("nonce", ["\udc80", "é", "n" * 1_000_000])
def test_no_nonce_is_a_crash(nonce: str) -> None:
    with pytest.raises(NotGenuine, match="signature does not match"):
        check(nonce=nonce)


@pytest.mark.parametrize("changes", [{"nonce": ""}, {"signature_type": ""}, {"signature_type": "FENPAY-ED25519"}])
def test_what_is_not_signed_in_our_way_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(NotGenuine, match="not signed with"):
        check(**changes)


@pytest.mark.parametrize("serial", ["", "UNKNOWN", "\udc80", "x" * 100_000])
def test_no_serial_number_is_a_crash(serial: str) -> None:
    with pytest.raises(NotGenuine, match="no key"):
        check(serial=serial)


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(NotGenuine, match="not RSA"):
        check(pem=public_pem(ed25519.Ed25519PrivateKey.generate()))


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf, 0.0])
def test_a_clock_that_knows_no_time_believes_nothing(now: float) -> None:
    with pytest.raises(NotGenuine, match="timestamp"):
        check(now=now)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"null", b"NaN", b"5", b'"text"', b"{}", b"[" * 1_000, b'{"event_id": 5}']
)
def test_a_signed_body_that_is_no_notification_is_refused(body: bytes) -> None:
    with pytest.raises(NotGenuine, match="the body is not"):
        check(body)
