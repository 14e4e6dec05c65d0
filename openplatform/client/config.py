"""Who we are to the platform, and which of its keys we trust."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key


@dataclass(frozen=True, kw_only=True)
class Config:
    """`platform_keys` maps the platform's serial numbers to its public keys, fetched once from a trusted place."""

    base_url: str
    app_id: str
    serial_no: str
    private_key: rsa.RSAPrivateKey
    platform_keys: Mapping[str, rsa.RSAPublicKey]

    @classmethod
    def from_file(cls, path: str | Path) -> "Config":
        """JSON: base_url, app_id, serial_no, private_key_path (relative to the file) and platform_keys as PEM."""
        path = Path(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            base_url=document["base_url"].rstrip("/"),
            app_id=document["app_id"],
            serial_no=document["serial_no"],
            private_key=_private_key((path.parent / document["private_key_path"]).read_bytes()),
            platform_keys={serial: _public_key(pem) for serial, pem in document["platform_keys"].items()},
        )


def _private_key(pem: bytes) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the private key is not RSA")
    return key


def _public_key(pem: str) -> rsa.RSAPublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("a platform key is not RSA")
    return key
