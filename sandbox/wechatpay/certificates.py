"""GET /v3/certificates: the platform certificates, each encrypted with the merchant's APIv3 key."""

from collections.abc import Mapping
from typing import Any

from sandbox import chance, crypto, options
from sandbox.clock import rfc3339
from sandbox.identity import Merchant, PlatformKey
from sandbox.plans import CallPlan
from sandbox.wechatpay import checks
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.endpoint import Operation, Reply, view
from sandbox.wechatpay.errors import preset
from sandbox.wechatpay.signing import platform

NONE_THERE = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。"


def _read(ask: Ask, path: Mapping[str, str]) -> None:  # noqa: ARG001 - the shape of all operations
    checks.allow_query(ask)


def _list(ask: Ask, wish: None, plan: CallPlan) -> Reply:  # noqa: ARG001
    if options.get("public_key_only"):
        raise preset("RESOURCE_NOT_EXISTS", message=NONE_THERE)
    current, successor = platform().certificates
    published = (current, successor) if options.get("publish_next_certificate") else (current,)
    return Reply(status=200, body={"data": [_entry(key, merchant=ask.merchant) for key in published]})


def _entry(key: PlatformKey, *, merchant: Merchant) -> dict[str, Any]:
    certificate = crypto.certificate(key.certificate_pem)
    nonce = chance.text("gcm_nonce", size=6)
    return {
        "serial_no": key.key_id,
        "effective_time": rfc3339(certificate.not_valid_before_utc),
        "expire_time": rfc3339(certificate.not_valid_after_utc),
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": "certificate",
            "ciphertext": crypto.seal(
                key.certificate_pem.encode(),
                key=merchant.apiv3_key.encode(),
                nonce=nonce,
                associated_data="certificate",
            ),
        },
    }


CERTIFICATES = Operation(name="certificates", method="GET", read=_read, execute=_list, subject=lambda *_: ("", 0))

certificates = view(CERTIFICATES)
