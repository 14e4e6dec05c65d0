"""The model's signature: the sorted pairs of a message, their SHA-256 in hexadecimal, and that text signed with RSA.

Source: docs/adding-a-channel.md; the vectors in tests/payments/channels/test_unionpay_vectors.py are openssl's.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from payments.channels import rsa
from payments.channels.rsa import NotAuthentic


def sorted_text(params: Mapping[str, Any]) -> str:
    """`k=v` of everything but the signature, also of what is empty, sorted by name, joined with `&`."""
    return "&".join(f"{name}={_text(value)}" for name, value in sorted(params.items()) if name != "signature")


def digest(params: Mapping[str, Any]) -> str:
    """What is signed: 64 lower-case digits. The same content has the same, whoever sends it and however often."""
    return hashlib.sha256(sorted_text(params).encode("utf-8", "surrogatepass")).hexdigest()


def sign(params: Mapping[str, Any], *, pem: str) -> str:
    return rsa.sign(digest(params).encode(), pem=pem)


def verify(params: Mapping[str, Any], *, pems: Collection[str]) -> None:
    """Raises NotAuthentic unless one of the keys signed `params`: a message does not name its key."""
    message, signature = digest(params).encode(), params.get("signature")
    if not isinstance(signature, str) or not signature:
        raise NotAuthentic("signature missing")
    if not any(_is_by(pem, message, signature) for pem in pems):
        raise NotAuthentic("signature does not match")


def _is_by(pem: str, message: bytes, signature: str) -> bool:
    try:
        rsa.verify(message, signature=signature, pem=pem)
    except NotAuthentic:
        return False
    return True


def _text(value: Any) -> str:
    """A text as it is; anything else as compact JSON, which of a number is its digits."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
