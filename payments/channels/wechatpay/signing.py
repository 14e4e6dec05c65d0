"""WeChat Pay APIv3's signatures and its envelope, over the exact bytes that travel.

Source: pay.weixin.qq.com/doc/v3/merchant/4012365336 (request), 4012365339 (page), 4013053249 (answers and callbacks).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SCHEME = "WECHATPAY2-SHA256-RSA2048"
FRESH_S = 300
_SECONDS = re.compile(r"[0-9]{1,12}")


class NotAuthentic(Exception):
    """The message is not shown to be WeChat Pay's; the text says which check failed, never the expected value."""


@lru_cache(maxsize=256)
def private_key(pem: str) -> RSAPrivateKey:
    """The parsed key, kept: parsing costs a hundred times a signature."""
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("a WeChat Pay merchant key is an RSA key")
    return key


@lru_cache(maxsize=256)
def public_key(pem: str) -> RSAPublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise TypeError("a WeChat Pay platform key is an RSA key")
    return key


def lines(*parts: str | bytes) -> bytes:
    """Each part followed by a line feed, the last one too."""
    return b"".join((part.encode() if isinstance(part, str) else part) + b"\n" for part in parts)


def sign(message: bytes, *, pem: str) -> str:
    """RSASSA-PKCS1-v1_5 with SHA-256, base64."""
    return base64.b64encode(private_key(pem).sign(message, PKCS1v15(), hashes.SHA256())).decode()


def authorization(  # noqa: PLR0913 - the five signed lines and who signs
    *, method: str, target: str, body: bytes, timestamp: int, nonce: str, mchid: str, serial_no: str, pem: str
) -> str:
    """The Authorization header of a request whose raw target and raw body are given."""
    signature = sign(lines(method, target, str(timestamp), nonce, body), pem=pem)
    return (
        f'{SCHEME} mchid="{mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial_no}"'
    )


def verify(*, headers: Mapping[str, str], body: bytes, keys: Mapping[str, str], now: datetime) -> None:
    """Check an answer's or a callback's signature. `keys` maps serial numbers to public PEMs. Raises NotAuthentic."""
    timestamp, nonce, serial_no, signature = (
        headers.get(f"Wechatpay-{name}", "") for name in ("Timestamp", "Nonce", "Serial", "Signature")
    )
    if not (timestamp and nonce and serial_no and signature):
        raise NotAuthentic("signature headers missing")
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) >= FRESH_S:
        raise NotAuthentic("timestamp outside the window")
    if serial_no not in keys:
        raise NotAuthentic("unknown key serial")
    try:
        raw = base64.b64decode(signature, validate=True)
        public_key(keys[serial_no]).verify(raw, lines(timestamp, nonce, body), PKCS1v15(), hashes.SHA256())
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise NotAuthentic("signature does not match") from error


def open_resource(resource: Mapping[str, Any], *, api_key: str) -> bytes:
    """Decrypt an AEAD_AES_256_GCM envelope. Raises NotAuthentic when the tag does not fit."""
    if resource.get("algorithm") != "AEAD_AES_256_GCM":
        raise NotAuthentic("unknown resource algorithm")
    try:
        return AESGCM(api_key.encode()).decrypt(
            str(resource["nonce"]).encode(),
            base64.b64decode(str(resource["ciphertext"]), validate=True),
            str(resource.get("associated_data") or "").encode(),
        )
    except (KeyError, binascii.Error, ValueError, InvalidTag) as error:
        raise NotAuthentic("resource does not decrypt") from error


def page_signature(*, app_id: str, timestamp: str, nonce: str, package: str, pem: str) -> str:
    """The paySign of the four lines that the phone's page hands to the bridge."""
    return sign(lines(app_id, timestamp, nonce, package), pem=pem)
