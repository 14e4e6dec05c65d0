"""Serial numbers of Alipay's certificate mode: MD5 over the issuer's name and the decimal serial number."""

import hashlib
import re

from cryptography import x509

RSA_SIGNATURES = "1.2.840.113549.1.1"
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SHORT = {"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.7": "L", "2.5.4.8": "ST"}


def serial(pem: str) -> str:
    """`app_cert_sn` or `alipay_cert_sn` of one certificate."""
    return _serial(x509.load_pem_x509_certificate(pem.encode()))


def root_serial(pem: str) -> str:
    """`alipay_root_cert_sn` of a file of roots: those signed by RSA, joined. Others are left out."""
    return "_".join(filter(None, (_rsa_serial(block) for block in _BLOCK.findall(pem))))


def md5_input(certificate: x509.Certificate) -> str:
    """What is hashed: the issuer from the most specific part to the country, then the serial number."""
    parts = [f"{_SHORT[part.oid.dotted_string]}={part.value!s}" for part in reversed(list(certificate.issuer))]
    return ",".join(parts) + str(certificate.serial_number)


def _serial(certificate: x509.Certificate) -> str:
    # Not for secrecy: the protocol names certificates by this digest.
    return hashlib.md5(md5_input(certificate).encode(), usedforsecurity=False).hexdigest()


def _rsa_serial(block: str) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(block.encode())
        algorithm = certificate.signature_algorithm_oid.dotted_string
    except ValueError:
        return ""
    return _serial(certificate) if algorithm.startswith(RSA_SIGNATURES + ".") else ""
