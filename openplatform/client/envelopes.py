"""Sensitive fields, encrypted: JWE compact (RFC 7516) with RSA-OAEP-256 and A256GCM, in both directions."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from openplatform.client.config import Config
from openplatform.client.errors import NotOpened

ALGORITHMS = {"alg": "RSA-OAEP-256", "enc": "A256GCM"}
IV_BYTES, TAG_BYTES, KEY_BYTES = 12, 16, 32
OAEP = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)


def encrypt_payer(config: Config, openid: str, *, client_ip: str = "") -> str:
    """What `payer` of an order may be instead of {"openid": ...}. Each call gives another text for the same payer.

    `client_ip` for a channel that wants the payer's address too.
    """
    if not config.encryption_keys:
        raise NotOpened("the configuration has no platform_encryption_keys")
    kid, key = next(iter(config.encryption_keys.items()))
    payer = {"openid": openid} | ({"client_ip": client_ip} if client_ip else {})
    return encrypt(payer, key=key, header={"kid": kid, "iss": config.app_id})


def encrypt(value: Mapping[str, Any], *, key: rsa.RSAPublicKey, header: Mapping[str, str]) -> str:
    content_key, iv = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(IV_BYTES)
    protected = _encode(json.dumps({**ALGORITHMS, **header}, separators=(",", ":")).encode())
    plaintext = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    sealed = AESGCM(content_key).encrypt(iv, plaintext, protected.encode())
    parts = (key.encrypt(content_key, OAEP), iv, sealed[:-TAG_BYTES], sealed[-TAG_BYTES:])
    return ".".join([protected, *map(_encode, parts)])


def decrypt(config: Config, text: str) -> dict[str, Any]:
    """The object that the platform encrypted to one of `decryption_keys`. Raises NotOpened."""
    try:
        document = json.loads(decrypt_text(text, keys=config.decryption_keys))
    except ValueError as error:
        raise NotOpened("what is inside is not JSON") from error
    if not isinstance(document, dict):
        raise NotOpened("what is inside is not an object")
    return document


def decrypt_text(text: str, *, keys: Mapping[str, rsa.RSAPrivateKey]) -> str:
    try:
        protected, wrapped, iv, ciphertext, tag = text.split(".")
        header = json.loads(_decode(protected))
        key = keys.get(header.get("kid", ""))
        if header.keys() != {"alg", "enc", "kid", "iss"} or ALGORITHMS.items() - header.items() or key is None:
            raise NotOpened("not for one of our keys, or not encrypted in the way that was agreed")
        raw_iv, raw_tag = _decode(iv), _decode(tag)
        if (len(raw_iv), len(raw_tag)) != (IV_BYTES, TAG_BYTES):
            raise NotOpened("not encrypted in the way that was agreed")
        content_key = key.decrypt(_decode(wrapped), OAEP)
        return AESGCM(content_key).decrypt(raw_iv, _decode(ciphertext) + raw_tag, protected.encode()).decode()
    except (ValueError, AttributeError, TypeError, binascii.Error, InvalidTag) as error:
        raise NotOpened("the envelope does not open") from error


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """In the one spelling that it has: without padding, and with no bits left over."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(raw) != text:
        raise ValueError("not in the form of RFC 7515")
    return raw
