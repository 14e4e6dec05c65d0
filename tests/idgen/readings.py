"""Reading what children said, and saying what was seen."""

from pathlib import Path

from idgen.layout import parse

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
"""libfaketime for programs with threads, where Debian puts it."""


def workers_of(ids):
    """The worker ids that made `ids`."""
    return {parse(number).worker_id for number in ids}


def numbers(values):
    """The ids among ids and refusals."""
    return [value for value in values if isinstance(value, int)]


def figure(story, seen):
    """A row of the second table in docs/idgen.md, which says how to print them all in one run."""
    print(f"\n| {story} | {seen} |")
