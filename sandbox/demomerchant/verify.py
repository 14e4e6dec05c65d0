"""How a merchant proves that a notification comes from fenpay. Fifty lines to copy into any shop.

1. the five headers are there and name the scheme; 2. the timestamp is fresh; 3. the key with that serial is known;
4. the signature is that of TIMESTAMP, NONCE and the raw body; 5. the event is for this app.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SCHEME = "FENPAY-SHA256-RSA2048"
FRESH_S = 300
TIMESTAMP_LENGTH_MAX = 12
SERIAL_SHOWN_MAX = 64


class NotGenuine(Exception):
    """The notification is refused; the argument says why, for the log."""


def verified(
    *, headers: Mapping[str, str], body: bytes, app_id: str, platform_keys: Mapping[str, str], now: float
) -> dict[str, Any]:
    """The notification's JSON object, once everything about it is proven. `now` is Unix time. Raises NotGenuine."""
    timestamp, nonce = headers.get("Fenpay-Timestamp", ""), headers.get("Fenpay-Nonce", "")
    if headers.get("Fenpay-Signature-Type") != SCHEME or not nonce:
        raise NotGenuine(f"not signed with {SCHEME}")
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= TIMESTAMP_LENGTH_MAX
    if not is_number or not abs(now - int(timestamp)) <= FRESH_S:  # not `>`: of a NaN that is false, too
        raise NotGenuine("the timestamp is missing or more than five minutes off")
    key = _key(headers.get("Fenpay-Serial", ""), platform_keys)
    try:
        message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = base64.b64decode(headers.get("Fenpay-Signature", ""), validate=True)
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError) as error:
        raise NotGenuine("the signature does not match") from error
    return _event(body, app_id=app_id)


def _key(serial: str, platform_keys: Mapping[str, str]) -> rsa.RSAPublicKey:
    if serial not in platform_keys:
        raise NotGenuine(f"no key with serial {serial[:SERIAL_SHOWN_MAX]!r}")
    key = load_pem_public_key(platform_keys[serial].encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotGenuine(f"the key with serial {serial!r} is not RSA")
    return key


def _event(body: bytes, *, app_id: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotGenuine("the body is not JSON") from error
    wanted = {"event_id": str, "type": str, "app_id": str, "data": dict, "object_version": int}
    if not isinstance(event, dict) or any(not isinstance(event.get(name), kind) for name, kind in wanted.items()):
        raise NotGenuine("the body is not a notification")
    if event["app_id"] != app_id:
        raise NotGenuine(f"it is for the app {event['app_id']}")
    return event
