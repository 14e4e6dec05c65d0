"""Scripts that the store runs as one step."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openplatform.store import store


class Script:
    """A Lua file of this folder."""

    def __init__(self, name: str) -> None:
        self.text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()  # the store's own name for it

    def run(self, *, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """By its digest, and in full when the store does not know it: after a restart. Raises StoreDown."""
        with store() as client:
            from redis.exceptions import NoScriptError  # noqa: PLC0415 - the library is there by now, see store.py

            try:
                return client.evalsha(self.digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return client.eval(self.text, len(keys), *keys, *arguments)
