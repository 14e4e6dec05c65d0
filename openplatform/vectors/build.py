"""One vector: the parts, the string that the receiver builds from them, and a signature that is right or wrong."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from openplatform.signature import NATIVE_SCHEME, SCHEMES, answer_message, request_message
from openplatform.signature import sign as sign_by_its_algorithm
from openplatform.vectors.keys import VectorKey

APP_ID = "1234567890123456789"
TIMESTAMP = "1780000000"
NONCE = "vectors-nonce-0123456789"

_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

Sign = Callable[[VectorKey, bytes], str]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What goes into the string. `method` and `target` are "" for answers and notifications."""

    method: str = ""
    target: str = ""
    timestamp: str = TIMESTAMP
    nonce: str = NONCE
    body: bytes = b""

    def message(self) -> bytes:
        """The string as our server builds it: five lines for a request, three for what we send."""
        if not self.method:
            return answer_message(timestamp=self.timestamp, nonce=self.nonce, body=self.body)
        return request_message(
            method=self.method, target=self.target, timestamp=self.timestamp, nonce=self.nonce, body=self.body
        )


def right(key: VectorKey, message: bytes) -> str:
    return sign_by_its_algorithm(key.private, message)


def with_sha1(key: VectorKey, message: bytes) -> str:
    # A signature that must be refused has to be made once.
    return _text(key.rsa.sign(message, padding.PKCS1v15(), SHA1()))  # noqa: S303


def with_pss(key: VectorKey, message: bytes) -> str:
    """Without salt, so that the file comes out the same each time."""
    return _text(key.rsa.sign(message, padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=0), SHA256()))


def with_a_bit_turned(key: VectorKey, message: bytes) -> str:
    raw = bytearray(base64.b64decode(right(key, message)))
    raw[-1] ^= 1
    return _text(bytes(raw))


def hashed_first(key: VectorKey, message: bytes) -> str:
    """As a client that calls "sign the digest" of a library for Ed25519, which signs the message itself."""
    return right(key, hashlib.sha512(message).digest())


def not_reduced(key: VectorKey, message: bytes) -> str:
    """The second half plus the order of the group: the same equation holds, and RFC 8032 wants it refused."""
    raw = base64.b64decode(right(key, message))
    grown = int.from_bytes(raw[32:], "little") + _ED25519_ORDER
    return _text(raw[:32] + grown.to_bytes(32, "little"))


def a_byte_short(key: VectorKey, message: bytes) -> str:
    return _text(base64.b64decode(right(key, message))[:-1])


def a_byte_long(key: VectorKey, message: bytes) -> str:
    return _text(b"\x00" + base64.b64decode(right(key, message)))


def with_key(other: VectorKey) -> Sign:
    """With a key that is not the one that is claimed."""
    return lambda _key, message: right(other, message)


def vector(
    name: str, kind: str, key: VectorKey, parts: Parts, *, reason: str = "", sign: Sign = right,
    signed_instead: bytes | None = None,
) -> dict[str, Any]:  # fmt: skip
    """`reason` says why it must be refused; without one it must be accepted. `key` is the key that it claims."""
    message = parts.message()
    signature = sign(key, message if signed_instead is None else signed_instead)
    return {
        "id": name, "kind": kind, "scheme": key.scheme, "key": key.name, "valid": not reason,
        "reason": reason or None, "input": _input(parts), "message": shown(message), "signature": signature,
        "signed_instead": None if signed_instead is None else shown(signed_instead),
        "headers": _headers(key, parts, signature),
    }  # fmt: skip


def shown(raw: bytes) -> dict[str, str]:
    """As text for people, and in hex, which is what counts."""
    return {"text": raw.decode("utf-8", errors="backslashreplace"), "hex": raw.hex()}


def authorization(values: dict[str, str], *, scheme: str = NATIVE_SCHEME) -> str:
    return f"{scheme} " + ",".join(f'{name}="{value}"' for name, value in values.items())


def parameters(key: VectorKey, parts: Parts, signature: str) -> dict[str, str]:
    return {
        "mchid": APP_ID, "nonce_str": parts.nonce, "timestamp": parts.timestamp, "serial_no": key.serial_no,
        "signature": signature,
    }  # fmt: skip


def _input(parts: Parts) -> dict[str, Any]:
    line = {"method": parts.method, "target": parts.target} if parts.method else {}
    return line | {"timestamp": parts.timestamp, "nonce": parts.nonce, "body": shown(parts.body)}


def _headers(key: VectorKey, parts: Parts, signature: str) -> dict[str, str]:
    if parts.method:
        return {"Authorization": authorization(parameters(key, parts, signature), scheme=key.scheme)}
    prefix = SCHEMES[key.scheme].header_prefix
    return {
        f"{prefix}-Timestamp": parts.timestamp, f"{prefix}-Nonce": parts.nonce, f"{prefix}-Serial": key.serial_no,
        f"{prefix}-Signature": signature, f"{prefix}-Signature-Type": key.scheme,
    }  # fmt: skip


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
