"""JSON as RFC 8259 means it and no kinder: the same bytes must mean the same thing to whoever signed them and to us.

The standard parser keeps the last of two equal keys, reads NaN, guesses UTF-16, turns numbers into floats, and answers
a deep nest with a RecursionError. Here each of these is refused by name, and numbers stay what was written.
"""

import json
import re
from typing import Any, NoReturn

DEPTH_MAX = 32
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"


class JsonNumber(str):
    """The literal text of a number. A field class decides what it means; it is never a float on the way there."""

    __slots__ = ()


class JsonRefused(ValueError):
    """The body is not acceptable JSON. `reason` never changes; the text is the class's docstring."""

    reason = "NOT_JSON"

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class NotJson(JsonRefused):
    """The body is not JSON."""


class NotUtf8(JsonRefused):
    """The body is not UTF-8."""

    reason = "NOT_UTF8"


class ByteOrderMark(JsonRefused):
    """The body starts with a byte order mark."""

    reason = "BYTE_ORDER_MARK"


class DuplicateKey(JsonRefused):
    """An object holds the same key twice."""

    reason = "DUPLICATE_KEY"


class NotANumber(JsonRefused):
    """NaN and Infinity are not JSON."""

    reason = "NOT_A_NUMBER"


class TooDeep(JsonRefused):
    """The body is nested more than 32 levels deep."""

    reason = "TOO_DEEP"


class UnstorableText(JsonRefused):
    """A string holds a NUL character or half of a surrogate pair."""

    reason = "UNSTORABLE_TEXT"


class NotAnObject(JsonRefused):
    """The body must be a JSON object."""

    reason = "NOT_AN_OBJECT"


def loads(raw: bytes) -> dict[str, Any]:
    """The object in `raw`; its numbers are JsonNumber. Raises a subclass of JsonRefused."""
    if raw.startswith(_BOM):
        raise ByteOrderMark
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotUtf8 from error
    try:
        value = json.loads(
            text, parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_constant, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise NotJson from error
    except RecursionError as error:
        raise TooDeep from error
    if type(value) is not dict:
        raise NotAnObject
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey
    return found


def _constant(_name: str) -> NoReturn:
    raise NotANumber


def _check(value: dict[str, Any]) -> None:
    """Depth and text, level by level instead of by recursion."""
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if _UNSTORABLE.search(item):
                    raise UnstorableText
            elif isinstance(item, dict | list):
                if depth > DEPTH_MAX:
                    raise TooDeep
                below += [*item.keys(), *item.values()] if isinstance(item, dict) else item
        level = below
