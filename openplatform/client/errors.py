"""What can go wrong, and whether the thing that was asked for may have happened all the same."""

from typing import Any


class ClientError(Exception):
    """The base of all."""


class NotVerified(ClientError):
    """What came is not proven to be from the platform: do not believe it. A write may have happened: query."""


class NotOpened(ClientError):
    """An encrypted field does not open with any of our keys, or we have no key to encrypt to."""


class NoAnswer(ClientError):
    """Nobody answered, also after the retries. A write may have happened: query, or send the same again."""


class ApiError(ClientError):
    """The platform refused. `is_verified` is false for refusals that cannot be signed, as before it knows who asks."""

    def __init__(self, *, status: int, document: dict[str, Any], is_verified: bool) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        self.document = document
        self.is_verified = is_verified
        super().__init__(f"{status} {self.code}: {document.get('detail', '')}")
