"""Bringing spoiled marks down again, never below an id that exists.

A process whose clock was wrong by hours or years may leave a mark in the far future: its worker id then rests until
that time. The mark may be lowered to the newest id of that worker that any table holds, and not below the present.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.apps import apps
from django.db import connections

from idgen.fields import SnowflakeField
from idgen.layout import WORKER_COUNT, block_base, parse, time_ms
from idgen.leases.base import LeaseRow
from idgen.status import Overview


@dataclass(frozen=True, slots=True)
class Lowering:
    """One mark that can come down: to `to_ms`, because of `newest_id` (0 when there is no id of that time)."""

    row: LeaseRow
    to_ms: int
    newest_id: int


def snowflake_columns() -> list[tuple[str, str]]:
    """(table, column) of every SnowflakeField in the installed models."""
    found = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, SnowflakeField) and field.column is not None
    }
    return sorted(found)


def newest_ids(*, since_ms: int) -> dict[int, int]:
    """The newest id of each worker that was made for `since_ms` or later. Only ids from then on are read."""
    newest: dict[int, int] = {}
    start = block_base(at_ms=since_ms, worker_id=0, lane=0)
    with connections["default"].cursor() as cursor:
        for table, column in snowflake_columns():
            cursor.execute(
                f'SELECT max("{column}") FROM "{table}" WHERE "{column}" >= %s'  # noqa: S608 - names of our models
                f' GROUP BY "{column}" >> 12 & %s',
                [start, WORKER_COUNT - 1],
            )
            for (number,) in cursor.fetchall():
                worker_id = parse(number).worker_id
                newest[worker_id] = max(newest.get(worker_id, 0), number)
    return newest


def plan(seen: Overview) -> Iterable[Lowering]:
    """What can be lowered, given the leases as they were seen."""
    spoiled = seen.poisoned
    newest = newest_ids(since_ms=seen.now_ms) if spoiled else {}
    for row in spoiled:
        number = newest.get(row.worker_id, 0)
        to_ms = max(seen.now_ms, time_ms(number) if number else 0)
        if to_ms < row.reserved_until_ms:
            yield Lowering(row=row, to_ms=to_ms, newest_id=number)
