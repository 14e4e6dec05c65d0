"""What is signed, and how: the strings of WeChat Pay APIv3 under our own scheme name. Raw bytes in, raw bytes out."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from openplatform.key_material import Algorithm, PrivateKey

NATIVE_SCHEME = "FENPAY-SHA256-RSA2048"
ED25519_SCHEME = "FENPAY-ED25519"
WECHATPAY_SCHEME = "WECHATPAY2-SHA256-RSA2048"


def request_message(*, method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """`METHOD LF RAW-TARGET LF TIMESTAMP LF NONCE LF BODY LF`, the target and the body exactly as they were sent."""
    return "\n".join((method, target, timestamp, nonce, "")).encode("ascii") + body + b"\n"


def answer_message(*, timestamp: str, nonce: str, body: bytes) -> bytes:
    """`TIMESTAMP LF NONCE LF BODY LF`: for answers, and for notifications to merchants."""
    return "\n".join((timestamp, nonce, "")).encode("ascii") + body + b"\n"


class PublicKey(Protocol):
    """A parsed public key that can tell whether a signature is its own."""

    @property
    def signature_bytes(self) -> int: ...

    def verifies(self, *, message: bytes, signature: bytes) -> bool: ...


@dataclass(frozen=True)
class RsaPublicKey:
    """RSASSA-PKCS1-v1_5 with SHA-256."""

    key: rsa.RSAPublicKey

    @classmethod
    def load(cls, pem: str) -> "RsaPublicKey":
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise TypeError("not an RSA key")
        return cls(key)

    @property
    def signature_bytes(self) -> int:
        return (self.key.key_size + 7) // 8

    def verifies(self, *, message: bytes, signature: bytes) -> bool:
        if len(signature) != self.signature_bytes:
            return False
        try:
            self.key.verify(signature, message, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Ed25519PublicKey:
    """Ed25519 over the message itself, without a hash before it (RFC 8032, "pure")."""

    key: ed25519.Ed25519PublicKey
    signature_bytes = 64

    @classmethod
    def load(cls, pem: str) -> "Ed25519PublicKey":
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise TypeError("not an Ed25519 key")
        return cls(key)

    def verifies(self, *, message: bytes, signature: bytes) -> bool:
        if len(signature) != self.signature_bytes:
            return False
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """What a scheme's token stands for. The token must agree with the algorithm of the key's row."""

    algorithm: Algorithm
    header_prefix: str  # of the answer's headers
    by_app_switch: bool = False  # only for apps that accept WeChat Pay's scheme name


SCHEMES: Mapping[str, Verifier] = {
    NATIVE_SCHEME: Verifier(algorithm=Algorithm.RSA_SHA256, header_prefix="Fenpay"),
    ED25519_SCHEME: Verifier(algorithm=Algorithm.ED25519, header_prefix="Fenpay"),
    WECHATPAY_SCHEME: Verifier(algorithm=Algorithm.RSA_SHA256, header_prefix="Wechatpay", by_app_switch=True),
}
OWN_SCHEMES = {verifier.algorithm: scheme for scheme, verifier in SCHEMES.items() if not verifier.by_app_switch}
LOADERS: Mapping[Algorithm, Callable[[str], PublicKey]] = {
    Algorithm.RSA_SHA256: RsaPublicKey.load,
    Algorithm.ED25519: Ed25519PublicKey.load,
}


def sign(key: PrivateKey, message: bytes) -> str:
    """The signature in base64, by the one algorithm that this kind of key signs with."""
    if isinstance(key, rsa.RSAPrivateKey):
        return sign_rsa(key, message)
    return base64.b64encode(key.sign(message)).decode()


def sign_rsa(key: rsa.RSAPrivateKey, message: bytes) -> str:
    """The signature in base64."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), SHA256())).decode()
