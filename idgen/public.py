"""A number for outsiders that tells no volume: a keyed permutation of the id.

An id shows when it was made, by which process, and how many were made near it. Its public form is an ordinary-looking
number of the same 63 bits; with the key it leads back to the id, without the key it tells nothing. It is no permission:
every look-up checks who asks.

The permutation is a Feistel network of ten rounds of HMAC-SHA256 on 64 bits, walked until the result fits 63 bits
(twice on average). A key id in front of the text allows keys to be rotated: the first key writes, all keys read.

`next_public_no` is for a number that is decided once and stored, such as an app's: it is never read back.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from idgen import next_id
from idgen.conf import setting
from idgen.errors import InvalidIdError
from idgen.layout import ID_MAX, from_base32, to_base32

ROUNDS: Final = 10
KEY_BYTES_MIN: Final = 16
PUBLIC_NO_MIN: Final = 10**15
"""`next_public_no` gives 16 digits or more. 63 bits have at most 19."""
_HALF_BITS: Final = 32
_HALF_MASK: Final = (1 << _HALF_BITS) - 1


class PublicKeysError(ValueError):
    """The keys are not written as `ID:base64,ID:base64`, each ID one letter or digit, each key 16 bytes or more."""


class PublicKeysMissing(PublicKeysError):
    """IDGEN_PUBLIC_KEYS is not set: a number made without a kept key might be made again with the next one."""


def next_public_no() -> int:
    """A number for outsiders of 16 to 19 digits that tells neither time nor volume: a new id under the current key.

    Under one key no number comes twice. Two keys may give two ids one number: a unique constraint where it is stored
    decides, and whoever meets it draws again.

    Raises:
        PublicKeysError: IDGEN_PUBLIC_KEYS is missing or malformed.
        IdgenUnavailable: no id can be given right now.
    """
    numbers = PublicNumbers.from_settings()
    while True:
        number = permute(next_id(), key=numbers.keys[numbers.current])
        if number >= PUBLIC_NO_MIN:  # all but one of 9,223
            return number


def permute(number: int, *, key: bytes) -> int:
    """The public number of an id, 1 to 2^63-1."""
    return _walk(number, key=key, rounds=range(ROUNDS), swapped=False)


def unpermute(public: int, *, key: bytes) -> int:
    """The id of a public number."""
    return _walk(public, key=key, rounds=range(ROUNDS - 1, -1, -1), swapped=True)


@dataclass(frozen=True, slots=True)
class PublicNumbers:
    """Writes with the key `current` and reads with all of `keys` (key id to key)."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "PublicNumbers":
        """Read `B:base64,A:base64`; the first one writes.

        Raises:
            PublicKeysError: see there.
        """
        pairs = [entry.strip().partition(":") for entry in text.split(",") if entry.strip()]
        keys = {key_id: _key(encoded) for key_id, _, encoded in pairs}
        if not pairs or len(keys) != len(pairs) or not all(_is_key_id(key_id) for key_id in keys):
            raise PublicKeysError("each key needs an id of its own, one letter or digit")
        return cls(current=pairs[0][0], keys=keys)

    @classmethod
    def from_settings(cls) -> "PublicNumbers":
        """The keys of IDGEN_PUBLIC_KEYS.

        Raises:
            PublicKeysError: see there.
        """
        text = setting("IDGEN_PUBLIC_KEYS")
        if not text:
            raise PublicKeysMissing("IDGEN_PUBLIC_KEYS is not set")
        return cls.parse(text)

    def to_public(self, number: int) -> str:
        """14 characters: the key id and 13 of Crockford base32."""
        return self.current + to_base32(permute(number, key=self.keys[self.current]))

    def from_public(self, text: str) -> int:
        """The id behind a public number.

        Raises:
            InvalidIdError: not one of ours, or made with a key that is gone.
        """
        key = self.keys.get(text[:1])
        if key is None:
            raise InvalidIdError("no key of this id")
        return unpermute(from_base32(text[1:]), key=key)


def _walk(number: int, *, key: bytes, rounds: range, swapped: bool) -> int:
    if not 0 < number <= ID_MAX:
        raise InvalidIdError("an id is a positive integer below 2^63")
    while True:
        number = _feistel(number, key=key, rounds=rounds, swapped=swapped)
        if 0 < number <= ID_MAX:
            return number


def _feistel(number: int, *, key: bytes, rounds: range, swapped: bool) -> int:
    left, right = number >> _HALF_BITS, number & _HALF_MASK
    if swapped:
        left, right = right, left
    for turn in rounds:
        digest = hmac.digest(key, bytes([turn]) + right.to_bytes(4, "big"), "sha256")
        left, right = right, left ^ int.from_bytes(digest[:4], "big")
    return (right << _HALF_BITS | left) if swapped else (left << _HALF_BITS | right)


def _key(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PublicKeysError("a key is not base64") from error
    if len(key) < KEY_BYTES_MIN:
        raise PublicKeysError(f"a key has fewer than {KEY_BYTES_MIN} bytes")
    return key


def _is_key_id(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text.isalnum()
