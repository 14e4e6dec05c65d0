"""Certificates of a channel: read once, and believed only while they hold."""

import re
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

RSA_BITS_MIN = 2048
BEGIN = "-----BEGIN CERTIFICATE-----"
_BLOCK = re.compile(rf"{BEGIN}.+?-----END CERTIFICATE-----", re.DOTALL)


@lru_cache(maxsize=256)
def read_all(pem: str) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM file, in its order; what cannot be parsed does not count."""
    found = []
    for block in _BLOCK.findall(pem):
        try:
            found.append(x509.load_pem_x509_certificate(block.encode()))
        except ValueError:
            continue
    return tuple(found)


def rsa_key(certificate: x509.Certificate) -> RSAPublicKey:
    """Its key. Raises ValueError for one that no signature of theirs can be under."""
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        raise ValueError("the certificate's key is not an RSA key of at least 2048 bits")
    return key


def holds(certificate: x509.Certificate, *, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
