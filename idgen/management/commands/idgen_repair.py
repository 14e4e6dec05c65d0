"""`manage.py idgen_repair`: lower marks that a wrong clock left, add missing rows, raise marks after a failover.

Shows what it would do; `--apply` does it.
"""

import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from idgen.errors import IdgenUnavailable
from idgen.leases.base import LeaseStore, StoreDown
from idgen.leases.postgresql import PostgresLeases
from idgen.repair import plan
from idgen.status import overview
from idgen.stores import store_from_settings


class Command(BaseCommand):
    help = "Lower the marks of free worker ids that lie in the future, never below an id that exists. A dry run first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--apply", action="store_true", help="do it; without this nothing is written")
        parser.add_argument("--seed", action="store_true", help="add missing rows of the lease table")
        parser.add_argument(
            "--after-failover",
            type=float,
            metavar="SECONDS",
            help="a replica was promoted that may have been SECONDS behind: no worker id starts below what was lost",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            store = store_from_settings()
            if options["seed"]:
                self._seed(_postgresql(store), apply=options["apply"])
            elif options["after_failover"] is not None:
                self._raise(_postgresql(store), lag_s=options["after_failover"], apply=options["apply"])
            else:
                self._lower(store, apply=options["apply"])
        except (StoreDown, IdgenUnavailable) as error:
            raise CommandError(str(error)) from error

    def _lower(self, store: LeaseStore, *, apply: bool) -> None:
        lowerings = list(plan(overview(store, now_ms=time.time_ns() // 1_000_000)))
        for lowering in lowerings:
            row = lowering.row
            done = store.lower_mark(row, to_ms=lowering.to_ms) if apply else None
            outcome = {None: "would be lowered", True: "lowered", False: "changed meanwhile, left alone"}[done]
            self.stdout.write(
                f"worker {row.worker_id}: {_when(row.reserved_until_ms)} -> {_when(lowering.to_ms)}"
                f" (newest id {lowering.newest_id or 'none'}): {outcome}"
            )
        if not lowerings:
            self.stdout.write("No mark needs lowering.")

    def _seed(self, store: PostgresLeases, *, apply: bool) -> None:
        missing = store.seed() if apply else store.missing_count()
        self.stdout.write(f"{missing} rows {'added' if apply else 'would be added'}.")

    def _raise(self, store: PostgresLeases, *, lag_s: float, apply: bool) -> None:
        ahead_ms = store.timing.window_ms + int(lag_s * 1000)
        if apply:
            store.raise_marks(ahead_ms=ahead_ms)
        verb = "now rest" if apply else "would rest"
        self.stdout.write(f"All worker ids {verb} for {ahead_ms / 1000:.1f} s; processes that hold one go on.")


def _postgresql(store: LeaseStore) -> PostgresLeases:
    if not isinstance(store, PostgresLeases):
        raise CommandError("only for leases in PostgreSQL: etcd loses no acknowledged write and needs no rows")
    return store


def _when(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return f"{at_ms} ms"
