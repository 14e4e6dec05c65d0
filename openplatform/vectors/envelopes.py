"""Envelopes of the file: JWE that must open, and JWE that must not, each with one thing wrong.

An envelope holds chance: its content key, its IV, the padding of its key. So a token that the file has is an input, as
the keys are, and stays while it holds what it should; one that it lacks is made. What is wrong on purpose is made from
the parts, for our own code makes no such thing.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from openplatform.envelopes import ALG, ENC, OUR_NAME, encrypt
from openplatform.vectors.build import APP_ID, shown
from openplatform.vectors.keys import VectorKey

PAYER = '{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}'
CHALLENGE = "fenpay-key-proof:vectors-0123456789"
_OTHER_APP = f"{APP_ID[:-1]}8"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What a token holds. `header` is the literal text of its protected header, `key` opens it."""

    key: VectorKey
    header: str
    plaintext: str
    content_key_bytes: int = 32
    wrapped_with: type[HashAlgorithm] = SHA256

    @property
    def padding(self) -> padding.OAEP:
        return padding.OAEP(mgf=padding.MGF1(self.wrapped_with()), algorithm=self.wrapped_with(), label=None)


def envelopes(keys: Mapping[str, VectorKey], published: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = {each["id"]: each["token"] for each in published.get("envelopes", [])}
    return [*_good(keys, known), *_bad(keys, known)]


def _good(keys: Mapping[str, VectorKey], known: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    ours, theirs = keys["platform-encryption"], keys["merchant-encryption"]
    for name, direction, key, issuer, plaintext in (
        ("payer-to-platform", "to_platform", ours, APP_ID, PAYER),
        ("payer-to-platform-utf8", "to_platform", ours, APP_ID, '{"openid":"o-两杯咖啡-1"}'),
        ("payer-to-merchant", "to_merchant", theirs, OUR_NAME, PAYER),
        ("challenge-to-merchant", "to_merchant", theirs, OUR_NAME, CHALLENGE),
    ):
        letter = Letter(key=key, header=_header(kid=key.serial_no, iss=issuer), plaintext=plaintext)
        made = _kept(known, name, letter) or encrypt(
            plaintext, kid=key.serial_no, public_key_pem=key.public_pem, iss=issuer
        )
        yield _entry(name, direction, key, made) | _inside(made, letter)


def _bad(keys: Mapping[str, VectorKey], known: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    ours, theirs = keys["platform-encryption"], keys["merchant-encryption"]
    for direction, key, issuer in (("to_platform", ours, APP_ID), ("to_merchant", theirs, OUR_NAME)):
        good = Letter(key=key, header=_header(kid=key.serial_no, iss=issuer), plaintext=PAYER)
        suffix = direction.replace("_", "-")
        for name, letter, reason in _letters(good, stranger=keys["stranger"], to_us=key is ours):
            token = _kept(known, f"{name}-{suffix}", letter) or _sealed(letter)
            yield _entry(f"{name}-{suffix}", direction, key, token, reason=reason)
        base = _kept(known, f"tag-bit-turned-{suffix}", good, repair=_tag_bit_turned) or _sealed(good)
        for name, change, reason in _CHANGES:
            yield _entry(f"{name}-{suffix}", direction, key, change(base), reason=reason)


def _letters(good: Letter, *, stranger: VectorKey, to_us: bool) -> Iterator[tuple[str, Letter, str]]:
    """Well made, and not what was agreed."""
    header: dict[str, str] = json.loads(good.header)

    def with_header(**changes: str | None) -> Letter:
        named = {name: value for name, value in (header | changes).items() if value is not None}
        return _with(good, header=_written(named))

    yield "rsa1-5", with_header(alg="RSA1_5"), "`alg` is RSA1_5"
    yield "oaep-sha1", with_header(alg="RSA-OAEP"), "`alg` is RSA-OAEP, with SHA-1"
    yield "aes-128", _with(with_header(enc="A128GCM"), content_key_bytes=16), "`enc` is A128GCM"
    yield "zip", with_header(zip="DEF"), "the content is said to be compressed"
    yield "no-iss", with_header(iss=None), "nobody is named as its sender"
    yield "unknown-kid", with_header(kid=stranger.serial_no), "`kid` names no key of the receiver"
    yield "other-key", _with(good, key=stranger), "it was encrypted to another key than `kid` names"
    yield (
        "wrapped-with-sha1",
        _with(good, wrapped_with=SHA1),
        "its key was wrapped by OAEP with SHA-1, whatever `alg` says",
    )
    if to_us:
        yield (
            "other-iss",
            with_header(iss=_OTHER_APP),
            "it is another app's: somebody sends in what he has taken from it",
        )
        twice = f'{good.header[:-1]},"iss":"{_OTHER_APP}"}}'
        yield "iss-twice", _with(good, header=twice), "a name stands twice in its header"
        content = '{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o","openid":"o-somebody-else"}'
        yield "content-name-twice", _with(good, plaintext=content), "a name stands twice in its content"
        yield "content-no-object", _with(good, plaintext='["openid"]'), "its content is no JSON object"


def _with(letter: Letter, **changes: Any) -> Letter:
    return Letter(**(letter.__dict__ | changes))


def _tag_bit_turned(token: str) -> str:
    return _replaced(token, 4, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))


def _text_bit_turned(token: str) -> str:
    return _replaced(token, 3, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))


def _header_respelt(token: str) -> str:
    """The same members with spaces between: the tag covers the text of the header, not what it means."""
    return _replaced(token, 0, lambda raw: json.dumps(json.loads(raw)).encode())


def _tag_cut(token: str) -> str:
    return _replaced(token, 4, lambda raw: raw[:12])


_CHANGES: tuple[tuple[str, Callable[[str], str], str], ...] = (
    ("tag-bit-turned", _tag_bit_turned, "one bit of its tag is wrong"),
    ("ciphertext-bit-turned", _text_bit_turned, "one bit of its ciphertext is wrong"),
    ("tag-cut", _tag_cut, "its tag has 12 bytes, not 16"),
    ("header-respelt", _header_respelt, "its header was parsed and written again"),
    ("four-parts", lambda token: token.rpartition(".")[0], "it has four parts"),
    ("padded", lambda token: f"{token}==", "it is base64url with padding"),
)


def _entry(name: str, direction: str, key: VectorKey, token: str, *, reason: str = "") -> dict[str, Any]:
    """`reason` says why it must be refused; without one it must open."""
    return {
        "id": name, "direction": direction, "key": key.name, "valid": not reason, "reason": reason or None,
        "token": token,
    }  # fmt: skip


def _inside(token: str, letter: Letter) -> dict[str, Any]:
    """What to compare with, step by step, for whoever writes it anew."""
    _header_part, wrapped, iv, _ciphertext, _tag = map(_decoded, token.split("."))
    content_key = letter.key.rsa.decrypt(wrapped, letter.padding)
    return {
        "header": letter.header, "content_key_hex": content_key.hex(), "iv_hex": iv.hex(),
        "plaintext": shown(letter.plaintext.encode()),
    }  # fmt: skip


def _kept(
    known: Mapping[str, str], name: str, letter: Letter, *, repair: Callable[[str], str] = lambda token: token
) -> str | None:
    """The token that the file has, if it holds `letter`."""
    try:
        token = repair(known.get(name, ""))
        header, wrapped, iv, ciphertext, tag = token.split(".")
        if _decoded(header).decode() != letter.header:
            return None
        content_key = letter.key.rsa.decrypt(_decoded(wrapped), letter.padding)
        plaintext = AESGCM(content_key).decrypt(_decoded(iv), _decoded(ciphertext) + _decoded(tag), header.encode())
    except (ValueError, IndexError, binascii.Error, InvalidTag):
        return None
    is_it = plaintext == letter.plaintext.encode() and len(content_key) == letter.content_key_bytes
    return token if is_it else None


def _sealed(letter: Letter) -> str:
    content_key, iv = secrets.token_bytes(letter.content_key_bytes), secrets.token_bytes(12)
    header = _encoded(letter.header.encode())
    sealed = AESGCM(content_key).encrypt(iv, letter.plaintext.encode(), header.encode())
    wrapped = letter.key.rsa.public_key().encrypt(content_key, letter.padding)
    return ".".join([header, *map(_encoded, (wrapped, iv, sealed[:-16], sealed[-16:]))])


def _header(*, kid: str, iss: str) -> str:
    return _written({"alg": ALG, "enc": ENC, "kid": kid, "iss": iss})


def _written(header: Mapping[str, str]) -> str:
    return json.dumps(header, separators=(",", ":"))


def _replaced(token: str, place: int, change: Callable[[bytes], bytes]) -> str:
    parts = token.split(".")
    parts[place] = _encoded(change(_decoded(parts[place])))
    return ".".join(parts)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
