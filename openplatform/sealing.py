"""Secrets at rest: AES-256-GCM under a master key that never is in the database, each blob bound to its own row.

Blob = `v1|` + key id (8 hex digits) + `|` + nonce (12 bytes) + ciphertext with its tag. The additional data is the
header and "table:column:primary key", so a blob that is moved to another row or column does not open.

MASTER_KEY seals; those in MASTER_KEYS_OLD only open, until `manage.py rekey` has sealed everything anew.
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
HEADER_BYTES = len(b"v1|01234567|")


class SealingError(Exception):
    """A blob could not be opened: damaged, moved from another row, or sealed under another master key."""


class MasterKeyMissing(SealingError):
    """MASTER_KEY is not set, or it or one of MASTER_KEYS_OLD is not 32 bytes in base64."""


def seal(plaintext: bytes, *, aad: str) -> bytes:
    """Encrypt `plaintext` for the place that `aad` names ("table:column:primary key")."""
    key = _master_key()
    header = _header(key)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + aad.encode())


def unseal(blob: bytes, *, aad: str) -> bytes:
    """The plaintext of a blob made by `seal` for the same place. Raises SealingError."""
    header, nonce = blob[:HEADER_BYTES], blob[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
    key = next((key for key in _master_keys() if header == _header(key)), None)
    if key is None:
        raise SealingError("sealed under another master key, or not sealed at all")
    try:
        return AESGCM(key).decrypt(nonce, blob[HEADER_BYTES + NONCE_BYTES :], header + aad.encode())
    except (InvalidTag, ValueError) as error:
        raise SealingError("the blob is damaged or belongs to another row") from error


def derived_keys(purpose: str) -> list[bytes]:
    """32 bytes for something else than sealing, of each master key, today's first. Raises MasterKeyMissing."""
    text = f"fenpay derived key:{purpose}".encode()
    return [hmac.digest(key, text, hashlib.sha256) for key in _master_keys()]


def current_header() -> bytes:
    """How every blob begins that is sealed under today's MASTER_KEY."""
    return _header(_master_key())


def _master_keys() -> list[bytes]:
    """The one that seals, then those that only open."""
    return [_master_key(), *(_decoded(text, "MASTER_KEYS_OLD") for text in settings.MASTER_KEYS_OLD)]


def _master_key() -> bytes:
    return _decoded(settings.MASTER_KEY, "MASTER_KEY")


def _decoded(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise MasterKeyMissing(f"{name} is not base64") from error
    if len(key) != MASTER_KEY_BYTES:
        raise MasterKeyMissing(f"{name} must be 32 bytes in base64")
    return key


def _header(key: bytes) -> bytes:
    """Tells master keys apart without telling anything about them."""
    key_id = hashlib.sha256(b"fenpay key id:" + key).hexdigest()[:8].encode()
    return b"|".join((_VERSION, key_id, b""))
