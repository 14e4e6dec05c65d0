"""The signature, from the merchant's side: headers of a request, and the proof of what comes back."""

import base64
import binascii
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
Clock = Callable[[], float]


def scheme_of(key: PrivateKey | PublicKey) -> str:
    """The kind of key decides, never a header."""
    return RSA_SCHEME if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) else ED25519_SCHEME


def sign(key: PrivateKey, message: bytes) -> str:
    """The signature in base64."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return base64.b64encode(key.sign(message)).decode()
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), SHA256())).decode()


def request_headers(
    config: Config, *, method: str, target: str, body: bytes, clock: Clock = time.time
) -> dict[str, str]:
    """Headers of one request. `target` is path and query as they go out. Each call makes a new nonce."""
    timestamp, nonce = str(int(clock())), secrets.token_urlsafe(24)
    message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    headers = {
        "Authorization": (
            f'{scheme_of(config.private_key)} mchid="{config.app_id}",nonce_str="{nonce}",timestamp="{timestamp}",'
            f'serial_no="{config.serial_no}",signature="{sign(config.private_key, message)}"'
        ),
        "Accept": "application/json",
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


def verify(config: Config, *, headers: Mapping[str, str], body: bytes, clock: Clock = time.time) -> None:
    """Raises NotVerified unless one of the platform's keys signed exactly these bytes just now.

    `headers` must be found by any case, as those of `requests` and of every web framework are.
    """
    timestamp, nonce = headers.get("Fenpay-Timestamp", ""), headers.get("Fenpay-Nonce", "")
    key = config.platform_keys.get(headers.get("Fenpay-Serial", ""))
    if key is None or headers.get("Fenpay-Signature-Type") != scheme_of(key):
        raise NotVerified("not signed, or by a platform key that is not in the configuration")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(clock() - int(timestamp)) > CLOCK_SKEW_S:
        raise NotVerified("signed at another time: an old answer, or one of the two clocks is wrong")
    try:
        signature = base64.b64decode(headers.get("Fenpay-Signature", ""), validate=True)
        _verify(key, signature, f"{timestamp}\n{nonce}\n".encode() + body + b"\n")
    except (binascii.Error, InvalidSignature) as error:
        raise NotVerified("the signature is wrong") from error


def _verify(key: PublicKey, signature: bytes, message: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        key.verify(signature, message, padding.PKCS1v15(), SHA256())
