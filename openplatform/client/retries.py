"""When a call is sent again, and how long it waits before: a value, so that it can be read and changed."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

STATUSES = frozenset({429, 502, 503, 504})
# A nonce that was seen before although it is new: something on the way has sent our request twice.
CODES = frozenset({"REPLAYED_NONCE", "IDEMPOTENCY_IN_PROGRESS"})


@dataclass(frozen=True, kw_only=True)
class Retries:
    """All attempts of one call, their pauses included, end at `deadline_s`; only a peer that lets its headers drip may
    take up to `read_s` for each piece. Each attempt has a fresh nonce and timestamp, and the same body and
    Idempotency-Key.

    Sent again are calls that count once however often they arrive: reads, and writes whose identity is in the body or
    in an idempotency key. Any other write is sent again only when it certainly was not carried out.
    """

    deadline_s: float = 30.0
    tries_max: int = 4
    connect_s: float = 3.05
    read_s: float = 15.0  # the platform itself waits up to 10 s for a channel
    backoff_s: float = 0.5
    backoff_max_s: float = 5.0

    def pause_s(self, *, tries: int, asked_s: float | None) -> float:
        """After `tries` attempts: longer each time, not the same for two clients, and not before the platform asks."""
        longest = min(self.backoff_s * 2 ** (tries - 1), self.backoff_max_s)
        jittered = random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, keeps no secret
        return jittered if asked_s is None else max(jittered, asked_s + jittered / 2)


NO_RETRIES = Retries(tries_max=1)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The Retry-After header: seconds, or a date."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
