"""Times that another machine wrote: its clock is never quite ours, and may have been very wrong for a while."""

from datetime import datetime, timedelta

from django.db.models import Q

CLOCKS_APART_MAX = timedelta(seconds=30)  # what is later than this allows was written by a clock that was wrong


def still_runs(column: str, *, now: datetime, lasts: timedelta) -> Q:
    """Rows whose span of `lasts` ends in `column`, and has not ended. One that would have to begin later than any
    clock can be now was written by a wrong clock, and keeps nobody away.
    """
    return Q((f"{column}__gt", now), (f"{column}__lte", now + lasts + CLOCKS_APART_MAX))


def was_lately(column: str, *, now: datetime, within: timedelta) -> Q:
    """Rows whose time in `column` is at most `within` ago; a time that cannot have come yet says nothing."""
    return Q((f"{column}__gt", now - within), (f"{column}__lte", now + CLOCKS_APART_MAX))
