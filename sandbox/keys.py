"""All keys and certificates of the identity by name: which is whose, and how to recognise it. No private key."""

import hashlib
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.utils.translation import gettext_lazy as _

from sandbox import crypto, environment, identity


def everything() -> list[dict[str, Any]]:
    known = identity.load(environment.current().directory)
    merchant, alipay, unionpay = known.merchants[0], known.alipay, known.unionpay
    certificates = [key.certificate_pem for key in known.certificates]
    return [
        _named("wechatpay", _("merchant certificate"), merchant.serial_no, certificate=merchant.certificate_pem),
        _named(
            "wechatpay",
            _("platform public key"),
            known.public_key.key_id,
            key=_public(known.public_key.private_key_pem),
        ),
        _named("wechatpay", _("platform certificate"), known.certificates[0].key_id, certificate=certificates[0]),
        _named("wechatpay", _("next platform certificate"), known.certificates[1].key_id, certificate=certificates[1]),
        _named("alipay", _("app certificate"), alipay.app_cert_sn, certificate=alipay.app_certificate_pem),
        _named("alipay", _("Alipay public key"), "", key=_public(alipay.plain_key.private_key_pem)),
        _named("alipay", _("Alipay certificate"), alipay.cert_key.cert_sn, certificate=alipay.cert_key.certificate_pem),
        _named(
            "alipay", _("next Alipay certificate"), alipay.next_key.cert_sn, certificate=alipay.next_key.certificate_pem
        ),
        {
            "channel": "alipay",
            "what": _("Alipay root certificates"),
            "id": alipay.root_cert_sn,
            "pem": alipay.root_certificates_pem,
            "fingerprint": "",
        },
        _named("unionpay", _("merchant public key"), unionpay.mer_id, key=unionpay.merchant_public_key_pem),
        _named("unionpay", _("platform public key"), unionpay.serv_prov_id, key=_public(unionpay.private_key_pem)),
    ]


def _public(private_pem: str) -> str:
    return crypto.public_pem(crypto.private_key(private_pem).public_key())


def _named(channel: str, what: Any, key_id: str, *, certificate: str = "", key: str = "") -> dict[str, Any]:
    public = crypto.certificate_key(certificate) if certificate else crypto.public_key(key)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fingerprint = hashlib.sha256(der).hexdigest()
    return {"channel": channel, "what": what, "id": key_id, "pem": certificate or key, "fingerprint": fingerprint}
