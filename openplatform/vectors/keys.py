"""The keys of the vectors: published with their private halves, so that everybody can sign, and nobody trusts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from openplatform.key_material import PLATFORM_RSA_BITS, RSA_EXPONENT, Algorithm, PrivateKey
from openplatform.signature import OWN_SCHEMES


@dataclass(frozen=True)
class Spec:
    """What a pair of the file is called and used for."""

    serial_no: str
    use: str
    algorithm: Algorithm


SPECS: Mapping[str, Spec] = {
    "merchant": Spec("TEST_MERCHANT_KEY_1", "signs requests", Algorithm.RSA_SHA256),
    "platform": Spec("TEST_PLATFORM_KEY_1", "signs answers and notifications", Algorithm.RSA_SHA256),
    "stranger": Spec("TEST_STRANGER_KEY_1", "is nobody's: what it signs must be refused", Algorithm.RSA_SHA256),
    "merchant-ed25519": Spec("TEST_MERCHANT_KEY_2", "signs requests", Algorithm.ED25519),
    "platform-ed25519": Spec("TEST_PLATFORM_KEY_2", "signs answers and notifications", Algorithm.ED25519),
    "stranger-ed25519": Spec("TEST_STRANGER_KEY_2", "is nobody's: what it signs must be refused", Algorithm.ED25519),
    "platform-encryption": Spec("TEST_PLATFORM_KEY_3", "opens what merchants encrypt", Algorithm.RSA_OAEP_256),
    "merchant-encryption": Spec("TEST_MERCHANT_KEY_3", "opens what the platform encrypts", Algorithm.RSA_OAEP_256),
}
WARNING = "PUBLIC TEST KEY: everybody has its private half. Never register or trust it anywhere."


@dataclass(frozen=True, kw_only=True)
class VectorKey:
    """A pair of the file."""

    name: str
    private: PrivateKey

    @property
    def spec(self) -> Spec:
        return SPECS[self.name]

    @property
    def serial_no(self) -> str:
        return self.spec.serial_no

    @property
    def scheme(self) -> str:
        """Of a key that signs."""
        return OWN_SCHEMES[self.spec.algorithm]

    @property
    def rsa(self) -> rsa.RSAPrivateKey:
        if not isinstance(self.private, rsa.RSAPrivateKey):
            raise TypeError(f"{self.name} is not RSA")
        return self.private

    @property
    def public_pem(self) -> str:
        raw = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return raw.decode()

    def shown(self) -> dict[str, str]:
        private = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "id": self.name, "use": self.spec.use, "warning": WARNING, "algorithm": self.spec.algorithm,
            "serial_no": self.serial_no, "public_key_pem": self.public_pem, "private_key_pem": private.decode(),
        }  # fmt: skip


def keys_of(published: Mapping[str, Any]) -> dict[str, VectorKey]:
    """The keys that the file has, so that it stays the same; a pair for each that it lacks."""
    known = {each["id"]: each["private_key_pem"] for each in published.get("keys", [])}
    return {
        name: VectorKey(name=name, private=_loaded(known[name]) if name in known else _made(spec.algorithm))
        for name, spec in SPECS.items()
    }


def _loaded(pem: str) -> PrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise TypeError("a key of the vectors is of an unknown kind")
    return key


def _made(algorithm: Algorithm) -> PrivateKey:
    if algorithm is Algorithm.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=PLATFORM_RSA_BITS)
