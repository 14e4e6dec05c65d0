"""No JSON body may hold an id as a number: a reader in JavaScript, Lua or Go's `any` gets a double, and another id."""

import re
from collections.abc import Iterator
from typing import Any

EXACT_MAX = 2**53
"""From here on not every integer is a double."""
ID_NAME = re.compile(r"(?:.*_)?(?:id|no)")
COUNTS = {"attempt_no"}  # the first, second, third attempt: it never is an id


def is_id(name: str) -> bool:
    return bool(ID_NAME.fullmatch(name)) and name not in COUNTS


def ids_as_numbers(document: Any, *, name: str = "", path: str = "$") -> Iterator[str]:
    """The places of a JSON document where a number stands in a member named like an id, or where one is too large."""
    if isinstance(document, dict):
        for member, value in document.items():
            yield from ids_as_numbers(value, name=member, path=f"{path}.{member}")
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from ids_as_numbers(value, name=name, path=f"{path}[{place}]")
    elif type(document) in {int, float} and (is_id(name) or abs(document) >= EXACT_MAX):
        yield path


def ids_not_described_as_strings(schema: Any, *, path: str = "$") -> Iterator[str]:
    """The places of an OpenAPI document where a property or parameter named like an id is anything but a string."""
    if isinstance(schema, list):
        for place, value in enumerate(schema):
            yield from ids_not_described_as_strings(value, path=f"{path}[{place}]")
    if not isinstance(schema, dict):
        return
    described = dict(schema["properties"]) if isinstance(schema.get("properties"), dict) else {}
    if "in" in schema and "schema" in schema:
        described[schema["name"]] = schema["schema"]
    for name, value in described.items():
        types = value.get("type")
        if is_id(name) and not set([types] if isinstance(types, str) else types or ["none"]) <= {"string", "null"}:
            yield f"{path}.{name}"
    for name, value in schema.items():
        yield from ids_not_described_as_strings(value, path=f"{path}.{name}")


def scanned(document: Any) -> Any:
    """The document, when it holds no id as a number."""
    places = list(ids_as_numbers(document))
    assert not places, f"ids as numbers: {places}"
    return document
