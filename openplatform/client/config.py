"""Who we are to the platform, and which of its keys we trust."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

if TYPE_CHECKING:
    from openplatform.client.results import PlatformKey

PREFIX = "/openapi/v1"
SANDBOX_PREFIX = "/sandbox/openapi/v1"
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, kw_only=True)
class Config:
    """`platform_keys` maps the platform's serial numbers to its public keys, fetched once from a trusted place.

    `encryption_keys`: the same, of those to which we encrypt. `decryption_keys`: our own pairs, by serial number.
    `prefix`: with SANDBOX_PREFIX what you sign for a test platform counts on no other; use it there, above all if a
    test shares its key pair with anything else.
    """

    base_url: str
    app_id: str
    serial_no: str
    private_key: PrivateKey = field(repr=False)
    platform_keys: Mapping[str, PublicKey]
    prefix: str = PREFIX
    encryption_keys: Mapping[str, rsa.RSAPublicKey] = field(default_factory=dict)
    decryption_keys: Mapping[str, rsa.RSAPrivateKey] = field(default_factory=dict, repr=False)

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
        """JSON: base_url, app_id, serial_no, private_key_path (relative to the file), platform_keys as PEM, prefix; and
        platform_encryption_keys as PEM and decryption_key_paths, both by serial number, if wanted.
        """
        path = Path(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        encryption_keys, paths = document.get("platform_encryption_keys", {}), document.get("decryption_key_paths", {})
        return cls(
            base_url=document["base_url"].rstrip("/"),
            app_id=document["app_id"],
            serial_no=document["serial_no"],
            private_key=read_private_key(path.parent / document["private_key_path"]),
            platform_keys={serial: _public_key(pem) for serial, pem in document["platform_keys"].items()},
            prefix=document.get("prefix", PREFIX),
            encryption_keys={serial: _rsa(_public_key(pem)) for serial, pem in encryption_keys.items()},
            decryption_keys={serial: read_rsa_key(path.parent / name) for serial, name in paths.items()},
        )

    def trusting(self, keys: "Iterable[PlatformKey]") -> "Config":
        """The same with these keys of the platform beside those it has: what `Client.platform_keys` has just proven.

        Call it from time to time, and keep the result: the platform publishes a new key long before it signs with it.
        """
        told = {key.serial_no: _public_key(key.public_key_pem) for key in keys}
        return replace(self, platform_keys={**told, **self.platform_keys})


def read_private_key(path: str | Path) -> PrivateKey:
    """RSA or Ed25519, as PEM without a password."""
    key = load_pem_private_key(Path(path).read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise TypeError("the private key is neither RSA nor Ed25519")
    return key


def read_rsa_key(path: str | Path) -> rsa.RSAPrivateKey:
    key = read_private_key(path)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a key that decrypts must be RSA")
    return key


def _public_key(pem: str) -> PublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise TypeError("a platform key is neither RSA nor Ed25519")
    return key


def _rsa(key: PublicKey) -> rsa.RSAPublicKey:
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("a platform key for encryption is not RSA")
    return key
