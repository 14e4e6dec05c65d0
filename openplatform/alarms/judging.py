"""From figures to alarms, without flapping: one opens after some checks in a row beyond its limit, and closes after
some checks in a row well below it. In between neither counts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.models import Alarm, AlarmStreak
from openplatform.models.alarm import AlarmKind


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One figure against its limit: `percent` of it, so 100 and more is trouble. None: it cannot be told just now,
    because the figure is missing or because something else is the cause; then nothing changes.
    """

    kind: AlarmKind
    key: str
    percent: int | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_bad(self) -> bool:
        return self.percent is not None and self.percent >= 100

    @property
    def is_well(self) -> bool:
        return self.percent is not None and self.percent <= settings.ALARM_CLOSE_PERCENT


def yes_or_no(is_bad: bool) -> int:  # noqa: FBT001 - a figure that has no middle
    return 100 if is_bad else 0


def judge(readings: Sequence[Reading], *, complete: Collection[AlarmKind], now: datetime) -> None:
    """One check. Of the kinds in `complete` all that is in trouble is among `readings`: what is not, is well.

    To be called in a transaction that holds the turn: two judges at once would count one check twice.
    """
    streaks = AlarmStreak.locked()
    open_alarms = set(Alarm.objects.filter(closed_at=None).values_list("kind", "key"))
    read = {(str(reading.kind), reading.key) for reading in readings}
    gone = {(kind, key) for kind, key in streaks.keys() | open_alarms if kind in complete} - read
    for reading in [*readings, *(Reading(kind=AlarmKind(kind), key=key, percent=0) for kind, key in sorted(gone))]:
        place = (str(reading.kind), reading.key)
        _judge_one(reading, streak=streaks.get(place), is_open=place in open_alarms, now=now)


def _judge_one(reading: Reading, *, streak: AlarmStreak | None, is_open: bool, now: datetime) -> None:
    if reading.percent is None or (streak is None and not is_open and not reading.is_bad):
        return
    streak = streak or AlarmStreak(kind=reading.kind, key=reading.key)
    streak.note(is_bad=reading.is_bad, is_well=reading.is_well)
    if streak.bad_count >= settings.ALARM_OPEN_CHECKS and not is_open:
        raise_alarm(kind=reading.kind, key=reading.key, facts=reading.facts, now=now)
    elif streak.well_count >= settings.ALARM_CLOSE_CHECKS:
        if is_open:
            close_alarm(kind=reading.kind, key=reading.key, now=now)
        streak.forget()
