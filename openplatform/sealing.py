"""Secrets at rest: AES-256-GCM under a master key that never is in the database, each blob bound to its own row.

Blob = `v1|` + key id (8 hex digits) + `|` + nonce (12 bytes) + ciphertext with its tag. The additional data is the
header and "table:column:primary key", so a blob that is moved to another row or column does not open.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

MASTER_KEY_BYTES = 32
NONCE_BYTES = 12
_VERSION = b"v1"
_HEADER_BYTES = len(b"v1|01234567|")


class SealingError(Exception):
    """A blob could not be opened: damaged, moved from another row, or sealed under another master key."""


class MasterKeyMissing(SealingError):
    """MASTER_KEY is not set, or is not 32 bytes in base64."""


def seal(plaintext: bytes, *, aad: str) -> bytes:
    """Encrypt `plaintext` for the place that `aad` names ("table:column:primary key")."""
    key = _master_key()
    header = b"|".join((_VERSION, _key_id(key), b""))
    nonce = secrets.token_bytes(NONCE_BYTES)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + aad.encode())


def unseal(blob: bytes, *, aad: str) -> bytes:
    """The plaintext of a blob made by `seal` for the same place. Raises SealingError."""
    key = _master_key()
    header, nonce = blob[:_HEADER_BYTES], blob[_HEADER_BYTES : _HEADER_BYTES + NONCE_BYTES]
    if header != b"|".join((_VERSION, _key_id(key), b"")):
        raise SealingError("sealed under another master key, or not sealed at all")
    try:
        return AESGCM(key).decrypt(nonce, blob[_HEADER_BYTES + NONCE_BYTES :], header + aad.encode())
    except (InvalidTag, ValueError) as error:
        raise SealingError("the blob is damaged or belongs to another row") from error


def derived_key(purpose: str) -> bytes:
    """32 bytes for something else than sealing, which tell nothing about the master key. Raises MasterKeyMissing."""
    return hmac.digest(_master_key(), f"fenpay derived key:{purpose}".encode(), hashlib.sha256)


def _master_key() -> bytes:
    try:
        key = base64.b64decode(settings.MASTER_KEY, validate=True)
    except binascii.Error as error:
        raise MasterKeyMissing("MASTER_KEY is not base64") from error
    if len(key) != MASTER_KEY_BYTES:
        raise MasterKeyMissing("MASTER_KEY must be 32 bytes in base64")
    return key


def _key_id(key: bytes) -> bytes:
    """Tells master keys apart without telling anything about them."""
    return hashlib.sha256(b"fenpay key id:" + key).hexdigest()[:8].encode()
