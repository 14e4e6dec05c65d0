"""The secrets of a development machine: made once, readable only by us, handed to children as files."""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from config.runtime import places

MASTER_KEY_BYTES = 32
PUBLIC_KEY_BYTES = 32


def environment(directory: Path) -> Mapping[str, str]:
    """The variables that name our secret files; a secret that the environment already has is left alone.

    `directory` keeps them for the next start: without the same MASTER_KEY nothing that was sealed opens again.
    """
    places.make_private(directory)
    made: Mapping[str, Callable[[], str]] = {
        "SECRET_KEY": lambda: secrets.token_urlsafe(48),
        "MASTER_KEY": lambda: _random_base64(MASTER_KEY_BYTES),
        "IDGEN_PUBLIC_KEYS": lambda: f"A:{_random_base64(PUBLIC_KEY_BYTES)}",
    }
    missing = {name: make for name, make in made.items() if not {name, f"{name}_FILE"} & os.environ.keys()}
    for name, make in missing.items():
        _write_once(directory / name, make())
    return {f"{name}_FILE": str(directory / name) for name in missing}


def _random_base64(count: int) -> str:
    return base64.b64encode(secrets.token_bytes(count)).decode("ascii")


def _write_once(path: Path, value: str) -> None:
    if path.exists():
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value)
        os.fsync(file.fileno())
    unfinished.rename(path)  # whole or not at all: half a key would seal what nobody can open
