"""One request of the kit, and what can be done to it between its signing and its sending."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from openplatform.notifications.message import Message

WEBHOOK_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
WEBHOOK_SIGNATURE = "webhook-signature"
SLOW_PIECES, SLOW_S = 20, 2.0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One request. Slow ones are sent in pieces over SLOW_S; `repeated` headers stand there once more."""

    message: Message
    is_slow: bool = False
    repeated: tuple[tuple[str, str], ...] = ()

    def with_headers(self, headers: dict[str, str]) -> "Shot":
        return replace(self, message=replace(self.message, headers=self.message.headers | headers))

    def without(self, *names: str) -> "Shot":
        kept = {name: value for name, value in self.message.headers.items() if name not in names}
        return replace(self, message=replace(self.message, headers=kept))

    def with_body(self, body: bytes) -> "Shot":
        """Another body under the same signature."""
        return replace(self, message=replace(self.message, body=body))

    def with_once_more(self, name: str, value: str) -> "Shot":
        """A second header of a name that is there."""
        return replace(self, repeated=(*self.repeated, (name, value)))

    def signed_by(self, forge: Callable[[str], str]) -> "Shot":
        """Each signature changed: `forge` gets it in base64."""
        headers = dict(self.message.headers)
        for name, value in self.message.headers.items():
            if name.endswith("-Signature"):
                headers[name] = forge(value)
        if WEBHOOK_SIGNATURE in headers:
            versioned = (signature.split(",") for signature in headers[WEBHOOK_SIGNATURE].split(" "))
            headers[WEBHOOK_SIGNATURE] = " ".join(f"{version},{forge(signature)}" for version, signature in versioned)
        return replace(self, message=replace(self.message, headers=headers))


class SlowBody:
    """A body that arrives piece by piece, as over a bad line."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0
        self._piece = max(1, -(-len(body) // SLOW_PIECES))

    def __len__(self) -> int:
        return len(self._body)

    def read(self, _size: int = -1, /) -> bytes:
        if self._at:
            time.sleep(SLOW_S / SLOW_PIECES)
        piece = self._body[self._at : self._at + self._piece]
        self._at += len(piece)
        return piece
