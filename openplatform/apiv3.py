"""WeChat Pay's symmetric envelope, AEAD_AES_256_GCM under an app's APIv3 key: notifications and certificates to it.

Source: pay.weixin.qq.com/doc/v3/merchant/4012081709 and 4012551764.
"""

import base64
import secrets
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from openplatform.keys import live_platform_keys
from openplatform.models import App

ALGORITHM = "AEAD_AES_256_GCM"
BEIJING = ZoneInfo("Asia/Shanghai")


def envelope(plaintext: bytes, *, api_key: str, associated_data: str) -> dict[str, str]:
    """`plaintext` for whoever holds `api_key`. Their nonce is 12 characters of text: 72 bits of chance."""
    nonce = secrets.token_urlsafe(9)
    sealed = AESGCM(api_key.encode()).encrypt(nonce.encode(), plaintext, associated_data.encode())
    return {
        "algorithm": ALGORITHM,
        "nonce": nonce,
        "associated_data": associated_data,
        "ciphertext": base64.b64encode(sealed).decode(),
    }


def certificates(app: App, *, now: datetime) -> list[dict[str, Any]]:
    """Our live certificates, the newest first, each encrypted for `app`."""
    api_key = app.apiv3_key()
    return [
        {
            "serial_no": key.serial_no,
            "effective_time": beijing(key.not_before),
            "expire_time": beijing(key.not_after),
            "encrypt_certificate": envelope(
                key.certificate_pem.encode(), api_key=api_key, associated_data="certificate"
            ),
        }
        for key in live_platform_keys(now=now)
        if key.certificate_pem
    ]


def beijing(at: datetime) -> str:
    """RFC 3339 with +08:00, to the second."""
    return at.astimezone(BEIJING).isoformat(timespec="seconds")
