"""The model's signature: sorted pairs, empty ones too, SHA-256 in hexadecimal, and that text signed with RSA."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sandbox import crypto, environment, identity
from sandbox.unionpay.material import UnionPaySide


def side() -> UnionPaySide:
    return identity.load(environment.current().directory).unionpay


def message(params: Mapping[str, Any]) -> bytes:
    """What is signed. An object among the values counts as its compact JSON."""
    joined = "&".join(f"{name}={_text(params[name])}" for name in sorted(params) if name != "signature")
    return hashlib.sha256(joined.encode()).hexdigest().encode()


def signed(params: Mapping[str, Any], *, flaw: str = "") -> dict[str, Any]:
    """`params` with the platform's signature, right or flawed as named."""
    if flaw == "missing":
        return dict(params)
    signature = crypto.sign(message(params) + (b"0" if flaw else b""), key=side().private_key)
    return {**params, "signature": signature}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
