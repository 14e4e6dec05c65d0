"""The signature, from the merchant's side: headers of a request, and the proof of what comes back."""

import base64
import secrets
import time
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from openplatform.client.config import Config, PrivateKey, PublicKey
from openplatform.client.errors import NotVerified

RSA_SCHEME = "FENPAY-SHA256-RSA2048"
ED25519_SCHEME = "FENPAY-ED25519"
CLOCK_SKEW_S = 300
TIMESTAMP_LENGTH_MAX = 12
Clock = Callable[[], float]


def new_nonce() -> str:
    return secrets.token_urlsafe(24)


def request_message(*, method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """The five lines that are signed, each ended by LF. `target` is path and query as they go out."""
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def answer_message(*, timestamp: str, nonce: str, body: bytes) -> bytes:
    """The three lines of an answer and of a notification."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def scheme_of(key: PrivateKey | PublicKey) -> str:
    """The kind of key decides, never a header."""
    return RSA_SCHEME if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) else ED25519_SCHEME


def sign(key: PrivateKey, message: bytes) -> str:
    """The signature in base64."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return base64.b64encode(key.sign(message)).decode()
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), SHA256())).decode()


def request_headers(
    config: Config, *, method: str, target: str, body: bytes, nonce: str = "", clock: Clock = time.time
) -> dict[str, str]:
    """Headers of one request; a new nonce unless you bring one, which must never have been used before."""
    timestamp, nonce = str(int(clock())), nonce or new_nonce()
    message = request_message(method=method, target=target, timestamp=timestamp, nonce=nonce, body=body)
    headers = {
        "Authorization": (
            f'{scheme_of(config.private_key)} mchid="{config.app_id}",nonce_str="{nonce}",timestamp="{timestamp}",'
            f'serial_no="{config.serial_no}",signature="{sign(config.private_key, message)}"'
        ),
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # the signature is over the bytes as they come
    }
    if known := _known_platform_key(config):
        headers["Fenpay-Serial"] = known
    if body:
        headers["Content-Type"] = "application/json"
    return headers


def _known_platform_key(config: Config) -> str:
    """A key of the platform that we know, to be answered with: of our own kind if there is one."""
    serials = list(config.platform_keys)
    alike = [serial for serial in serials if scheme_of(config.platform_keys[serial]) == scheme_of(config.private_key)]
    return next(reversed(alike or serials), "")


def is_signed(headers: Mapping[str, str]) -> bool:
    return "Fenpay-Signature" in headers


def verify(
    config: Config, *, headers: Mapping[str, str], body: bytes, asked_with_nonce: str = "", clock: Clock = time.time
) -> None:
    """Raises NotVerified unless one of the platform's keys signed exactly these bytes just now.

    `asked_with_nonce`: the request's own nonce, which the platform puts into its answer; leave it out for a
    notification. `headers` must be found by any case, as those of `requests` and of every web framework are.
    """
    timestamp, nonce = headers.get("Fenpay-Timestamp", ""), headers.get("Fenpay-Nonce", "")
    serial_no = headers.get("Fenpay-Serial", "")
    key = config.platform_keys.get(serial_no)
    if headers.get("Fenpay-Signature-Type") not in {RSA_SCHEME, ED25519_SCHEME}:
        raise NotVerified("not signed")
    if key is None:
        raise NotVerified(f"signed by the platform key {serial_no[:64]}, which is not in the configuration")
    if headers.get("Fenpay-Signature-Type") != scheme_of(key):
        raise NotVerified("the kind of signature is not that of the key")
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= TIMESTAMP_LENGTH_MAX
    if not is_number or not abs(clock() - int(timestamp)) <= CLOCK_SKEW_S:  # not `>`: of a NaN that is false, too
        raise NotVerified("signed at another time: an old answer, or one of the two clocks is wrong")
    try:
        signature = base64.b64decode(headers.get("Fenpay-Signature", ""), validate=True)
        _verify(key, signature, answer_message(timestamp=timestamp, nonce=nonce, body=body))
    except (ValueError, InvalidSignature) as error:
        raise NotVerified("the signature is wrong") from error
    if asked_with_nonce and nonce != asked_with_nonce:
        raise NotVerified("this is the answer to another request")


def _verify(key: PublicKey, signature: bytes, message: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        key.verify(signature, message, padding.PKCS1v15(), SHA256())
