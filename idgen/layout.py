"""The 64 bits of an id: 1 sign | 41 ms since 2025-01-01Z | 10 worker | 12 sequence (2 lane + 10 counter).

The widths and the epoch are constants on purpose: changing one makes old and new ids collide.
"""

import re
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from idgen.errors import EpochExhausted, InvalidIdError

EPOCH: Final = datetime(2025, 1, 1, tzinfo=UTC)
EPOCH_MS: Final = 1_735_689_600_000
TIME_BITS: Final = 41
WORKER_BITS: Final = 10
LANE_BITS: Final = 2
COUNTER_BITS: Final = 10

WORKER_COUNT: Final = 1 << WORKER_BITS
LANE_COUNT: Final = 1 << LANE_BITS
BLOCK_SIZE: Final = 1 << COUNTER_BITS
IDS_PER_MS: Final = LANE_COUNT * BLOCK_SIZE
TIME_MAX_MS: Final = EPOCH_MS + (1 << TIME_BITS) - 1
ID_MAX: Final = (1 << 63) - 1

DESCRIPTION: Final = (
    f"ids: epoch {EPOCH_MS}, {TIME_BITS} ms, {WORKER_BITS} worker, {LANE_BITS} lane, {COUNTER_BITS} counter"
)
"""Kept as the comment of the lease table by a migration, so that a changed constant meets a system check."""

_LANE_SHIFT: Final = COUNTER_BITS
_WORKER_SHIFT: Final = COUNTER_BITS + LANE_BITS
_TIME_SHIFT: Final = COUNTER_BITS + LANE_BITS + WORKER_BITS
_AHEAD_MAX_MS: Final = 3_600_000
_DIGITS: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE32_LENGTH: Final = 13
_BASE32_VALUES: Final = {letter: value for value, letter in enumerate(_BASE32)}


class Parts(NamedTuple):
    """What an id is made of. `at` is aware, UTC, exact to the millisecond."""

    at: datetime
    worker_id: int
    lane: int
    counter: int


def block_base(*, at_ms: int, worker_id: int, lane: int) -> int:
    """The first id of the block (worker, lane, ms). `at_ms` counts from 1970.

    Widths are checked here, once per block: a field that is too wide would become another worker's id.

    Raises:
        EpochExhausted: the 41 bits of time are used up.
    """
    if at_ms > TIME_MAX_MS:
        raise EpochExhausted("the 41 bits of time are used up")
    if at_ms < EPOCH_MS or not 0 <= worker_id < WORKER_COUNT or not 0 <= lane < LANE_COUNT:
        raise ValueError(f"does not fit the layout: ms {at_ms}, worker {worker_id}, lane {lane}")
    return ((at_ms - EPOCH_MS) << _TIME_SHIFT) | (worker_id << _WORKER_SHIFT) | (lane << _LANE_SHIFT)


def time_ms(number: int) -> int:
    """The millisecond since 1970 that `number` carries."""
    return (number >> _TIME_SHIFT) + EPOCH_MS


def parse(number: int) -> Parts:
    """Take an id apart.

    Raises:
        InvalidIdError: not a positive 63-bit integer.
    """
    at_ms = time_ms(_checked(number))
    return Parts(
        at=datetime.fromtimestamp(at_ms // 1000, tz=UTC).replace(microsecond=at_ms % 1000 * 1000),
        worker_id=number >> _WORKER_SHIFT & (WORKER_COUNT - 1),
        lane=number >> _LANE_SHIFT & (LANE_COUNT - 1),
        counter=number & (BLOCK_SIZE - 1),
    )


def to_str(number: int) -> str:
    """The decimal form for JSON: a JavaScript number is wrong from 2^53 on, which is 24.9 days after the epoch."""
    return str(_checked(number))


def from_str(text: str, *, now_ms: int | None = None) -> int:
    """Read the decimal form strictly: ASCII digits, no sign, space or leading zero, at most 2^63-1.

    Args:
        now_ms: milliseconds since 1970; the wall clock unless given. An id from more than an hour later is refused.

    Raises:
        InvalidIdError: anything else.
    """
    if not _DIGITS.fullmatch(text):
        raise InvalidIdError("an id is 1 to 19 decimal digits")
    number = _checked(int(text))
    if time_ms(number) > (time.time_ns() // 1_000_000 if now_ms is None else now_ms) + _AHEAD_MAX_MS:
        raise InvalidIdError("this id is from the future")
    return number


def to_base32(number: int) -> str:
    """13 characters of Crockford base32: sorts like the number and survives being read out on the telephone."""
    _checked(number)
    return "".join(_BASE32[number >> shift & 31] for shift in range(60, -1, -5))


def from_base32(text: str) -> int:
    """Read `to_base32` back. Lower case, O for 0 and I or L for 1 are forgiven.

    Raises:
        InvalidIdError: another length, another character, or a number beyond 63 bits.
    """
    letters = text.upper().translate(str.maketrans("OIL", "011"))
    if len(letters) != _BASE32_LENGTH or not letters.isascii() or any(each not in _BASE32_VALUES for each in letters):
        raise InvalidIdError("an id is 13 characters of Crockford base32")
    number = 0
    for letter in letters:
        number = number << 5 | _BASE32_VALUES[letter]
    return _checked(number)


def _checked(number: int) -> int:
    if not 0 < number <= ID_MAX:
        raise InvalidIdError("an id is a positive integer below 2^63")
    return number
