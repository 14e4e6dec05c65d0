"""`manage.py idgen_status`: who holds which worker id, how far its window reaches, and what is wrong."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from idgen.errors import IdgenUnavailable
from idgen.leases.base import LeaseRow, StoreDown
from idgen.status import Overview, overview
from idgen.stores import store_from_settings


class Command(BaseCommand):
    help = (
        "Show the worker ids that are leased, their windows, clocks and rungs. Exit status 1 when something is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for a monitor")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            seen = overview(store_from_settings(), now_ms=time.time_ns() // 1_000_000)
        except (StoreDown, IdgenUnavailable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(as_dict(seen), indent=2) if options["json"] else as_text(seen))
        if seen.alarms:
            raise CommandError("; ".join(seen.alarms))


def as_dict(seen: Overview) -> dict[str, Any]:
    held = [
        {
            "worker_id": row.worker_id,
            "process": row.info,
            "fence": row.fence,
            "lease_ms_left": lease_ms_left(row, now_ms=seen.now_ms),
            "window_ms_left": row.reserved_until_ms - seen.now_ms,
            **row.stats,
        }
        for row in seen.held
    ]
    return {"workers_free": seen.free_count, "workers": len(seen.rows), "held": held, "alarms": seen.alarms}


def as_text(seen: Overview) -> str:
    lines = [f"{'worker':>6} {'fence':>8} {'lease':>7} {'window':>7} {'skew':>6} {'rung':<7} {'ids':>12}  process"]
    for row in seen.held:
        left_ms = lease_ms_left(row, now_ms=seen.now_ms)
        lease = "-" if left_ms is None else f"{left_ms / 1000:.1f}s"
        lines.append(
            f"{row.worker_id:>6} {row.fence:>8} {lease:>7} {(row.reserved_until_ms - seen.now_ms) / 1000:>6.1f}s"
            f" {row.stats.get('clock_skew_ms', 0):>4}ms {row.stats.get('rung', '-'):<7}"
            f" {row.stats.get('ids_total', 0):>12}  {row.info}"
        )
    return "\n".join([*lines, f"{len(seen.held)} held, {seen.free_count} of {len(seen.rows)} free"])


def lease_ms_left(row: LeaseRow, *, now_ms: int) -> int | None:
    """By our clock; None where the store does not tell when a lease ends."""
    return None if row.lease_until is None else int(row.lease_until.timestamp() * 1000) - now_ms
