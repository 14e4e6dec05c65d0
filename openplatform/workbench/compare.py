"""Two strings of bytes: the first that differs, and how to show it."""

from dataclasses import dataclass
from typing import Any

SHOWN_BYTES_MAX = 4_096
AROUND_BYTES = 48
_NAMES = {"\n": "lf", "\r": "cr", "\t": "tab"}
_MARKS = {"lf": "LF", "cr": "CR", "tab": "TAB"}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where `theirs` first differs from `ours`; `line` counts from 1, in our string."""

    offset: int
    line: int
    ours: bytes
    theirs: bytes


def first_difference(ours: bytes, theirs: bytes) -> Difference | None:
    if ours == theirs:
        return None
    pairs = zip(ours, theirs, strict=False)
    offset = next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(theirs)))
    return Difference(offset=offset, line=ours[:offset].count(b"\n") + 1, ours=ours, theirs=theirs)


def around(raw: bytes, offset: int) -> list[list[dict[str, Any]]]:
    """The lines around the byte at `offset`, which is marked; the end of the string is marked when it stands there."""
    start = max(0, offset - AROUND_BYTES)
    while start < offset and raw[start] & 0xC0 == 0x80:  # not into the middle of a character
        start += 1
    part = raw[start : offset + AROUND_BYTES]
    spans = spans_of(part, marked=offset - start)
    if start:
        spans.insert(0, {"kind": "cut", "text": "…"})
    if offset + AROUND_BYTES < len(raw):
        spans.append({"kind": "cut", "text": "…"})
    elif offset >= len(raw):
        spans.append({"kind": "end", "text": "∎", "marked": True})
    return in_lines(spans)


def spans_of(raw: bytes, *, marked: int = -1) -> list[dict[str, Any]]:
    """Runs of bytes of one kind: text, a line end that is made visible, or bytes that a reader cannot see, in hex."""
    spans: list[dict[str, Any]] = []
    offset = 0
    for character in raw.decode("utf-8", errors="surrogateescape"):
        encoded = character.encode("utf-8", errors="surrogateescape")
        span = _span(character, encoded) | ({"marked": True} if offset <= marked < offset + len(encoded) else {})
        if spans and span["kind"] == spans[-1]["kind"] == "text" and "marked" not in span | spans[-1]:
            spans[-1]["text"] += character
        else:
            spans.append(span)
        offset += len(encoded)
    return spans


def in_lines(spans: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """A new line after each LF, as the bytes mean it."""
    lines: list[list[dict[str, Any]]] = [[]]
    for span in spans:
        lines[-1].append(span)
        if span["kind"] == "lf":
            lines.append([])
    return lines if lines[-1] else lines[:-1]


def shown(raw: bytes) -> dict[str, Any]:
    """A whole string, its first part when it is long."""
    part = raw[:SHOWN_BYTES_MAX]
    return {"lines": in_lines(spans_of(part)), "bytes": len(raw), "hidden_bytes": len(raw) - len(part)}


def byte_at(raw: bytes, offset: int) -> str:
    """The byte in hex, or "" at the end."""
    return f"{raw[offset]:02x}" if offset < len(raw) else ""


def _span(character: str, encoded: bytes) -> dict[str, Any]:
    kind = _NAMES.get(character)
    if kind is not None:
        return {"kind": kind, "text": _MARKS[kind]}
    if character.isprintable():
        return {"kind": "text", "text": character}
    return {"kind": "odd", "text": encoded.hex(" ")}
