"""Alipay's signatures (RSA2), certificate numbers and content encryption, over the exact text that travels.

Source: opendocs.alipay.com/common/02kf5q (request), 02mse7 (answer), 02mriz (encryption); published vectors in tests.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from payments.channels import certs, rsa
from payments.channels.rsa import NotAuthentic

RSA_SIGNATURES = "1.2.840.113549.1.1."
_ZERO_IV = bytes(16)  # theirs: the protocol gives no other


def sorted_text(params: Mapping[str, str], *, without: frozenset[str]) -> str:
    """`k=v` of all that is not empty, sorted by name, joined with `&`, nothing URL-encoded."""
    return "&".join(f"{name}={value}" for name, value in sorted(params.items()) if value and name not in without)


def sign(text: str, *, pem: str) -> str:
    return rsa.sign(text.encode(), pem=pem)


def verify(text: str, *, signature: str, pem: str) -> None:
    """Raises NotAuthentic."""
    rsa.verify(text.encode(), signature=signature, pem=pem)


def verify_callback(params: Mapping[str, str], *, pem: str) -> None:
    """A callback's form, without `sign` and `sign_type`; some services keep the latter. Raises NotAuthentic."""
    signature = params.get("sign", "")
    try:
        verify(sorted_text(params, without=frozenset({"sign", "sign_type"})), signature=signature, pem=pem)
    except NotAuthentic:
        verify(sorted_text(params, without=frozenset({"sign"})), signature=signature, pem=pem)


def signed_part(body: str, *, node: str) -> tuple[str, Any]:
    """The exact text of the value of `node` as it was received, and what it says. Raises NotAuthentic.

    The value is read from that text alone: whatever else an answer holds under the same name was not signed.
    """
    match = re.search(rf'"{re.escape(node)}"\s*:\s*', body)
    if match is None:
        raise NotAuthentic("the answer is not in the expected form")
    try:
        value, end = json.JSONDecoder().raw_decode(body, match.end())
    except (ValueError, RecursionError) as error:
        raise NotAuthentic("the answer is not in the expected form") from error
    return body[match.end() : end], value


def encrypt(text: str, *, key: str) -> str:
    """Content encryption: AES-128-CBC with a fixed IV, as theirs is. What protects is the signature over it."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(AES(base64.b64decode(key)), CBC(_ZERO_IV)).encryptor()
    padded = padder.update(text.encode()) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def decrypt(text: str, *, key: str) -> str:
    """Raises NotAuthentic. Verify the signature over `text` first."""
    try:
        decryptor = Cipher(AES(base64.b64decode(key)), CBC(_ZERO_IV)).decryptor()
        padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
        unpadder = PKCS7(128).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except (binascii.Error, ValueError) as error:
        raise NotAuthentic("the content does not decrypt") from error


def certificate_sn(pem: str) -> str:
    """Their number of a certificate: MD5 over the issuer's name and the serial number."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return _sn(certificate)


def root_certificate_sn(pem: str) -> str:
    """The numbers of the RSA certificates in their root file; one of the four cannot be parsed, and does not count."""
    return "_".join(_sn(certificate) for certificate in certs.read_all(pem) if _is_signed_by_rsa(certificate))


def _is_signed_by_rsa(certificate: x509.Certificate) -> bool:
    try:
        return certificate.signature_algorithm_oid.dotted_string.startswith(RSA_SIGNATURES)
    except ValueError:
        return False


def _sn(certificate: x509.Certificate) -> str:
    attributes = [attribute for names in reversed(certificate.issuer.rdns) for attribute in names]
    parts = [f"{attribute.rfc4514_attribute_name}={attribute.value!s}" for attribute in attributes]
    text = ",".join(parts) + str(certificate.serial_number)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
