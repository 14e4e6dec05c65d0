"""What strangers send to a notify address is refused by name, whatever it is: never a crash, which would be a 500."""

import json
import math
import time

import pytest
from requests.structures import CaseInsensitiveDict

from openplatform.client import NotVerified, verify_notification
from openplatform.client.signing import verify
from tests.openplatform import harness
from tests.openplatform.platforms import APP_ID, SERIAL, config, signed

ED25519 = harness.an_ed25519_key()
EVENT = {
    "event_id": "5", "type": "order.succeeded", "created_at": "2026-01-02T03:04:05Z", "object_version": 3,
    "app_id": APP_ID, "data": {"a": 1},
}  # fmt: skip
TIMESTAMPS = {
    "empty": "", "letters": "yesterday", "not a number": "NaN", "infinite": "inf", "exponent": "1e9", "negative": "-1",
    "signed": "+1795597764", "a space": " 1795597764", "a part": "1795597764.5", "hexadecimal": "0x6b0000",
    "underscores": "1_795_597_764", "full-width digits": "１７９５５９７７６４", "Arabic digits": "١٧٩٥٥٩٧٧٦٤",
    "a superscript": "1795597764²", "too long": "9" * 13, "huge": "9" * 5_000, "the longest": "9" * 12, "zero": "0",
    "half of a pair": "\udc80", "a NUL": "1795597764\x00", "milliseconds": f"{time.time() * 1000:.0f}",
}  # fmt: skip
SIGNATURES = {
    "empty": "", "letters": "signed, the platform", "not a number": "NaN", "no base64": "=", "padding": "====",
    "not ASCII": "é" * 344, "full-width": "Ａ" * 344, "half of a pair": "\udc80", "one byte": "AA==",
    "a byte too few": "A" * 339 + "=", "huge": "A" * 4_000_000, "line breaks": "AAAA\n" * 70, "URL-safe": "-_" * 172,
    "a NUL": "\x00" * 344,
}  # fmt: skip
NONCES = {"half of a pair": "\udc80", "not ASCII": "é", "huge": "n" * 1_000_000, "empty": ""}


def notification(document=EVENT, **changes):
    """Signed just now, with some of its headers replaced."""
    body = json.dumps(document).encode()
    headers = CaseInsensitiveDict(line.split(": ", 1) for line in signed(body))
    return {"headers": CaseInsensitiveDict({**headers, **changes}), "body": body}


def other_keys():
    """A configuration that knows the platform by its Ed25519 key."""
    return config(platform_keys={SERIAL: ED25519.public_key()})


@pytest.mark.parametrize("timestamp", TIMESTAMPS.values(), ids=TIMESTAMPS.keys())
def test_no_timestamp_is_a_crash(timestamp):
    with pytest.raises(NotVerified, match="another time"):
        verify_notification(config(), **notification(**{"Fenpay-Timestamp": timestamp}))


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_no_signature_is_a_crash(signature):
    for known, scheme in ((config(), "FENPAY-SHA256-RSA2048"), (other_keys(), "FENPAY-ED25519")):
        sent = notification(**{"Fenpay-Signature": signature, "Fenpay-Signature-Type": scheme})
        with pytest.raises(NotVerified, match="signature is wrong"):
            verify_notification(known, **sent)


@pytest.mark.parametrize("nonce", NONCES.values(), ids=NONCES.keys())
def test_no_nonce_is_a_crash(nonce):
    with pytest.raises(NotVerified, match="signature is wrong"):
        verify_notification(config(), **notification(**{"Fenpay-Nonce": nonce}))


@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Serial", "Signature", "Signature-Type"])
def test_a_header_that_is_missing_is_a_refusal(name):
    sent = notification()
    del sent["headers"][f"Fenpay-{name}"]
    with pytest.raises(NotVerified):
        verify_notification(config(), **sent)


@pytest.mark.parametrize("clock", [math.nan, math.inf, -math.inf, 0.0])
def test_a_clock_that_knows_no_time_believes_nothing(clock):
    sent = notification()
    with pytest.raises(NotVerified, match="another time"):
        verify(config(), headers=sent["headers"], body=sent["body"], clock=lambda: clock)


@pytest.mark.parametrize(
    ("said", "is_test"), [({"test": True}, True), ({}, False), ({"test": False}, False), ({"test": "true"}, False),
                          ({"test": 1}, False), ({"test": None}, False)],
)  # fmt: skip
def test_a_notification_says_whether_it_is_a_test(said, is_test):
    """Only what is signed says so: a merchant ships nothing for a test, and ships for everything else."""
    assert verify_notification(config(), **notification(EVENT | said)).is_test is is_test
