"""Sealing everything anew under today's MASTER_KEY, row by row, beside a running system.

What is done is seen from the blob itself, so a run that was killed is simply run again. A row is written only if its
blob is still the one that was opened: what others write meanwhile is never lost.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, models

from openplatform.models.sealed import blobs_of, place_of, sealed_columns, swap_blob
from openplatform.sealing import HEADER_BYTES, SealingError, current_header, seal, unseal

TRIES_MAX = 5
logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Tally:
    """What was found in one column. `unopened` names rows that no master key of ours opens, `busy` such as were held
    by somebody for longer than we wait.
    """

    column: str
    counts: Counter[str] = field(default_factory=Counter)
    unopened: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return not self.unopened and not self.counts["busy"] and not self.counts["old"]


def rekey() -> list[Tally]:
    """Seal anew whatever is not under today's MASTER_KEY. Counts: sealed, overtaken, busy."""
    return [_rekey_column(model, column) for model, column in sealed_columns()]


def check() -> list[Tally]:
    """Open everything. Counts: current, old."""
    return [_check_column(model, column) for model, column in sealed_columns()]


def _rekey_column(model: type[models.Model], column: str) -> Tally:
    tally = Tally(column=f"{model._meta.db_table}.{column}")
    for pk, blob in blobs_of(model, column, stale_only=True):
        try:
            tally.counts[_rekey_row(model(pk=pk), column, blob)] += 1
        except SealingError:
            tally.unopened.append(str(pk))
        except OperationalError as error:
            logger.warning("%s %s is left for another run: %s", tally.column, pk, type(error).__name__)
            tally.counts["busy"] += 1
    return tally


def _rekey_row(row: models.Model, column: str, blob: bytes | None) -> str:
    place = place_of(row, column)
    for _try in range(TRIES_MAX):
        if blob is None or blob[:HEADER_BYTES] == current_header():
            return "overtaken"  # somebody has written there meanwhile, and sealed it with today's key
        if swap_blob(row, column, old=blob, new=seal(unseal(blob, aad=place), aad=place)):
            return "sealed"
        blob = _blob_now(row, column)
    return "busy"


def _blob_now(row: models.Model, column: str) -> bytes | None:
    blob: Any = type(row)._meta.base_manager.filter(pk=row.pk).values_list(column, flat=True).first()
    return None if blob is None else bytes(blob)


def _check_column(model: type[models.Model], column: str) -> Tally:
    tally = Tally(column=f"{model._meta.db_table}.{column}")
    for pk, blob in blobs_of(model, column, stale_only=False):
        try:
            unseal(blob, aad=place_of(model(pk=pk), column))
        except SealingError:
            tally.unopened.append(str(pk))
        else:
            tally.counts["current" if blob[:HEADER_BYTES] == current_header() else "old"] += 1
    return tally
