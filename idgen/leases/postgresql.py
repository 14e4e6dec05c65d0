"""Leases in a PostgreSQL table: one row per worker id, and the database's clock is the only judge of expiry.

Every call opens its own autocommit connection and closes it. That costs about 3 ms every 3.3 s and buys a lot: a
rolled-back request never undoes a mark, a fork inherits no socket, PgBouncer and a failover need no special care, and
an idle process holds no server slot. Session advisory locks are not used: they die with a pooled connection while the
process lives on.
"""

import json
import select
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg2
from psycopg2 import errors as pg_errors
from psycopg2 import extensions

from idgen.errors import LeaseLost, NoWorker
from idgen.layout import WORKER_COUNT
from idgen.leases.base import DEFAULT_TIMING, REST_MAX_MS, Grant, LeaseRow, StoreDown, Timing

CALL_TIMEOUT_S: Final = 2.5
"""For name resolution's result, connecting, TLS and the statement together; a stopped server must not stop us."""

_OPTIONS: Final = " -c statement_timeout=1500 -c lock_timeout=1000 -c synchronous_commit=on"
"""Only a durable mark is a mark: with synchronous_commit=off a crash of the server would hand our window out again."""

# clock_timestamp(), not now(): the latter stands still from the start of the transaction. The CTE is materialized
# because a planner that ran the locking subquery twice would take two rows.
_ACQUIRE: Final = """
WITH free AS MATERIALIZED (
    SELECT worker_id, reserved_until_ms FROM idgen_lease
     WHERE lease_until < clock_timestamp()
       AND reserved_until_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint + %(rest_ms)s
       AND (%(below_ms)s::bigint IS NULL OR reserved_until_ms < %(below_ms)s::bigint)
     ORDER BY reserved_until_ms, worker_id LIMIT 1 FOR UPDATE SKIP LOCKED
), clock AS MATERIALIZED (SELECT clock_timestamp() AS at)
UPDATE idgen_lease AS lease
   SET holder = %(holder)s::uuid, info = %(info)s, stats = '{}', fence = lease.fence + 1,
       lease_until = clock.at + %(ttl_s)s * interval '1 second',
       reserved_until_ms = greatest(lease.reserved_until_ms,
                                    (extract(epoch FROM clock.at) * 1000)::bigint + %(window_ms)s)
  FROM free, clock
 WHERE lease.worker_id = free.worker_id
RETURNING lease.worker_id, lease.fence, free.reserved_until_ms, lease.reserved_until_ms,
          (extract(epoch FROM clock.at) * 1000)::bigint
"""
_RENEW: Final = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS at)
UPDATE idgen_lease AS lease
   SET lease_until = clock.at + %(ttl_s)s * interval '1 second', stats = %(stats)s::jsonb,
       reserved_until_ms = greatest(lease.reserved_until_ms,
                                    (extract(epoch FROM clock.at) * 1000)::bigint + %(window_ms)s)
  FROM clock
 WHERE lease.worker_id = %(worker_id)s AND lease.holder = %(holder)s::uuid AND lease.fence = %(fence)s
   AND lease.lease_until > clock_timestamp()
RETURNING lease.reserved_until_ms, (extract(epoch FROM clock.at) * 1000)::bigint
"""
# The lease may have expired meanwhile: as long as nobody took the row the lower mark is still true.
_RELEASE: Final = """
UPDATE idgen_lease
   SET lease_until = to_timestamp(0), holder = NULL, reserved_until_ms = least(reserved_until_ms, %(used_until_ms)s)
 WHERE worker_id = %(worker_id)s AND holder = %(holder)s::uuid AND fence = %(fence)s
RETURNING worker_id
"""
_ROWS: Final = """
SELECT worker_id, holder, info, fence, lease_until, reserved_until_ms, lease_until > clock_timestamp(), stats
  FROM idgen_lease ORDER BY worker_id
"""
_LOWER: Final = """
UPDATE idgen_lease SET reserved_until_ms = %(to_ms)s
 WHERE worker_id = %(worker_id)s AND reserved_until_ms = %(from_ms)s AND fence = %(fence)s
   AND lease_until < clock_timestamp() AND %(to_ms)s < reserved_until_ms
RETURNING worker_id
"""
_SEED: Final = """
INSERT INTO idgen_lease (worker_id, reserved_until_ms)
SELECT number, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + %(window_ms)s
  FROM generate_series(0, %(last)s) AS number
ON CONFLICT DO NOTHING RETURNING worker_id
"""
_RAISE: Final = """
UPDATE idgen_lease SET reserved_until_ms = greatest(
    reserved_until_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + %(ahead_ms)s)
RETURNING worker_id
"""


class PostgresLeases:
    """The lease store in the database that `parameters` (libpq names) leads to."""

    def __init__(
        self,
        *,
        parameters: dict[str, Any],
        timing: Timing = DEFAULT_TIMING,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timing = timing
        self._monotonic = monotonic
        self._parameters = parameters | {
            "application_name": "fenpay-idgen",
            "options": f"{parameters.get('options', '')}{_OPTIONS}".strip(),
        }

    def acquire(self, *, info: str, below_ms: int | None = None) -> Grant:
        sent_s = self._monotonic()
        holder = str(uuid4())
        rows = self._call(_ACQUIRE, holder=holder, info=info, below_ms=below_ms, rest_ms=REST_MAX_MS)
        if not rows:
            raise NoWorker("every worker id is leased, or was used too short a time ago")
        worker_id, fence, floor_ms, reserved_until_ms, store_ms = rows[0]
        return Grant(
            worker_id=worker_id,
            holder=holder,
            fence=fence,
            floor_ms=floor_ms,
            reserved_until_ms=reserved_until_ms,
            deadline_s=self.timing.deadline_s(sent_s),
            store_ms=store_ms,
        )

    def renew(self, grant: Grant, *, stats: Mapping[str, Any]) -> Grant:
        sent_s = self._monotonic()
        rows = self._call(
            _RENEW, worker_id=grant.worker_id, holder=grant.holder, fence=grant.fence, stats=json.dumps(dict(stats))
        )
        if not rows:
            raise LeaseLost(f"worker {grant.worker_id} is no longer leased to this process")
        reserved_until_ms, store_ms = rows[0]
        return replace(
            grant,
            reserved_until_ms=reserved_until_ms,
            deadline_s=self.timing.deadline_s(sent_s),
            store_ms=store_ms,
        )

    def release(self, grant: Grant, *, used_until_ms: int) -> None:
        self._call(
            _RELEASE, worker_id=grant.worker_id, holder=grant.holder, fence=grant.fence, used_until_ms=used_until_ms
        )

    def rows(self) -> list[LeaseRow]:
        return [_row(row) for row in self._call(_ROWS)]

    def lower_mark(self, row: LeaseRow, *, to_ms: int) -> bool:
        values = {"worker_id": row.worker_id, "from_ms": row.reserved_until_ms, "fence": row.fence, "to_ms": to_ms}
        return bool(self._call(_LOWER, **values))

    def missing_count(self) -> int:
        """How many of the 1,024 rows are not there."""
        return WORKER_COUNT - int(self._call("SELECT count(*) FROM idgen_lease")[0][0])

    def seed(self) -> int:
        """Add the missing rows, each resting for a window: somebody may still hold the id. Returns how many."""
        return len(self._call(_SEED, last=WORKER_COUNT - 1))

    def raise_marks(self, *, ahead_ms: int) -> None:
        """No next holder starts below `ahead_ms` from now: the newest marks of a promoted replica may be missing."""
        self._call(_RAISE, ahead_ms=ahead_ms)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _call(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        values |= {"ttl_s": self.timing.ttl_s, "window_ms": self.timing.window_ms}
        until_s = time.monotonic() + CALL_TIMEOUT_S
        try:
            return _execute(self._parameters, statement, values, until_s=until_s)
        except pg_errors.UndefinedTable as error:
            raise StoreDown("table idgen_lease is missing: run `manage.py migrate`") from error
        except psycopg2.Error as error:
            raise StoreDown(f"PostgreSQL: {str(error).strip() or type(error).__name__}") from error


def _execute(
    parameters: dict[str, Any], statement: str, values: dict[str, Any], *, until_s: float
) -> list[tuple[Any, ...]]:
    """One statement on one asynchronous connection: the only mode in which libpq lets the client set the deadline."""
    connection = psycopg2.connect(**parameters, async_=1)
    try:
        _wait(connection, until_s=until_s)
        cursor = connection.cursor()
        cursor.execute(statement, values)
        _wait(connection, until_s=until_s)
        return list(cursor.fetchall())
    finally:
        connection.close()


def _wait(connection: Any, *, until_s: float) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()  # not select(): a server with more than 1,024 open files must work too
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        left_s = until_s - time.monotonic()
        if left_s <= 0 or not poller.poll(left_s * 1000):
            raise StoreDown(f"PostgreSQL did not answer within {CALL_TIMEOUT_S} s")


def _row(row: Sequence[Any]) -> LeaseRow:
    worker_id, holder, info, fence, lease_until, reserved_until_ms, is_held, stats = row
    return LeaseRow(
        worker_id=worker_id,
        holder=str(UUID(str(holder))) if holder else "",
        info=info,
        fence=fence,
        lease_until=lease_until.astimezone(UTC) if isinstance(lease_until, datetime) else None,
        reserved_until_ms=reserved_until_ms,
        is_held=is_held,
        stats=stats,
    )
