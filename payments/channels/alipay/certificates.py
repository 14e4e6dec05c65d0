"""Alipay's certificates: fetched one by one by their number, and believed only under the account's own roots.

Source: opendocs.alipay.com/common/056zub and /open/02ekfs (alipay.open.app.alipaycert.download).
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from payments.channels import certs
from payments.channels.alipay import signing

CHAIN_LENGTH_MAX = 5
CONTENT_LENGTH_MAX = 65_536


def trusted(pem: str, *, serial: str, settings: Mapping[str, Any], now: datetime) -> bool:
    """Whether `pem` (the certificate and those above it) is theirs: of that number, under a root, and all hold now.

    Our own certificate stands under the same roots, so its number is never one of theirs.
    """
    roots, ours = settings.get("alipay_root_certificates", ""), settings.get("app_cert_sn")
    chain = _chain(pem, roots) if roots and serial != ours else ()
    return bool(chain) and all(certs.holds(one, now=now) for one in chain) and signing.certificate_sn(pem) == serial


def content(text: object) -> str:
    """The PEM in an answer's `alipay_cert_content`, or "" when there is none that can be read."""
    if not isinstance(text, str) or len(text) > CONTENT_LENGTH_MAX:
        return ""
    try:
        pem = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return pem if certs.read_all(pem) else ""


def issues(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings as they name keys and certificates."""
    roots = settings.get("alipay_root_certificates")
    if not roots:
        return [] if settings.get("alipay_keys") else ["settings: alipay_keys or alipay_root_certificates is missing"]
    missing = [name for name in ("app_cert_sn", "alipay_root_cert_sn") if not settings.get(name)]
    found = [f"settings: {name} is missing in certificate mode" for name in missing]
    if not isinstance(roots, str) or not signing.root_certificate_sn(roots):
        found.append("settings: alipay_root_certificates holds no certificate in PEM that RSA has signed")
    elif not missing and signing.root_certificate_sn(roots) != settings["alipay_root_cert_sn"]:
        found.append("settings: alipay_root_cert_sn is not the number of alipay_root_certificates")
    return found


@lru_cache(maxsize=64)
def _chain(pem: str, roots: str) -> tuple[x509.Certificate, ...]:
    """From the certificate up to one of the roots, or nothing. Each step is a signature, and only an authority may make
    one: whoever has any certificate of theirs could otherwise issue the next.
    """
    certificate, *between = certs.read_all(pem) or (None,)
    if certificate is None or not _has_rsa_key(certificate):
        return ()
    chain, anchors = [certificate], certs.read_all(roots)
    while len(chain) < CHAIN_LENGTH_MAX:
        root = next((root for root in anchors if _issued(chain[-1], by=root)), None)
        if root is not None:
            return (*chain, root)
        above = (one for one in between if one not in chain and _may_issue(one, below=len(chain) - 1))
        issuer = next((one for one in above if _issued(chain[-1], by=one)), None)
        if issuer is None:
            return ()
        chain.append(issuer)
    return ()


def _has_rsa_key(certificate: x509.Certificate) -> bool:
    try:
        certs.rsa_key(certificate)
    except ValueError:
        return False
    return True


def _issued(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_issue(certificate: x509.Certificate, *, below: int) -> bool:
    """Whether it is an authority's, with `below` authorities between it and the last certificate."""
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as error:
        if error.oid == x509.BasicConstraints.oid:
            return False
        usage = True  # said by nobody
    except ValueError:
        return False
    return basic.ca and usage and (basic.path_length is None or basic.path_length >= below)
