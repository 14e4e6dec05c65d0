"""Who we are to the platform, and which of its keys we trust."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

if TYPE_CHECKING:
    from openplatform.client.results import PlatformKey

PREFIX = "/openapi/v1"
SANDBOX_PREFIX = "/sandbox/openapi/v1"
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class Config:
    """`platform_keys` maps the platform's serial numbers to its public keys, fetched once from a trusted place.

    `prefix`: with SANDBOX_PREFIX what you sign for a test platform counts on no other; use it there, above all if a
    test shares its key pair with anything else.
    """

    base_url: str
    app_id: str
    serial_no: str
    private_key: rsa.RSAPrivateKey = field(repr=False)
    platform_keys: Mapping[str, rsa.RSAPublicKey]
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
            raise ValueError("base_url must be https, but for this machine: orders name payers and amounts")
        if parts.path or parts.query or parts.fragment or parts.username is not None or not parts.hostname:
            raise ValueError("base_url is scheme and host alone: the path is part of what is signed")
        if self.prefix not in {PREFIX, SANDBOX_PREFIX}:
            raise ValueError(f"prefix is {PREFIX} or {SANDBOX_PREFIX}")

    @classmethod
    def from_file(cls, path: str | Path) -> "Config":
        """JSON: base_url, app_id, serial_no, private_key_path (relative to the file), platform_keys as PEM, prefix."""
        path = Path(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            base_url=document["base_url"].rstrip("/"),
            app_id=document["app_id"],
            serial_no=document["serial_no"],
            private_key=_private_key((path.parent / document["private_key_path"]).read_bytes()),
            platform_keys={serial: _public_key(pem) for serial, pem in document["platform_keys"].items()},
            prefix=document.get("prefix", PREFIX),
        )

    def trusting(self, keys: "Iterable[PlatformKey]") -> "Config":
        """The same with these keys of the platform beside those it has: what `Client.platform_keys` has just proven.

        Call it from time to time, and keep the result: the platform publishes a new key long before it signs with it.
        """
        told = {key.serial_no: _public_key(key.public_key_pem) for key in keys}
        return replace(self, platform_keys={**told, **self.platform_keys})


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
