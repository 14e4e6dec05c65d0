"""The cryptography of the channels: RSA signatures, AES-256-GCM sealing, certificates.

Pure functions over bytes. The messages that are signed are built here too, so that the published test vectors
(tests/vectors.json) can be run against exactly what the server uses.
"""

import base64
import binascii
import secrets
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

KEY_BITS = 2048
SERIAL_LOW, SERIAL_HIGH = 16**39, 16**40 // 2  # 40 hexadecimal digits, and positive in DER's 20 bytes


def request_message(*, method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """The five lines that a merchant signs; `target` is path and query exactly as sent."""
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def answer_message(*, timestamp: str, nonce: str, body: bytes) -> bytes:
    """The three lines that WeChat Pay signs on answers and notifications."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def page_message(*, app_id: str, timestamp: str, nonce: str, package: str) -> bytes:
    """The four lines behind `paySign`, the signature of the page's payment parameters."""
    return f"{app_id}\n{timestamp}\n{nonce}\n{package}\n".encode()


def sign(message: bytes, *, key: rsa.RSAPrivateKey) -> str:
    """RSASSA-PKCS1-v1_5 with SHA-256, base64 on one line."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def verify(message: bytes, signature: str, *, key: rsa.RSAPublicKey) -> bool:
    """Whether `signature` (base64) is that of `message`; anything unreadable is simply not."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def seal(plaintext: bytes, *, key: bytes, nonce: str, associated_data: str) -> str:
    """AES-GCM, base64 of ciphertext and 16-byte tag. `key` is the APIv3 key's 32 bytes."""
    return base64.b64encode(AESGCM(key).encrypt(nonce.encode(), plaintext, associated_data.encode())).decode()


def unseal(ciphertext: str, *, key: bytes, nonce: str, associated_data: str) -> bytes:
    """The reverse of `seal`. Raises cryptography.exceptions.InvalidTag when key, nonce, data or text do not fit."""
    return AESGCM(key).decrypt(nonce.encode(), base64.b64decode(ciphertext), associated_data.encode())


def oaep_decrypt(ciphertext: str, *, key: rsa.RSAPrivateKey) -> str:
    """A sensitive field: RSA-OAEP with SHA-1, base64. Raises ValueError when it is not encrypted for `key`."""
    scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - theirs
    return key.decrypt(base64.b64decode(ciphertext, validate=True), scheme).decode()


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def new_certificate(*, key: rsa.RSAPrivateKey, common_name: str, now: datetime) -> x509.Certificate:
    """Self-signed, five years, with a serial number of 40 hexadecimal digits as the platform gives them out."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SANDBOX"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(SERIAL_LOW + secrets.randbelow(SERIAL_HIGH - SERIAL_LOW))
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=5 * 365))
        .sign(key, hashes.SHA256())
    )


def serial_no(certificate: x509.Certificate) -> str:
    """The serial number as the protocol writes it: hexadecimal, upper case."""
    return f"{certificate.serial_number:X}"


def private_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: rsa.RSAPublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@lru_cache(maxsize=32)
def private_key(pem: str) -> rsa.RSAPrivateKey:
    """Load a PEM private key. Raises ValueError when it is not an RSA key."""
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA private key")  # noqa: TRY004 - the text is wrong, not the program
    return key


@lru_cache(maxsize=32)
def public_key(pem: str) -> rsa.RSAPublicKey:
    """Load a PEM public key. Raises ValueError when it is not an RSA key."""
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA public key")  # noqa: TRY004 - the text is wrong, not the program
    return key


@lru_cache(maxsize=32)
def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def certificate_key(pem: str) -> rsa.RSAPublicKey:
    """The public key inside a PEM certificate. Raises ValueError when it is not an RSA key."""
    key = certificate(pem).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA certificate")  # noqa: TRY004 - the text is wrong, not the program
    return key
