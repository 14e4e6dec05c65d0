"""SHA256withRSA as all channels sign: RSASSA-PKCS1-v1_5 with SHA-256, in base64, over the exact bytes."""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from payments.channels import certs


class NotAuthentic(Exception):
    """The message is not shown to be the channel's; the text says which check failed, never the expected value."""


class UnknownKey(NotAuthentic):
    """Signed under a key or certificate that we do not have, or have no reason to believe now."""

    def __init__(self, serial: str) -> None:
        super().__init__("unknown key serial")
        self.serial = serial


@lru_cache(maxsize=256)
def private_key(pem: str) -> RSAPrivateKey:
    """The parsed key, kept: parsing costs a hundred times a signature."""
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("a merchant's key at a channel is an RSA key")
    return key


@lru_cache(maxsize=256)
def public_key(pem: str) -> RSAPublicKey:
    """The key in a public key's PEM or in a certificate's."""
    if pem.startswith(certs.BEGIN):
        return certs.rsa_key(certs.read_all(pem)[0])
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise TypeError("a channel's key is an RSA key")
    return key


def sign(message: bytes, *, pem: str) -> str:
    return base64.b64encode(private_key(pem).sign(message, PKCS1v15(), hashes.SHA256())).decode()


def verify(message: bytes, *, signature: str, pem: str) -> None:
    """Raises NotAuthentic."""
    try:
        raw = base64.b64decode(signature, validate=True)
        public_key(pem).verify(raw, message, PKCS1v15(), hashes.SHA256())
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise NotAuthentic("signature does not match") from error
