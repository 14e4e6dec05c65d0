"""What is signed and sealed between a merchant and Alipay, as pure functions over texts and keys.

The published test vectors (tests/vectors.json) run against exactly what the gateway uses.
"""

import base64
import binascii
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sandbox import crypto
from sandbox.alipay.material import AlipayKey

UNKNOWN_CERT_SN = "f" * 32
_BLOCK_BITS = 128
_ZERO_IV = bytes(16)


def request_message(params: Mapping[str, str]) -> bytes:
    """What a merchant signs: all but `sign`, so with `sign_type`; empty values left out, sorted, not URL-encoded."""
    return _joined({name: value for name, value in params.items() if name != "sign"})


def notice_message(params: Mapping[str, str]) -> bytes:
    """What Alipay signs of a trade notification: without `sign` and `sign_type`."""
    return _joined({name: value for name, value in params.items() if name not in {"sign", "sign_type"}})


def encrypt(text: str, *, key: str) -> str:
    """AES-CBC with PKCS#7 and an IV of zeros, as the protocol fixes it; base64 in and out."""
    padder = padding.PKCS7(_BLOCK_BITS).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(base64.b64decode(key)), modes.CBC(_ZERO_IV)).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def decrypt(ciphertext: str, *, key: str) -> str:
    """The reverse of `encrypt`. Raises ValueError."""
    try:
        sealed = base64.b64decode(ciphertext, validate=True)
    except binascii.Error as problem:
        raise ValueError("not base64") from problem
    decryptor = Cipher(algorithms.AES(base64.b64decode(key)), modes.CBC(_ZERO_IV)).decryptor()
    unpadder = padding.PKCS7(_BLOCK_BITS).unpadder()
    padded = decryptor.update(sealed) + decryptor.finalize()
    return (unpadder.update(padded) + unpadder.finalize()).decode()


def node_text(body: Mapping[str, object]) -> str:
    """The value of the answer's node as it travels: code and msg first, the others by name, slashes escaped."""
    first = {name: body[name] for name in ("code", "msg") if name in body}
    ordered = first | {name: body[name] for name in sorted(body) if name not in first}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def answer(node: str, text: str, *, key: AlipayKey, flaw: str = "") -> str:
    """The whole answer: the node, the certificate's SN in certificate mode, and the sign over exactly `text`."""
    signed = text + " " if flaw in {"wrong", "stale", "signtest"} else text
    members = [f'"{node}":{text}']
    if key.cert_sn:
        members.append(f'"alipay_cert_sn":"{UNKNOWN_CERT_SN if flaw == "unknown_serial" else key.cert_sn}"')
    if flaw != "missing":
        members.append(f'"sign":"{crypto.sign(signed.encode(), key=key.private_key)}"')
    return "{" + ",".join(members) + "}"


def _joined(params: Mapping[str, str]) -> bytes:
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if params[name]).encode()
