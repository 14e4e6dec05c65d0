"""Key material from outside: what we accept as a public key, and fresh pairs of our own. No rows, no Django models."""

import enum
import hashlib
import re
import secrets
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

RSA_BITS_MIN, RSA_BITS_MAX = 2048, 4096
RSA_EXPONENT = 65_537
PEM_LENGTH_MAX = 4_096
PLATFORM_RSA_BITS = 2048  # a signature costs 0.23 ms; 4096 bits would cost 1.5 ms on every answer
_SERIAL_NO = re.compile(r"[A-Za-z0-9_]{8,64}")


class Algorithm(enum.StrEnum):
    """What a key may be used for. It belongs to the key's row; a request's header cannot choose another."""

    RSA_SHA256 = "RSA-SHA256"

    @classmethod
    def choices(cls) -> list[tuple[str, str]]:
        return [(member.value, member.value) for member in cls]


class KeyRefused(ValueError):
    """The key cannot be registered. `code` never changes; the text is the class's docstring, fit for the merchant."""

    code = "KEY_REFUSED"

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


class PrivateKeyPasted(KeyRefused):
    """This is a PRIVATE key. Whoever has seen it can sign as you: revoke it now, make a new pair, and send only the
    public key."""

    code = "KEY_IS_PRIVATE"


class NotAPublicKey(KeyRefused):
    """This is not a public key in PEM form ("-----BEGIN PUBLIC KEY-----")."""

    code = "KEY_NOT_A_PUBLIC_KEY"


class UnknownAlgorithm(KeyRefused):
    """Only RSA keys are accepted."""

    code = "KEY_ALGORITHM_UNKNOWN"


class KeyLengthRefused(KeyRefused):
    """An RSA key must have 2048 to 4096 bits, a multiple of 8."""

    code = "KEY_LENGTH"


class ExponentRefused(KeyRefused):
    """An RSA key must have the public exponent 65537."""

    code = "KEY_EXPONENT"


class SerialNoRefused(KeyRefused):
    """A serial number is 8 to 64 letters, digits and underscores."""

    code = "KEY_SERIAL_NO"


@dataclass(frozen=True, kw_only=True)
class PublicKeyFacts:
    """A public key that we accept, in its one normal form."""

    algorithm: Algorithm
    pem: str
    fingerprint: str  # SHA-256 of the SubjectPublicKeyInfo, 64 hex digits


def read_public_key(pem: str) -> PublicKeyFacts:
    """Check a pasted key. Raises a subclass of KeyRefused; the pasted text is never part of an error."""
    if "PRIVATE KEY" in pem:
        raise PrivateKeyPasted
    if len(pem) > PEM_LENGTH_MAX or not pem.strip().startswith("-----BEGIN PUBLIC KEY-----"):
        raise NotAPublicKey
    try:
        key = load_pem_public_key(pem.strip().encode())
    except UnsupportedAlgorithm as error:
        raise UnknownAlgorithm from error
    except ValueError as error:
        raise NotAPublicKey from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise UnknownAlgorithm
    if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX or key.key_size % 8:
        raise KeyLengthRefused
    if key.public_numbers().e != RSA_EXPONENT:
        raise ExponentRefused
    return facts_of(key)


def facts_of(key: rsa.RSAPublicKey) -> PublicKeyFacts:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return PublicKeyFacts(algorithm=Algorithm.RSA_SHA256, pem=pem, fingerprint=hashlib.sha256(spki).hexdigest())


def new_pair() -> tuple[PublicKeyFacts, bytes]:
    """A fresh RSA pair: the facts of the public half, and the private half as PKCS #8 DER."""
    private = rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=PLATFORM_RSA_BITS)
    return facts_of(private.public_key()), private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def new_serial_no() -> str:
    """40 hex digits, the first of them 1 to 7: as a number it is what a certificate's serial number must be, positive
    and of at most 20 bytes, and clients that print that number get the same 40 digits.
    """
    return f"{1 + secrets.randbelow(7)}{secrets.token_hex(20)[1:]}".upper()


def check_serial_no(serial_no: str) -> None:
    """Raises SerialNoRefused."""
    if not _SERIAL_NO.fullmatch(serial_no):
        raise SerialNoRefused
