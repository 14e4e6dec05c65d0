"""Reading answers, whatever the channel: what its codes may mean, what we can store of it, and what counts as facts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any, TypeVar

from payments.channels import days
from payments.channels.base import Accepted, RefundFacts, Rejected, TradeFacts, Unknown

RESPONSE_BYTES_MAX = 1_048_576
BEIJING = days.BEIJING
NUMBER_LENGTH_MAX = 19
CLOCKS_DIFFER_S = 300  # by more, and neither believes what the other has signed
_TEXT = re.compile(r"[ -~]{1,64}")  # what our columns hold; their numbers and times are far shorter
_PAYER_ID = re.compile(r"[!-~]{1,128}")

Facts = TypeVar("Facts", TradeFacts, RefundFacts)


class Reaction(Enum):
    """What a code says about one operation. Whatever is not named in the operation's table is UNKNOWN."""

    REJECTED = auto()  # not executed and never will be
    ACCOUNT = auto()  # the same, and whatever this account asks is refused
    NOT_FOUND = auto()  # they do not know the number (yet: a request of ours may still be on its way)
    NOT_YET = auto()  # what was asked for is still being made
    UNKNOWN = auto()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A definite no, as the table of the operation reads it."""

    reaction: Reaction
    code: str
    message: str


class UnexpectedAnswer(Exception):
    """Signed by the channel, but not in a shape that we can act on. The text names the field."""


def read_facts(reader: Callable[[], Facts], *, number: int) -> Accepted[Facts] | Unknown:
    """Facts out of a verified answer; an answer about something else is no answer."""
    try:
        facts = reader()
    except UnexpectedAnswer as error:
        return Unknown(reason=str(error))
    if number not in (facts.payment_no, getattr(facts, "refund_no", None)):
        return Unknown(reason="answer about another number")
    return Accepted(facts=facts)


def refused(answer: Refusal | Unknown) -> Rejected | Unknown:
    """In our words."""
    if isinstance(answer, Unknown):
        return answer
    is_account = answer.reaction is Reaction.ACCOUNT
    return Rejected(code=answer.code, message=answer.message, account_refused=is_account)


def our_number(value: object) -> int:
    """A number that we gave out, or 0 for a text that cannot be one."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= NUMBER_LENGTH_MAX else 0


def short_text(fields: Mapping[str, Any], name: str) -> str:
    """A text that our columns hold. Raises UnexpectedAnswer."""
    value = fields.get(name)
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise UnexpectedAnswer(f"no {name}")
    return value


def payer_ids(told: object, *names: str) -> tuple[str, ...]:
    """Who paid, by the members `names` of what was told. What is missing or odd here makes no money doubtful."""
    values = [told.get(name) for name in names] if isinstance(told, Mapping) else []
    return tuple(value for value in values if isinstance(value, str) and _PAYER_ID.fullmatch(value))


def printable(text: str) -> str:
    """A message that may be unsigned, and is going to be stored: no control characters, no halves of characters."""
    return "".join(character for character in text if character.isprintable())[:200]


def clock_ahead_s(headers: Mapping[str, str], *, now: datetime) -> int:
    """By how many seconds their clock is ahead of ours (behind: negative); 0 when it is not told, or within bounds."""
    try:
        theirs = parsedate_to_datetime(headers.get("Date", ""))
        ahead_s = int((theirs - now).total_seconds())
    except (ValueError, TypeError):  # TypeError: a time without an offset
        return 0
    return ahead_s if abs(ahead_s) >= CLOCKS_DIFFER_S else 0
