"""Alipay's side of the identity: keys of both modes, a chain of certificates, numbers. All marked SANDBOX."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sandbox import crypto
from sandbox.alipay import certs

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
LIFETIME = timedelta(days=5 * 365)


@dataclass(frozen=True, kw_only=True)
class _Authority:
    certificate: x509.Certificate
    key: _Key


@dataclass(frozen=True, kw_only=True)
class AlipayKey:
    """One of Alipay's signing keys: the plain one of key mode (no certificate), or a certificate's.

    The certificate comes as the real one does, with the authority's below the root after it.
    """

    private_key_pem: str
    certificate_pem: str = ""

    @property
    def private_key(self) -> rsa.RSAPrivateKey:
        return crypto.private_key(self.private_key_pem)

    @property
    def cert_sn(self) -> str:
        return certs.serial(self.certificate_pem) if self.certificate_pem else ""


@dataclass(frozen=True, kw_only=True)
class AlipaySide:
    """What Alipay knows of the one app, and what it signs with. `next_key` follows `cert_key` in a rotation."""

    app_id: str
    seller_id: str
    app_public_key_pem: str
    app_certificate_pem: str
    root_certificates_pem: str
    aes_key: str
    name: dict[str, str]
    plain_key: AlipayKey
    cert_key: AlipayKey
    next_key: AlipayKey

    @property
    def app_cert_sn(self) -> str:
        return certs.serial(self.app_certificate_pem)

    @property
    def root_cert_sn(self) -> str:
        return certs.root_serial(self.root_certificates_pem)

    def certificate(self, cert_sn: str) -> str:
        """The PEM of Alipay's certificate with that SN, or ""."""
        mine = {key.cert_sn: key.certificate_pem for key in (self.cert_key, self.next_key)}
        return mine.get(cert_sn, "")


def new(*, now: datetime) -> tuple[dict[str, Any], AlipaySide]:
    """The merchant's half and Alipay's half of fresh material."""
    app_key, seller_id = crypto.new_key(), f"2088{secrets.randbelow(10**12):012d}"
    app_id = f"2021{secrets.randbelow(10**12):012d}"
    root_key, second_root_key, curve_key = crypto.new_key(), crypto.new_key(), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("SANDBOX Root R1", key=root_key, now=now)
    # The real file has several roots, and not all are RSA: whoever takes them all gets a wrong serial.
    others = [_certificate("SANDBOX Root E1", key=curve_key, now=now)]
    others.append(_certificate("SANDBOX Root R2", key=second_root_key, now=now))
    authority = _Authority(certificate=root, key=root_key)
    between_key = crypto.new_key()
    between = _certificate("SANDBOX Class 2 R1", key=between_key, now=now, issuer=authority, is_authority=True)
    signer = _Authority(certificate=between, key=between_key)
    keys = [crypto.new_key() for _ in range(3)]
    app_certificate = _certificate(f"SANDBOX app {seller_id}-{app_id}", key=app_key, now=now, issuer=authority)
    side = AlipaySide(
        app_id=app_id,
        seller_id=seller_id,
        app_public_key_pem=crypto.public_pem(app_key.public_key()),
        app_certificate_pem=_pem(app_certificate),
        root_certificates_pem="\n".join(_pem(found) for found in (root, *others)),
        aes_key=base64.b64encode(secrets.token_bytes(16)).decode(),
        name={"zh-hans": "沙箱演示商户", "en": "Sandbox Demo Store"},
        plain_key=AlipayKey(private_key_pem=crypto.private_pem(keys[0])),
        cert_key=_cert_key("current", key=keys[1], now=now, issuer=signer),
        next_key=_cert_key("next", key=keys[2], now=now, issuer=signer),
    )
    return _merchant_half(side, key=app_key), side


def load(stored: dict[str, Any]) -> AlipaySide:
    """The reverse of `dataclasses.asdict`."""
    keys = {name: AlipayKey(**stored[name]) for name in ("plain_key", "cert_key", "next_key")}
    return AlipaySide(**(stored | keys))


def addresses(base_url: str, backup_url: str) -> dict[str, str]:
    return {
        "gateway_url": f"{base_url}/gateway.do",
        "backup_gateway_url": f"{backup_url}/gateway.do" if backup_url else "",
        "oauth_authorize_url": f"{base_url}/oauth2/publicAppAuthorize.htm",
        "phone_base": f"{base_url}/phone",
    }


def _merchant_half(side: AlipaySide, *, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return {
        "app_id": side.app_id,
        "seller_id": side.seller_id,
        "app_private_key_pem": crypto.private_pem(key),
        "alipay_public_key_pem": crypto.public_pem(side.plain_key.private_key.public_key()),
        "app_certificate_pem": side.app_certificate_pem,
        "alipay_certificate_pem": side.cert_key.certificate_pem,
        "alipay_root_certificates_pem": side.root_certificates_pem,
        "app_cert_sn": side.app_cert_sn,
        "alipay_cert_sn": side.cert_key.cert_sn,
        "alipay_root_cert_sn": side.root_cert_sn,
        "aes_key": side.aes_key,
    }


def _cert_key(name: str, *, key: rsa.RSAPrivateKey, now: datetime, issuer: _Authority) -> AlipayKey:
    made = _certificate(f"SANDBOX Alipay {name}", key=key, now=now, issuer=issuer)
    chain = f"{_pem(made)}{_pem(issuer.certificate)}"
    return AlipayKey(private_key_pem=crypto.private_pem(key), certificate_pem=chain)


def _certificate(
    common_name: str,
    *,
    key: _Key,
    now: datetime,
    issuer: _Authority | None = None,
    is_authority: bool = False,
) -> x509.Certificate:
    """Self-signed without an issuer. Names have the four parts from which the SN is made."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SANDBOX"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(2**120 + secrets.randbelow(2**120))
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_authority or issuer is None, path_length=None), critical=True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> str:
    return crypto.certificate_pem(certificate)
