"""The strings that people sign by mistake. If a signature, or a pasted string, fits one, that is what went wrong."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from django.conf import settings

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the string is made of, as the request has it."""

    method: str
    target: str
    timestamp: str
    nonce: str
    body: bytes

    def message(self) -> bytes:
        """The string; unlike our server's it takes anything, for it is also asked about what we would refuse."""
        lines = (self.method, self.target, self.timestamp, self.nonce, "")
        return "\n".join(lines).encode("utf-8", errors="surrogateescape") + self.body + b"\n"


def strings(parts: Parts) -> Iterator[tuple[str, bytes]]:
    """Each mistake's name, and the string that it makes; those that make no difference here are left out."""
    right = parts.message()
    for name, make in _MISTAKES:
        for wrong in make(parts):
            if wrong != right:
                yield name, wrong


def name_of(wrong: bytes, parts: Parts) -> str:
    """The mistake that makes this string, or ""."""
    return next((name for name, string in strings(parts) if string == wrong), "")


def _same_json(parts: Parts) -> Iterator[bytes]:
    """The body parsed and written again, in the ways of the usual libraries."""
    try:
        value: Any = json.loads(parts.body)
    except (ValueError, RecursionError):
        return
    for separators in ((",", ":"), (", ", ": ")):
        for sort_keys in (False, True):
            for ensure_ascii in (False, True):
                text = json.dumps(value, separators=separators, sort_keys=sort_keys, ensure_ascii=ensure_ascii)
                yield from _with_body(text.encode("utf-8", errors="surrogatepass"))(parts)
    for indent in (2, 4):
        yield from _with_body(json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "replace"))(parts)


def _slashes_escaped(parts: Parts) -> Iterator[bytes]:
    """As PHP writes JSON."""
    yield replace(parts, body=parts.body.replace(b"/", rb"\/")).message()
    yield replace(parts, body=parts.body.replace(rb"\/", b"/")).message()


def _with_body(body: bytes) -> Callable[[Parts], Iterator[bytes]]:
    def make(parts: Parts) -> Iterator[bytes]:
        yield replace(parts, body=body).message()

    return make


def _body_by(change: Callable[[bytes], bytes]) -> Callable[[Parts], Iterator[bytes]]:
    return lambda parts: iter([replace(parts, body=change(parts.body)).message()])


def _target_by(*changes: Callable[[str], str]) -> Callable[[Parts], Iterator[bytes]]:
    return lambda parts: iter([replace(parts, target=change(parts.target)).message() for change in changes])


def _whole_by(*changes: Callable[[bytes], bytes]) -> Callable[[Parts], Iterator[bytes]]:
    return lambda parts: iter([change(parts.message()) for change in changes])


def _with_literal_n(whole: bytes) -> bytes:
    return whole.replace(b"\n", rb"\n")


def _in_gbk(parts: Parts) -> Iterator[bytes]:
    try:
        yield replace(parts, body=parts.body.decode().encode("gbk")).message()
    except UnicodeError:
        return


def _without_prefix(target: str) -> str:
    return "/" + target.partition("/v1/")[2]


def _query_escaped(target: str) -> str:
    path, mark, query = target.partition("?")
    return path + mark + quote(query, safe="&=") if query else target


_MISTAKES: tuple[tuple[str, Callable[[Parts], Iterator[bytes]]], ...] = (
    ("no_last_lf", _whole_by(lambda whole: whole[:-1])),
    ("crlf", _whole_by(lambda whole: whole.replace(b"\n", b"\r\n"), lambda whole: whole.replace(b"\n", b"\r"))),
    ("literal_n", _whole_by(_with_literal_n, lambda whole: _with_literal_n(whole[:-1]))),
    ("one_lf_more", _whole_by(lambda whole: whole + b"\n")),
    ("string_with_bom", _whole_by(lambda whole: BOM + whole)),
    ("no_query", _target_by(lambda target: target.partition("?")[0])),
    ("query_escaped", _target_by(_query_escaped, lambda target: quote(target, safe=""), unquote)),
    ("whole_url", _target_by(lambda target: settings.PUBLIC_BASE_URL + target)),
    ("no_prefix", _target_by(_without_prefix)),
    ("small_method", lambda parts: iter([replace(parts, method=parts.method.lower()).message()])),
    ("swapped", lambda parts: iter([replace(parts, timestamp=parts.nonce, nonce=parts.timestamp).message()])),
    ("body_left_out", _with_body(b"")),
    ("body_of_nothing", _body_by(lambda body: body or b"{}")),
    ("body_null", _body_by(lambda body: body or b"null")),
    ("json_again", _same_json),
    ("json_slashes", _slashes_escaped),
    ("body_with_bom", _body_by(lambda body: BOM + body)),
    ("body_without_bom", _body_by(lambda body: body.removeprefix(BOM))),
    ("body_line_ends", _body_by(lambda body: body.replace(b"\r\n", b"\n"))),
    ("body_line_ends", _body_by(lambda body: body.replace(b"\n", b"\r\n"))),
    ("body_trimmed", _body_by(bytes.strip)),
    ("body_ended", _body_by(lambda body: body + b"\n")),
    ("body_in_gbk", _in_gbk),
    ("answer_string", _whole_by(lambda whole: whole.split(b"\n", 2)[2])),
)
