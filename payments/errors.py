"""The names of our refusals. A public `code` never changes; docs/error-codes.md says what each asks of the caller."""

from typing import ClassVar


class PaymentsError(Exception):
    """A refusal with a name. The message is for the merchant's engineer and holds nothing secret."""

    code: ClassVar[str] = "INVALID_REQUEST"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class InvalidMove(PaymentsError):
    """The state does not allow this."""

    code = "INVALID_STATE"


class NotFound(PaymentsError):
    """There is no such thing, or it belongs to another app."""

    code = "NOT_FOUND"
