"""What the store knows of all processes, for the command line and the console."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from idgen.layout import WORKER_COUNT
from idgen.leases.base import REST_MAX_MS, LeaseRow, LeaseStore
from idgen.leasing import SKEW_WARN_MS
from idgen.timeline import Rung

FREE_MIN = WORKER_COUNT // 10
POISONED_MS = 60_000
"""A free id whose mark is further ahead than any window was spoiled by a wrong clock: `idgen_repair` can lower it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The leases at one moment, in milliseconds since 1970."""

    now_ms: int
    rows: list[LeaseRow]

    @property
    def held(self) -> list[LeaseRow]:
        return [row for row in self.rows if row.is_held]

    @property
    def free_count(self) -> int:
        """How many could be leased right now."""
        return sum(not row.is_held and row.reserved_until_ms <= self.now_ms + REST_MAX_MS for row in self.rows)

    @property
    def poisoned(self) -> list[LeaseRow]:
        return [row for row in self.rows if not row.is_held and row.reserved_until_ms > self.now_ms + POISONED_MS]

    @property
    def alarms(self) -> list[str]:
        """What somebody should look at, in the reader's language; empty when all is well."""
        found = []
        if self.free_count < FREE_MIN:
            found.append(_("Only %(free)d worker ids are free.") % {"free": self.free_count})
        if self.poisoned:
            found.append(
                _("%(count)d free worker ids are reserved far ahead: see `manage.py idgen_repair`.")
                % {"count": len(self.poisoned)}
            )
        return found + [alarm for row in self.held for alarm in _alarms_of(row)]


def _alarms_of(row: LeaseRow) -> list[str]:
    found = []
    skew_ms = row.stats.get("clock_skew_ms", 0)
    refused = row.stats.get("rungs", {}).get(Rung.REFUSE, 0)
    if abs(skew_ms) > SKEW_WARN_MS:
        found.append(
            _("Worker %(worker)d (%(process)s): its clock is %(skew)d ms off.")
            % {"worker": row.worker_id, "process": row.info, "skew": skew_ms}
        )
    if refused:
        found.append(
            _("Worker %(worker)d (%(process)s) refused ids %(count)d times.")
            % {"worker": row.worker_id, "process": row.info, "count": refused}
        )
    return found


def overview(store: LeaseStore, *, now_ms: int) -> Overview:
    """Ask the store.

    Raises:
        StoreDown: it does not answer.
    """
    return Overview(now_ms=now_ms, rows=store.rows())
