"""Who of our own processes is alive, told by themselves and read from the database: it is there when the broker is not.

A worker's main process gives a sign while its loop turns, a sweep when it has been done to its end, and the watch when
somebody looks whether all is well. All ages are by the clock of the database.
"""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from openplatform.models.heartbeat import Heartbeat, HeartbeatKind

WATCH = "watch"
SILENT_CHECKS = 3
SWEEP_OFTEN_S = 10  # a sweep that is to run at least so often shows that beat is alive

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Worker:
    """`skew_s` is how far its clock is ahead of the database's."""

    name: str
    host: str
    queues: tuple[str, ...]
    slots: int
    silent_s: int
    skew_s: int

    @property
    def is_alive(self) -> bool:
        return self.silent_s <= settings.ALARM_WORKER_SILENT_S


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """`age_s` is how long ago it was done; None: never yet."""

    name: str
    queue: str
    every_s: int
    age_s: int | None

    @property
    def late_s(self) -> int:
        """How long it is overdue; what has never run is as late as can be."""
        return 10**6 if self.age_s is None else max(0, self.age_s - self.every_s)


@dataclass(frozen=True, kw_only=True)
class Signs:
    workers: list[Worker]
    sweeps: list[Sweep]
    watch_age_s: int | None
    watched_by: str

    @property
    def often(self) -> list[Sweep]:
        """Those that run all the time while beat is alive."""
        return [sweep for sweep in self.sweeps if sweep.every_s <= SWEEP_OFTEN_S]

    def alive_at(self, queue: str) -> int:
        """How many workers take tasks from `queue`."""
        return sum(worker.is_alive and queue in worker.queues for worker in self.workers)


def worker_beats(*, name: str, queues: Sequence[str], slots: int, clock: Callable[[], datetime]) -> None:
    """One sign of a worker. What goes wrong with it is logged and does not reach the worker's loop."""
    facts = {"host": socket.gethostname(), "queues": sorted(queues), "slots": slots}
    try:
        connection.ensure_connection()  # before the clock is read: to connect may take a while
        Heartbeat.beat(kind=HeartbeatKind.WORKER, name=name, clock_at=clock(), facts=facts)
    except DatabaseError as error:
        logger.warning("a heartbeat could not be written: %s", type(error).__name__)


def worker_leaves(*, name: str) -> None:
    """A worker ends in good order."""
    try:
        Heartbeat.leave(kind=HeartbeatKind.WORKER, name=name)
    except DatabaseError as error:
        logger.warning("a heartbeat could not be taken back: %s", type(error).__name__)


def sweep_is_done(*, name: str) -> None:
    """A task of beat's has been done."""
    try:
        Heartbeat.beat(kind=HeartbeatKind.SWEEP, name=name)
    except DatabaseError as error:
        logger.warning("a heartbeat could not be written: %s", type(error).__name__)


def take_watch(*, older_than_s: int) -> str | None:
    """The right to look whether all is well, if nobody has looked for so long: a token, or None."""
    token = f"{socket.gethostname()}/{os.getpid()} {secrets.token_hex(4)}"
    taken = Heartbeat.take_turn(
        kind=HeartbeatKind.WATCH, name=WATCH, every=timedelta(seconds=older_than_s), facts={"by": token}
    )
    return token if taken else None


def hold_watch(token: str) -> bool:
    """Whether the right is still ours; it is held until the transaction ends."""
    return Heartbeat.holds_turn(kind=HeartbeatKind.WATCH, name=WATCH, facts={"by": token})


def watch_is_silent() -> bool:
    """Whether nobody has looked for so long that whoever notices it should."""
    limit = timedelta(seconds=SILENT_CHECKS * settings.ALARM_CHECK_S)
    watched = Heartbeat.objects.filter(kind=HeartbeatKind.WATCH, name=WATCH, beaten_at__gt=Now() - limit)
    return not watched.exists()


def read_signs() -> Signs:
    """All signs of life that are not too old to matter. One query, on a table of some dozens of rows."""
    age = ExpressionWrapper(Now() - F("beaten_at"), output_field=DurationField())
    rows = list(Heartbeat.objects.annotate(age=age).order_by("kind", "name").values())
    watch = next((row for row in rows if row["kind"] == HeartbeatKind.WATCH), None)
    ages = {row["name"]: _whole_s(row["age"]) for row in rows if row["kind"] == HeartbeatKind.SWEEP}
    return Signs(
        workers=[_worker(row) for row in rows if row["kind"] == HeartbeatKind.WORKER],
        sweeps=[
            Sweep(name=name, queue=queue_of_task(name), every_s=int(entry["schedule"]), age_s=ages.get(name))
            for name, entry in settings.CELERY["beat_schedule"].items()
        ],
        watch_age_s=_whole_s(watch["age"]) if watch else None,
        watched_by=str(watch["facts"].get("by", "")).partition(" ")[0] if watch else "",
    )


def queue_of_task(name: str) -> str:
    """Where beat sends it."""
    routes = settings.CELERY["task_routes"]
    found = (route["queue"] for pattern, route in routes.items() if fnmatchcase(name, pattern))
    return str(next(found, settings.CELERY["task_default_queue"]))


def common_queues() -> list[str]:
    """Those that every deployment has, whatever its channels are."""
    routed = {route["queue"] for route in settings.CELERY["task_routes"].values()}
    return sorted({settings.CELERY["task_default_queue"], *routed})


def _worker(row: Mapping[str, Any]) -> Worker:
    facts = row["facts"]
    skew = row["clock_at"] - row["beaten_at"] if row["clock_at"] else timedelta(0)
    return Worker(
        name=row["name"], host=str(facts.get("host", "")), queues=tuple(facts.get("queues", ())),
        slots=int(facts.get("slots", 0)), silent_s=_whole_s(row["age"]), skew_s=round(skew.total_seconds()),
    )  # fmt: skip


def _whole_s(age: timedelta) -> int:
    return max(0, int(age.total_seconds()))
