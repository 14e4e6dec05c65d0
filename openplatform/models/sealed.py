"""Columns that hold a secret. Being of this class is being registered: `manage.py rekey` finds them all by it."""

from collections.abc import Iterator

from django.apps import apps
from django.db import models

from openplatform.sealing import seal, unseal


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
