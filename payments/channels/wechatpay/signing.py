"""WeChat Pay APIv3's signatures and its envelope, over the exact bytes that travel.

Source: pay.weixin.qq.com/doc/v3/merchant/4012365336 (request), 4012365339 (page), 4013053249 (answers and callbacks).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payments.channels import rsa
from payments.channels.rsa import NotAuthentic, UnknownKey

SCHEME = "WECHATPAY2-SHA256-RSA2048"
FRESH_S = 300
_SIGNED_HEADERS = tuple(f"Wechatpay-{name}" for name in ("Timestamp", "Nonce", "Serial", "Signature"))
_OAEP = OAEP(mgf=MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - theirs
_SECONDS = re.compile(r"[0-9]{1,12}")


class StaleTime(NotAuthentic):
    """Signed too long ago, or in the future: either it is old, or one of our clocks is wrong."""


class NotOpened(NotAuthentic):
    """The envelope was not sealed under our APIv3 key, or was changed since."""


def lines(*parts: str | bytes) -> bytes:
    """Each part followed by a line feed, the last one too."""
    return b"".join((part.encode() if isinstance(part, str) else part) + b"\n" for part in parts)


def authorization(  # noqa: PLR0913 - the five signed lines and who signs
    *, method: str, target: str, body: bytes, timestamp: int, nonce: str, mchid: str, serial_no: str, pem: str
) -> str:
    """The Authorization header of a request whose raw target and raw body are given."""
    signature = rsa.sign(lines(method, target, str(timestamp), nonce, body), pem=pem)
    return (
        f'{SCHEME} mchid="{mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial_no}"'
    )


def verify(*, headers: Mapping[str, str], body: bytes, keys: Mapping[str, str], now: datetime) -> None:
    """Check an answer's or a callback's signature. `keys` maps serial numbers to PEMs. Raises NotAuthentic."""
    # Named, for a proxy that drops or renames headers is found by nothing else.
    if missing := [name for name in _SIGNED_HEADERS if not headers.get(name)]:
        raise NotAuthentic(f"signature headers missing: {', '.join(missing)}")
    timestamp, nonce, serial, signature = (headers[name] for name in _SIGNED_HEADERS)
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) >= FRESH_S:
        raise StaleTime("timestamp outside the window")
    if serial not in keys:
        raise UnknownKey(serial)
    rsa.verify(lines(timestamp, nonce, body), signature=signature, pem=keys[serial])


def open_resource(resource: Mapping[str, Any], *, api_key: str) -> bytes:
    """Decrypt an AEAD_AES_256_GCM envelope. Raises NotAuthentic; NotOpened when the tag does not fit."""
    if resource.get("algorithm") != "AEAD_AES_256_GCM":
        raise NotAuthentic("unknown resource algorithm")
    try:
        return AESGCM(api_key.encode()).decrypt(
            str(resource["nonce"]).encode(),
            base64.b64decode(str(resource["ciphertext"]), validate=True),
            str(resource.get("associated_data") or "").encode(),
        )
    except InvalidTag as error:
        raise NotOpened("resource does not decrypt") from error
    except (KeyError, binascii.Error, ValueError) as error:
        raise NotAuthentic("resource does not decrypt") from error


def encrypt_field(text: str, *, pem: str) -> str:
    """A sensitive field for their eyes alone: RSA-OAEP with SHA-1, base64; 214 bytes at most under 2048 bits.

    Source: pay.weixin.qq.com/doc/v3/merchant/4013053257. The request must name the key in `Wechatpay-Serial`.
    """
    return base64.b64encode(rsa.public_key(pem).encrypt(text.encode(), _OAEP)).decode()


def page_signature(*, app_id: str, timestamp: str, nonce: str, package: str, pem: str) -> str:
    """The paySign of the four lines that the phone's page hands to the bridge."""
    return rsa.sign(lines(app_id, timestamp, nonce, package), pem=pem)
