"""What can go wrong, and whether the thing that was asked for may have happened all the same."""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """The base of all.

    `may_have_happened`: a write may have been carried out, by this attempt or by one before it. Then ask for the order
    or the refund by your own number, or send the same again: one number is one order. When it is False, nothing was
    changed.
    """

    def __init__(self, message: str, *, may_have_happened: bool = False) -> None:
        self.message = message
        self.may_have_happened = may_have_happened
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message} (it may have happened: query)" if self.may_have_happened else self.message


class NotVerified(ClientError):
    """What came is not proven to be from the platform, or not to be the answer to this request: do not believe it."""


class NotUnderstood(ClientError):
    """The answer is the platform's, and lacks a field that this client knows, or has another type in it."""


class NotOpened(ClientError):
    """An encrypted field does not open with any of our keys, or we have no key to encrypt to."""


class NoAnswer(ClientError):
    """Nobody answered within the deadline, also after the retries."""


class NotDecided(ClientError):
    """The order or the refund is still open after the time that you were willing to wait; `last` is how it was."""

    def __init__(self, message: str, *, last: Any) -> None:
        super().__init__(message)
        self.last = last


class ApiError(ClientError):
    """The platform refused. Decide by `code` (docs/error-codes.md).

    `is_verified` is False for refusals that cannot be signed, as before the platform knows who asks: whoever sits in
    between could have written them.
    """

    def __init__(
        self,
        *,
        status: int,
        document: Mapping[str, Any],
        is_verified: bool,
        may_have_happened: bool = False,
        retry_after_s: float | None = None,
        clock_s: float | None = None,
    ) -> None:
        self.status = status
        self.document = document
        self.is_verified = is_verified
        self.retry_after_s = retry_after_s
        self.code = str(document.get("code", ""))
        self.detail = str(document.get("detail", ""))
        self.request_id = str(document.get("request_id", ""))
        self.errors = _errors(document)
        self.server_time = _whole(document.get("server_time"))
        self.clock_off_by_s = round(clock_s - self.server_time) if clock_s and self.server_time is not None else None
        super().__init__(self._text(), may_have_happened=may_have_happened)

    def _text(self) -> str:
        parts = [f"{self.status} {self.code}: {self.detail}"]
        parts += [f"{field or 'body'}: {reason}" for field, reason in self.errors]
        if self.clock_off_by_s is not None:
            way = "ahead of" if self.clock_off_by_s > 0 else "behind"
            parts.append(f"this machine's clock is {abs(self.clock_off_by_s)} s {way} the platform's: set it (NTP)")
        if self.request_id:
            parts.append(f"request {self.request_id}")
        return "; ".join(parts)


def _errors(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs of field and reason."""
    said = document.get("errors")
    items = said if isinstance(said, list) else []
    return tuple((str(item.get("field", "")), str(item.get("reason", ""))) for item in items if isinstance(item, dict))


def _whole(value: object) -> int | None:
    return value if type(value) is int else None
