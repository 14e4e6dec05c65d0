"""Columns that hold a secret. Being of this class is being registered: `manage.py rekey` finds them all by it."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction

from openplatform.sealing import HEADER_BYTES, current_header, seal, unseal

BATCH = 500


class SealedField(models.BinaryField):  # type: ignore[type-arg]
    """A sealed blob (see sealing.py) for the place "table:column:primary key", the column without `_sealed`."""


def seal_column(row: models.Model, column: str, plaintext: bytes) -> None:
    """Put `plaintext` into the column, sealed to this row. The row must have its primary key; nothing is saved."""
    setattr(row, column, seal(plaintext, aad=place_of(row, column)))


def open_column(row: models.Model, column: str) -> bytes:
    """The plaintext. Raises SealingError, also for a blob that was moved here from another row."""
    return unseal(bytes(getattr(row, column)), aad=place_of(row, column))


def place_of(row: models.Model, column: str) -> str:
    return f"{row._meta.db_table}:{column.removesuffix('_sealed')}:{row.pk}"


def sealed_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Each sealed column of every app."""
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, SealedField):
                yield model, field.name


def blobs_of(model: type[models.Model], column: str, *, stale_only: bool) -> Iterator[tuple[Any, bytes]]:
    """Primary key and blob of each row that has one, a batch at a time; `stale_only`: not under today's MASTER_KEY."""
    header = models.Func(models.F(column), 1, HEADER_BYTES, function="substring", output_field=models.BinaryField())
    rows = model._meta.base_manager.exclude(**{column: None}).order_by("pk")
    if stale_only:
        rows = rows.annotate(header=header).exclude(header=current_header())
    batch = list(rows.values_list("pk", column)[:BATCH])
    while batch:
        yield from ((pk, bytes(blob)) for pk, blob in batch)
        batch = list(rows.filter(pk__gt=batch[-1][0]).values_list("pk", column)[:BATCH])


def swap_blob(row: models.Model, column: str, *, old: bytes, new: bytes) -> bool:
    """Write `new` where `old` still stands. False when somebody else has written there: theirs stays."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL fenpay.rekeying = 'on'")  # a fact may be sealed anew; it still does not change
        same = type(row)._meta.base_manager.filter(pk=row.pk, **{column: old})
        return bool(same.update(**{column: new}))
