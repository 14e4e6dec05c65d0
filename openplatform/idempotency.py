"""`Idempotency-Key`: the second layer against doing a thing twice. The first is the number in the signed body.

1. A short transaction of its own claims the key: a rival hears at once that the request is being worked on. Inside the
   business transaction it would wait for the outcome instead.
2. The handler runs.
3. What it has done is kept, and told again to whoever sends the same request under the same key. A refusal is not: the
   same request is judged anew.

A process that dies in between leaves a lease that runs out, and the next one does the work again: that is safe, for the
number in the body makes it the same order or refund. The header is not signed and need not be: it can only narrow.
"""

import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError

from openplatform.models import IdempotencyRecord
from openplatform.models.idempotency import IdempotencyStatus

KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
DELETED_AT_ONCE_MAX = 5_000

logger = logging.getLogger(__name__)


class IdempotencyKeyMalformed(ValueError):
    """Idempotency-Key is 16 to 64 letters, digits, `_` and `-`."""


class KeyOfAnotherRequest(Exception):
    """This app used the key before, for a request with another method, target or body."""


class StillInFlight(Exception):
    """The same request is being worked on by somebody else."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered: `body` is the text that was sent."""

    status: int
    content_type: str
    body: str

    @property
    def is_final(self) -> bool:
        """Whether it says what was done: only that must not be done twice.

        A refusal did nothing, and what it was about may be another a second later: a number that appears, a refund that
        frees the rest, an account that is set up. The number in the signed body keeps it from being done twice. Nor is
        "we do not know yet" (202) final: whoever asks again wants to hear what has become of it.
        """
        return 200 <= self.status < 300 and self.status != 202


def begin(*, app_id: int, key: str, request: tuple[str, str, bytes], now: datetime) -> "IdempotencyRecord | Answer":
    """The right to carry out `request` (method, raw target, raw body), or the answer that it got before.

    Raises IdempotencyKeyMalformed, KeyOfAnotherRequest, StillInFlight.
    """
    if not KEY.fullmatch(key):
        raise IdempotencyKeyMalformed
    fingerprint = _fingerprint(*request)
    record, is_mine = IdempotencyRecord.claim(app_id=app_id, key=key, fingerprint=fingerprint, now=now)
    if is_mine:
        return record
    if record.fingerprint != fingerprint:
        raise KeyOfAnotherRequest
    if record.status == IdempotencyStatus.DONE and record.answer_status is not None:
        return Answer(status=record.answer_status, content_type=record.answer_type, body=record.answer_body)
    raise StillInFlight


def end(record: IdempotencyRecord, answer: Answer) -> None:
    """Keep a final answer, and forget the key otherwise. It never costs the caller the answer: the lease would end."""
    try:
        if answer.is_final:
            record.finish(status=answer.status, content_type=answer.content_type, body=answer.body)
        else:
            record.forget()
    except DatabaseError as error:
        logger.warning("an idempotent answer was not kept: %s", type(error).__name__)


def delete_old_keys(*, now: datetime) -> int:
    """Forget keys that are older than a week. Returns how many."""
    return IdempotencyRecord.delete_old(now=now, limit=DELETED_AT_ONCE_MAX)


def _fingerprint(method: str, target: str, body: bytes) -> str:
    """A length in front of each part: no two requests have the same text."""
    digest = hashlib.sha256()
    for part in (method.encode(), target.encode(), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
