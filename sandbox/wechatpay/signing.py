"""The platform's signature on answers and notifications, right or flawed on purpose."""

from sandbox import chance, clock, crypto, environment, identity, options
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
    timestamp = str(clock.request_time() - (STALE_S if flaw == "stale" else 0))
    nonce = chance.text("answer_nonce")
    signed = body + b" " if flaw == "wrong" else body
    signature = crypto.sign(crypto.answer_message(timestamp=timestamp, nonce=nonce, body=signed), key=key.private_key)
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": _probe(signature) if flaw == "signtest" else signature,
        "Wechatpay-Serial": _foreign(key) if flaw == "unknown_serial" else key.key_id,
        "Wechatpay-Signature-Type": SIGNATURE_TYPE,
    }


def notification_key(event_id: str) -> PlatformKey:
    """The key that signs this attempt: the option `notify_key`, and for a share of them the one they move to."""
    shifted = chance.hits("notify_key", event_id, percent=options.get("notify_shift_percent"))
    return _by_name(options.get("notify_shift_key" if shifted else "notify_key"))


def certificate_key() -> PlatformKey:
    """The key of an answer in certificate mode: the current certificate's, for a share its successor's."""
    rotated = chance.hits("next_certificate", percent=options.get("next_certificate_percent"))
    return platform().certificates[int(rotated)]


def _by_name(name: str) -> PlatformKey:
    ours = platform()
    by_name = {"certificate": ours.certificates[0], "next_certificate": ours.certificates[1]}
    return by_name.get(name, ours.public_key)


def _probe(signature: str) -> str:
    return PROBE_PREFIX + signature[len(PROBE_PREFIX) :]


def _foreign(key: PlatformKey) -> str:
    """A serial of the same form that nobody has."""
    return "F" * 40 if key.is_certificate else "PUB_KEY_ID_" + "9" * 28
