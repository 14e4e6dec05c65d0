"""Invariant I2: between processes, a holder only uses milliseconds that it reserved in the store *before* using them.

A lease store hands out worker ids. It is the only judge of expiry, and the next holder starts above the last mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

SKEW_MAX_MS: Final = 5_000
"""No id is leased while the wall clock and the store's clock differ by more."""
REST_MAX_MS: Final = 1_000
"""A worker id whose mark is at most so far ahead may be leased again: its next holder starts in the `hold` rung."""


class StoreDown(Exception):
    """The lease store did not answer in time. Whether the request was carried out is unknown."""


class StoreDistrusted(StoreDown):
    """TLS failed: the store did not accept our certificate, or we did not accept the store's. Waiting does not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a lease lives, in seconds.

    The holder stops `margin_s` before the store may give the id away. The window reaches `spare_window_s` beyond the
    lease, so that a wall clock a little ahead of the store's does not run out of reserved time first.
    """

    ttl_s: float = 10.0
    margin_s: float = 2.0
    spare_window_s: float = 2.0

    @property
    def window_ms(self) -> int:
        return int((self.ttl_s + self.spare_window_s) * 1000)

    @property
    def renew_every_s(self) -> float:
        return self.ttl_s / 3

    def deadline_s(self, sent_s: float) -> float:
        """When to stop issuing, for a request sent at `sent_s`, both on CLOCK_MONOTONIC."""
        return sent_s + self.ttl_s - self.margin_s


DEFAULT_TIMING: Final = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A worker id that is ours until `deadline_s` (CLOCK_MONOTONIC) for milliseconds in (floor_ms, reserved_until_ms].

    `fence` grows with every acquisition of the id and is compared on every renewal. `store_ms` is the store's clock
    when it answered (the client's own, where the store has none).
    """

    worker_id: int
    holder: str
    fence: int
    floor_ms: int
    reserved_until_ms: int
    deadline_s: float
    store_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """One worker id as the store sees it, for people. `stats` is what its holder said of itself at its last renewal."""

    worker_id: int
    holder: str
    info: str
    fence: int
    lease_until: datetime | None
    reserved_until_ms: int
    is_held: bool
    stats: Mapping[str, Any] = field(default_factory=dict)


class LeaseStore(Protocol):
    """Where worker ids are leased. Every call is bounded in time; no answer is StoreDown."""

    timing: Timing

    def acquire(self, *, info: str, below_ms: int | None = None) -> Grant:
        """Lease the least recently used free worker id; with `below_ms`, only one whose mark is below it.

        Raises:
            NoWorker: none is free.
            StoreDown: no answer.
        """

    def renew(self, grant: Grant, *, stats: Mapping[str, Any]) -> Grant:
        """Prolong the lease and move the window ahead. `stats` are kept for people.

        Raises:
            LeaseLost: the id is no longer ours.
            StoreDown: no answer; the old grant stays valid until its deadline.
        """

    def release(self, grant: Grant, *, used_until_ms: int) -> None:
        """Give the id back at once; the next holder starts above `used_until_ms`. A lost lease is left alone."""

    def rows(self) -> list[LeaseRow]:
        """All worker ids that the store knows, by number."""

    def lower_mark(self, row: LeaseRow, *, to_ms: int) -> bool:
        """Repair: lower the mark of an id that nobody holds, unless the row changed meanwhile (then False)."""

    def close(self) -> None:
        """Drop connections. The store can be used again."""
