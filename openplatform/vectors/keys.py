"""The keys of the vectors: published with their private halves, so that everybody can sign, and nobody trusts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from openplatform.key_material import PLATFORM_RSA_BITS, RSA_EXPONENT, Algorithm

SERIALS = {
    "merchant": "TEST_MERCHANT_KEY_1",
    "platform": "TEST_PLATFORM_KEY_1",
    "stranger": "TEST_STRANGER_KEY_1",
}
USES = {
    "merchant": "signs requests",
    "platform": "signs answers and notifications",
    "stranger": "is nobody's: what it signs must be refused",
}
WARNING = "PUBLIC TEST KEY: everybody has its private half. Never register or trust it anywhere."


@dataclass(frozen=True, kw_only=True)
class VectorKey:
    """A pair of the file."""

    name: str
    private: rsa.RSAPrivateKey

    @property
    def serial_no(self) -> str:
        return SERIALS[self.name]

    def shown(self) -> dict[str, str]:
        public = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        private = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "id": self.name, "use": USES[self.name], "warning": WARNING, "algorithm": Algorithm.RSA_SHA256,
            "serial_no": self.serial_no, "public_key_pem": public.decode(), "private_key_pem": private.decode(),
        }  # fmt: skip


def keys_of(published: Mapping[str, Any]) -> dict[str, VectorKey]:
    """The keys that the file has, so that it stays the same; a pair for each that it lacks."""
    known = {each["id"]: each["private_key_pem"] for each in published.get("keys", [])}
    return {name: VectorKey(name=name, private=_loaded(known[name]) if name in known else _made()) for name in SERIALS}


def _loaded(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a key of the vectors is not RSA")
    return key


def _made() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=PLATFORM_RSA_BITS)
