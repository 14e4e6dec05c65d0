"""The signature, from the merchant's side: headers of a request, and the proof of what comes back."""

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from openplatform.client.config import Config
from openplatform.client.errors import NotVerified

SCHEME = "FENPAY-SHA256-RSA2048"
CLOCK_SKEW_S = 300
Clock = Callable[[], float]


def request_headers(
    config: Config, *, method: str, target: str, body: bytes, clock: Clock = time.time
) -> dict[str, str]:
    """Headers of one request. `target` is path and query as they go out. Each call makes a new nonce."""
    timestamp, nonce = str(int(clock())), secrets.token_urlsafe(24)
    message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = base64.b64encode(config.private_key.sign(message, padding.PKCS1v15(), SHA256())).decode()
    headers = {
        "Authorization": (
            f'{SCHEME} mchid="{config.app_id}",nonce_str="{nonce}",timestamp="{timestamp}",'
            f'serial_no="{config.serial_no}",signature="{signature}"'
        ),
        "Accept": "application/json",
    }
    if config.platform_keys:
        headers["Fenpay-Serial"] = next(reversed(list(config.platform_keys)))  # answer with a key that we know
    if body:
        headers["Content-Type"] = "application/json"
    return headers


def is_signed(headers: Mapping[str, str]) -> bool:
    return "Fenpay-Signature" in headers


def verify(config: Config, *, headers: Mapping[str, str], body: bytes, clock: Clock = time.time) -> None:
    """Raises NotVerified unless one of the platform's keys signed exactly these bytes just now.

    `headers` must be found by any case, as those of `requests` and of every web framework are.
    """
    timestamp, nonce = headers.get("Fenpay-Timestamp", ""), headers.get("Fenpay-Nonce", "")
    key = config.platform_keys.get(headers.get("Fenpay-Serial", ""))
    if headers.get("Fenpay-Signature-Type") != SCHEME or key is None:
        raise NotVerified("not signed, or by a platform key that is not in the configuration")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(clock() - int(timestamp)) > CLOCK_SKEW_S:
        raise NotVerified("signed at another time: an old answer, or one of the two clocks is wrong")
    try:
        signature = base64.b64decode(headers.get("Fenpay-Signature", ""), validate=True)
        key.verify(signature, f"{timestamp}\n{nonce}\n".encode() + body + b"\n", padding.PKCS1v15(), SHA256())
    except (binascii.Error, InvalidSignature) as error:
        raise NotVerified("the signature is wrong") from error
