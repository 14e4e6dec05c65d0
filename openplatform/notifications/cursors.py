"""Where a replay of many has come to, as text for whoever asks for the next part.

There is no secret in it and it opens nothing: whose notifications are sent again is decided by who asks. It only leaves
out, and its check sum says that it was given for the same app and the same filter.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LENGTH = 43
_NUMBERS = struct.Struct(">qq")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class CursorUnknown(ValueError):
    """This is no cursor that was given for this app and this filter."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Everything up to the event `after` is done. What was sent again at `since` or later is left out."""

    since: datetime
    after: int = 0


def write(place: Place, *, about: str) -> str:
    """`about` names app and filter: the same at each part."""
    numbers = _NUMBERS.pack(place.after, (place.since - _EPOCH) // _MICROSECOND)
    return base64.urlsafe_b64encode(numbers + _check_sum(numbers, about)).decode().rstrip("=")


def read(cursor: str, *, about: str) -> Place:
    """Raises CursorUnknown."""
    if len(cursor) != LENGTH:
        raise CursorUnknown
    try:
        raw = base64.b64decode(cursor + "=", altchars=b"-_", validate=True)
        after, since_us = _NUMBERS.unpack(raw[: _NUMBERS.size])
        place = Place(since=_EPOCH + since_us * _MICROSECOND, after=after)
    except (ValueError, binascii.Error, OverflowError, struct.error) as error:
        raise CursorUnknown from error
    if write(place, about=about) != cursor:  # also for another spelling of the same bytes
        raise CursorUnknown
    return place


def _check_sum(numbers: bytes, about: str) -> bytes:
    return hashlib.sha256(numbers + about.encode()).digest()[:16]
