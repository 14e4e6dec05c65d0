"""Is all well? From the figures to alarms, and from alarms to whoever is on call.

1. Take the turn: of any number of processes one looks, as often as ALARM_CHECK_S.
2. Read the figures, each part by itself and in bounded time.
3. Compare each with its limit. What cannot be told, or only follows from another trouble, changes nothing.
4. Judge, in one transaction that still holds the turn: what is opened or closed is owed to the webhook with it.
5. Tell what is owed.

Nothing of this needs the broker or a worker: beat's process runs it (config/watch.py), a worker when beat is silent,
and `manage.py health --watch` when neither is left.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime

from django.conf import settings
from django.db import transaction

from idgen.status import FREE_MIN, Overview
from idgen.timeline import Rung
from openplatform.alarms import remind
from openplatform.alarms.delivery import deliver_due
from openplatform.alarms.judging import Reading, judge, yes_or_no
from openplatform.heartbeats import Signs, hold_watch, take_watch
from openplatform.models import Heartbeat
from openplatform.models.alarm import AlarmKind
from payments.health import ChannelFigures, Due, Figures, read_figures

SHARE_MAX = 100_000  # per cent; a figure that is beyond every measure

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]


def watch(*, clock: Clock, older_than_s: int) -> bool:
    """Look, if nobody has looked for `older_than_s` seconds, and tell what is owed. Whether we looked."""
    token = take_watch(older_than_s=older_than_s)
    if token is None:
        return False
    figures = read_figures(now=clock())
    look(figures, token=token, now=clock())
    remind(now=clock())
    Heartbeat.forget_old()
    deliver_due(clock=clock)
    return True


def look(figures: Figures, *, token: str, now: datetime) -> None:
    """Judge what was read, unless somebody else has taken the turn since: then ours is old."""
    with transaction.atomic():
        if hold_watch(token):
            judge(list(readings(figures)), complete=complete_kinds(figures), now=now)


def readings(figures: Figures) -> Iterator[Reading]:
    """Every figure against its limit."""
    yield from _broker_and_store(figures)
    yield from _hands(figures)
    yield from _channels(figures)
    yield from _notifications(figures)
    yield from _breakers(figures)
    yield from _clocks(figures)
    if figures.numbers is not None:
        yield from _numbers(figures.numbers)


def complete_kinds(figures: Figures) -> set[AlarmKind]:
    """Kinds of which everything that is in trouble was read: what is not there any more is well."""
    kinds = {AlarmKind.BROKER_UNREACHABLE, AlarmKind.STORE_UNREACHABLE}
    if figures.channels is not None:
        kinds |= {AlarmKind.CHANNEL_BACKLOG, AlarmKind.UNKNOWN_TOO_LONG}
    if figures.channels is not None and figures.signs is not None:
        kinds |= {AlarmKind.NO_WORKER}
    if figures.signs is not None and figures.numbers is not None and not figures.broker.error:
        kinds |= {AlarmKind.CLOCK_SKEW}
    if figures.breakers is not None:
        kinds |= {AlarmKind.BREAKER_OPEN}
    if figures.numbers is not None:
        kinds |= {AlarmKind.IDGEN_FEW_FREE, AlarmKind.IDGEN_SPOILED, AlarmKind.IDGEN_REFUSES}
    return kinds


def _broker_and_store(figures: Figures) -> Iterator[Reading]:
    broker_down, store_down = bool(figures.broker.error), figures.breakers is None
    yield Reading(
        kind=AlarmKind.BROKER_UNREACHABLE, key="broker, Redis" if settings.BROKER_IS_STORE else "broker",
        percent=yes_or_no(broker_down), facts={"reason": figures.broker.error},
    )  # fmt: skip
    follows = broker_down and store_down and settings.BROKER_IS_STORE  # one server, one alarm
    yield Reading(
        kind=AlarmKind.STORE_UNREACHABLE, key="Redis", percent=None if follows else yes_or_no(store_down),
        facts={"timeout": settings.REDIS_TIMEOUT_S},
    )  # fmt: skip


def _hands(figures: Figures) -> Iterator[Reading]:
    """Workers and sweeps. Without the broker both stand still, and that is told already."""
    signs = figures.signs
    if signs is None or figures.channels is None:
        return
    for queue in figures.queues:
        percent = None if figures.broker.error else yes_or_no(not signs.alive_at(queue))
        yield Reading(kind=AlarmKind.NO_WORKER, key=queue, percent=percent)
    yield _beat(figures, signs)


def _beat(figures: Figures, signs: Signs) -> Reading:
    """The sweep that is most overdue, of those that run all the time and have a worker to run them."""
    often = [sweep for sweep in signs.often if signs.alive_at(sweep.queue)]
    worst = max(often, key=lambda sweep: sweep.late_s, default=None)
    if worst is None or figures.broker.error:
        return Reading(kind=AlarmKind.BEAT_SILENT, key="beat", percent=None)
    limit_s = settings.ALARM_BEAT_SILENT_S
    age_s = limit_s if worst.age_s is None else worst.age_s  # one that never ran is as old as that at least
    return Reading(
        kind=AlarmKind.BEAT_SILENT, key="beat", percent=_share(worst.late_s, limit_s),
        facts={"sweep": worst.name, "age_s": age_s},
    )  # fmt: skip


def _channels(figures: Figures) -> Iterator[Reading]:
    for channel in figures.channels or ():
        yield _backlog(channel, is_cause=_can_move(figures, channel.queue))
        yield _unknown(channel)


def _can_move(figures: Figures, queue: str) -> bool:
    """Whether there is a broker and a worker: without, a backlog is no trouble of its own."""
    return not figures.broker.error and figures.signs is not None and bool(figures.signs.alive_at(queue))


def _backlog(channel: ChannelFigures, *, is_cause: bool) -> Reading:
    percent = max(_due_share(channel.payments), _due_share(channel.refunds))
    facts = {
        "payments": channel.payments.count, "refunds": channel.refunds.count,
        "late_s": max(channel.payments.late_s, channel.refunds.late_s),
    }  # fmt: skip
    return Reading(
        kind=AlarmKind.CHANNEL_BACKLOG, key=channel.name, percent=percent if is_cause else None, facts=facts
    )  # fmt: skip


def _unknown(channel: ChannelFigures) -> Reading:
    payments, refunds, limit_s = channel.unknown_payments, channel.unknown_refunds, settings.ALARM_UNKNOWN_S
    oldest_s = max(payments.oldest_s, refunds.oldest_s)
    facts = {"payments": payments.count, "refunds": refunds.count, "age_s": oldest_s}
    return Reading(
        kind=AlarmKind.UNKNOWN_TOO_LONG, key=channel.name, percent=_share(oldest_s, limit_s), facts=facts
    )  # fmt: skip


def _notifications(figures: Figures) -> Iterator[Reading]:
    told = figures.notifications
    if told is None:
        return
    percent = _due_share(told.due) if _can_move(figures, "notifications") else None
    yield Reading(
        kind=AlarmKind.NOTIFICATION_BACKLOG, key="notifications", percent=percent,
        facts={"count": told.due.count, "late_s": told.due.late_s},
    )  # fmt: skip
    yield Reading(
        kind=AlarmKind.NOTIFICATIONS_HELD, key="notifications",
        percent=_share(told.held_count, settings.ALARM_HELD_COUNT), facts={"count": told.held_count},
    )  # fmt: skip


def _breakers(figures: Figures) -> Iterator[Reading]:
    for breaker in figures.breakers or ():
        percent = _share(breaker.open_for_s, settings.ALARM_BREAKER_S)
        facts = {"age_s": breaker.open_for_s}
        yield Reading(kind=AlarmKind.BREAKER_OPEN, key=breaker.name, percent=percent, facts=facts)


def _clocks(figures: Figures) -> Iterator[Reading]:
    """The clock of each machine, as the workers and the makers of numbers there see it: the worst of what they say."""
    skews: dict[str, int] = {}
    said = (
        [(worker.host, worker.skew_s) for worker in figures.signs.workers if worker.is_alive] if figures.signs else []
    )
    held = figures.numbers.held if figures.numbers else []
    said += [(row.info.partition(":")[0], row.stats.get("clock_skew_ms", 0) // 1000) for row in held]
    for host, skew_s in said:
        skews[host] = max(skews.get(host, 0), abs(skew_s))
    for host, skew_s in sorted(skews.items()):
        percent = _share(skew_s, settings.ALARM_CLOCK_SKEW_S)
        yield Reading(kind=AlarmKind.CLOCK_SKEW, key=host, percent=percent, facts={"skew_s": skew_s})


def _numbers(numbers: Overview) -> Iterator[Reading]:
    """What idgen says of itself. Of a process that has refused: whether it refuses now."""
    free = numbers.free_count
    yield Reading(
        kind=AlarmKind.IDGEN_FEW_FREE, key="idgen", percent=yes_or_no(free < FREE_MIN), facts={"free": free}
    )  # fmt: skip
    spoiled = len(numbers.poisoned)
    yield Reading(
        kind=AlarmKind.IDGEN_SPOILED, key="idgen", percent=yes_or_no(spoiled > 0), facts={"count": spoiled}
    )  # fmt: skip
    for row in numbers.held:
        if row.stats.get("rung") == Rung.REFUSE:
            yield Reading(kind=AlarmKind.IDGEN_REFUSES, key=row.info, percent=100)


def _due_share(due: Due) -> int:
    return max(_share(due.count, settings.ALARM_BACKLOG_COUNT), _share(due.late_s, settings.ALARM_BACKLOG_LATE_S))


def _share(figure: int, limit: int) -> int:
    """Per cent, in integers."""
    return min(100 * figure // limit, SHARE_MAX)
