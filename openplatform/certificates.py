"""X.509 around our own public keys, for clients that know keys only by their certificates."""

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509.oid import NameOID

_NAME = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "fenpay"),
        x509.NameAttribute(NameOID.COMMON_NAME, "fenpay platform certificate"),
    ]
)
_SIGNING_ONLY = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def self_signed(private_der: bytes, *, serial_no: str, not_before: datetime, not_after: datetime) -> str:
    """A certificate in PEM of an RSA pair (PKCS #8 DER), whose serial number is `serial_no` read as hex.

    Nobody above us vouches for it: a client believes it because it came encrypted under a key that only it and we have.
    """
    key = load_der_private_key(private_der, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("only an RSA key has a certificate")
    builder = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(int(serial_no, 16))
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNING_ONLY, critical=True)
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
