"""Keys and certificates for tests: self-signed ones, and chains below an authority."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@cache
def private_key(pem: str) -> Any:
    """Read once: whether an RSA key is one, takes thirty signatures' time to find out."""
    return serialization.load_pem_private_key(pem.encode(), password=None)


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:X}"


def make(
    name: str, *, now: datetime, by: Made | None = None, is_authority: bool | None = None,
    lifetime: timedelta = timedelta(days=365), path_length: int | None = None, bits: int = 2048, host: str = "",
) -> Made:  # fmt: skip
    """Self-signed, or signed `by` another; of a server with a `host`. `is_authority` None says nothing about it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"), x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number() | 1 << 158)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
    )
    if is_authority is not None:
        constraints = x509.BasicConstraints(ca=is_authority, path_length=path_length if is_authority else None)
        builder = builder.add_extension(constraints, critical=True)
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return Made(certificate=builder.sign(by.key if by else key, hashes.SHA256()), key=key)
