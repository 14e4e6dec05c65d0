"""The platform's signature on answers and notifications, right or flawed on purpose."""

import secrets
import time

from sandbox import crypto, environment, identity, options
from sandbox.identity import PlatformKey

SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"
FLAWS = frozenset({"", "wrong", "missing", "stale", "unknown_serial", "signtest"})
STALE_S = 600


def platform() -> identity.Platform:
    return identity.load(environment.current().directory)


def headers(body: bytes, *, key: PlatformKey, flaw: str = "") -> dict[str, str]:
    """The five `Wechatpay-*` headers over `body`, fresh at every call; `flaw` is one of FLAWS."""
    if flaw == "missing":
        return {}
    timestamp = str(int(time.time()) - (STALE_S if flaw == "stale" else 0))
    nonce = secrets.token_hex(16)
    signed = body + b" " if flaw == "wrong" else body
    signature = crypto.sign(crypto.answer_message(timestamp=timestamp, nonce=nonce, body=signed), key=key.private_key)
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": _probe(signature) if flaw == "signtest" else signature,
        "Wechatpay-Serial": _foreign(key) if flaw == "unknown_serial" else key.key_id,
        "Wechatpay-Signature-Type": SIGNATURE_TYPE,
    }


def notification_key() -> PlatformKey:
    """The key that signs notifications now; the option `notify_key` rotates it."""
    ours = platform()
    by_name = {
        "public_key": ours.public_key,
        "certificate": ours.certificates[0],
        "next_certificate": ours.certificates[1],
    }
    return by_name.get(options.get("notify_key"), ours.public_key)


def _probe(signature: str) -> str:
    return PROBE_PREFIX + signature[len(PROBE_PREFIX) :]


def _foreign(key: PlatformKey) -> str:
    """A serial of the same form that nobody has."""
    return "F" * 40 if key.is_certificate else "PUB_KEY_ID_" + "9" * 28
