"""One look from outside of beat and the workers: is somebody there, and does anything call for a person?

For monitors, `GET /health/queues` and `manage.py health`: they notice what the watch cannot tell because it is dead. No
look takes longer than READ_WITHIN_S, whatever the database does, and in one process no two run at once.
"""

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from openplatform.heartbeats import SILENT_CHECKS
from openplatform.models import Alarm
from openplatform.models.alarm import CRITICAL, AlarmKind
from payments.health import ChannelFigures, Figures, read_figures
from payments.operations.watch import readings

READ_WITHIN_S = 5
KEPT_S = 5  # a look is as good as new for so long: whoever asks often costs no more
OF_LIFE = {
    AlarmKind.BROKER_UNREACHABLE: "broker", AlarmKind.STORE_UNREACHABLE: "redis", AlarmKind.NO_WORKER: "workers",
    AlarmKind.BEAT_SILENT: "beat",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """`problems` are words for what is wrong; empty: all is well. `figures` is None when they could not be read."""

    problems: tuple[str, ...]
    figures: Figures | None = None
    alarms: tuple[str, ...] = ()  # critical ones that nobody has acknowledged

    @property
    def is_well(self) -> bool:
        return not self.problems


NO_ANSWER = Checkup(problems=("database",))


def check_up(*, now: datetime) -> Checkup:
    """Read everything and say what is wrong, without the patience that alarms have. Raises nothing."""
    figures = read_figures(now=now)
    if figures.signs is None or figures.channels is None or figures.notifications is None:
        return Checkup(problems=("database",), figures=figures)
    try:
        rows = Alarm.objects.filter(closed_at=None, acknowledged_at=None, kind__in=CRITICAL).order_by("pk")
        alarms = tuple(f"{row.kind}: {row.key}" for row in rows[:100])
    except (DatabaseError, InterfaceError):
        return Checkup(problems=("database",), figures=figures)
    found = {OF_LIFE[reading.kind] for reading in readings(figures) if reading.is_bad and reading.kind in OF_LIFE}
    age_s = figures.signs.watch_age_s
    if age_s is None or age_s > SILENT_CHECKS * settings.ALARM_CHECK_S:
        found.add("watch")
    if alarms:
        found.add("alarms")
    return Checkup(problems=tuple(sorted(found)), figures=figures, alarms=alarms)


class Reader:
    """The look of this process. One that hangs is waited for by nobody, and no second one is begun beside it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Future[Checkup] | None = None
        self._last: tuple[float, Checkup] | None = None

    def read(self, *, within_s: float = READ_WITHIN_S) -> Checkup:
        """The last look if it is young, else a new one."""
        with self._lock:
            if self._last is not None and time.monotonic() - self._last[0] < KEPT_S:
                return self._last[1]
            running = self._running = self._running or self._begin()
        try:
            return running.result(timeout=within_s)
        except FutureTimeoutError:
            return NO_ANSWER

    def _begin(self) -> Future[Checkup]:
        future: Future[Checkup] = Future()
        threading.Thread(target=self._look, args=(future,), name="checkup", daemon=True).start()
        return future

    def _look(self, future: Future[Checkup]) -> None:
        seen = NO_ANSWER
        try:
            seen = check_up(now=timezone.now())
        finally:
            connections.close_all()  # of this thread, which ends here
            with self._lock:
                self._running, self._last = None, (time.monotonic(), seen)
            future.set_result(seen)


def as_document(checkup: Checkup) -> dict[str, Any]:
    """All of it as JSON has it, for a monitor that may know."""
    content: dict[str, Any] = {
        "status": "ok" if checkup.is_well else "failed", "problems": list(checkup.problems),
        "alarms": list(checkup.alarms),
    }  # fmt: skip
    figures = checkup.figures
    if figures is None:
        return content
    return content | {
        "at": figures.at.isoformat(),
        "channels": None if figures.channels is None else {row.name: _channel(row) for row in figures.channels},
        "notifications": None if figures.notifications is None else asdict(figures.notifications),
        "workers": None if figures.signs is None else [asdict(row) for row in figures.signs.workers],
        "sweeps": None if figures.signs is None else {row.name: row.age_s for row in figures.signs.sweeps},
        "watch_age_s": None if figures.signs is None else figures.signs.watch_age_s,
        "broker": asdict(figures.broker),
        "breakers": None if figures.breakers is None else [asdict(row) for row in figures.breakers],
        "worker_ids_free": None if figures.numbers is None else figures.numbers.free_count,
    }


def _channel(row: ChannelFigures) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "name"}
