"""The page for three o'clock at night: what is wrong, since when, how much waits for it, and who is there to work.

What is red comes first, everywhere.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from openplatform.alarms.state import WebhookState, open_alarms, webhook_state
from openplatform.alarms.wording import seen
from openplatform.breaker import Breaker, OpenBreaker, open_breakers
from openplatform.heartbeats import SILENT_CHECKS, Signs, Worker
from openplatform.lengths import length_text
from openplatform.models import Alarm
from openplatform.models.alarm import AlarmKind, Severity
from openplatform.store import StoreDown
from payments.console import cells, words
from payments.health import AGE_BUCKETS_S, COUNTED_MAX, Aged, Due, Figures
from payments.operations.checkup import Checkup, check_up

ALARMS_SHOWN_MAX = 20
URGENCY = ("bad", "warn", "busy", "good", "quiet")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Cell:
    text: str
    tone: str = "quiet"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table, in the tone of its worst cell."""

    title: str
    cells: Sequence[Cell]
    note: str = ""

    @property
    def tone(self) -> str:
        return min((cell.tone for cell in self.cells), key=URGENCY.index)


@dataclass(frozen=True, kw_only=True)
class Card:
    title: str
    value: str
    detail: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class AlarmLine:
    """An open alarm in words."""

    title: str
    seen: str
    url: str
    severity: str
    tone: str
    span: str
    looked_at_by: str
    note: str


def page(request: HttpRequest) -> HttpResponse:
    """For whoever may see alarms and payments. Reached only through `admin_site.admin_view`."""
    if not request.user.has_perms(["openplatform.view_alarm", "payments.view_payment"]):
        raise PermissionDenied
    if request.method == "POST":
        return _reset(request)
    now = timezone.now()
    context = {**admin.site.each_context(request), **_facts(check_up(now=now), now=now), "title": _("Health")}
    context["may_reset"] = request.user.has_perm("openplatform.reset_breaker")
    return TemplateResponse(request, "console/health.html", context)


def _facts(seen_: Checkup, *, now: datetime) -> dict[str, Any]:
    figures = seen_.figures
    if figures is None:
        return {"cards": []}
    return {
        "at": now, "is_unread": "database" in seen_.problems,
        "alarms": [_alarm(alarm, now=now) for alarm in open_alarms(limit=ALARMS_SHOWN_MAX)],
        "cards": _sorted([*_cards(figures), _webhook(webhook_state(), now=now)]),
        "breakers": [_breaker(breaker) for breaker in figures.breakers or ()],
        "work_columns": _work_columns(), "ages_count": len(AGE_BUCKETS_S) + 1, "work": _sorted(_work(figures)),
        "queues": _sorted(_queues(figures)),
        "workers": _sorted(_workers(figures)),
    }  # fmt: skip


def _reset(request: HttpRequest) -> HttpResponse:
    """Close one breaker: an operator knows that the channel is well again."""
    if not request.user.has_perm("openplatform.reset_breaker"):
        raise PermissionDenied
    name = request.POST.get("breaker", "")
    try:
        if name in {breaker.name for breaker in open_breakers()}:
            Breaker(name).reset()
            _write_down(request, name)
        done = _("The breaker of %(name)s is closed. It opens again if calls fail.") % {"name": name}
        messages.success(request, done)
    except StoreDown:
        messages.error(request, _("Redis does not answer: nothing was done."))
    return redirect("console_health")


def _write_down(request: HttpRequest, name: str) -> None:
    """In our log, and in the console's where an alarm is open about it."""
    logger.warning("breaker %s was closed by %s", name, request.user.get_username())
    alarm = Alarm.objects.filter(kind=AlarmKind.BREAKER_OPEN, key=name, closed_at=None).first()
    if alarm is not None:
        admin.site.get_model_admin(Alarm).log_change(request, alarm, "closed the breaker")


def _sorted(rows: Iterable[Any]) -> list[Any]:
    """The worst first; else in their order."""
    return sorted(rows, key=lambda row: URGENCY.index(row.tone))


def _alarm(alarm: Alarm, *, now: datetime) -> AlarmLine:
    is_critical = alarm.severity is Severity.CRITICAL
    return AlarmLine(
        title=f"{alarm.get_kind_display()} · {alarm.key}", seen=seen(alarm),
        url=reverse("admin:openplatform_alarm_change", args=[alarm.pk]), severity=str(alarm.severity.label),
        tone="quiet" if alarm.acknowledged_at else "bad" if is_critical else "warn",
        span=length_text(now - alarm.opened_at), looked_at_by=alarm.acknowledged_by, note=alarm.note,
    )  # fmt: skip


def _breaker(breaker: OpenBreaker) -> dict[str, str]:
    return {
        "name": breaker.name, "open_for": _length(breaker.open_for_s),
        "next": _("in %(span)s") % {"span": _length(breaker.trial_in_s)} if breaker.trial_in_s else _("now"),
    }  # fmt: skip


# --- cards --------------------------------------------------------------------------------------------------------


def _cards(figures: Figures) -> Iterator[Card]:
    yield _watch(figures.signs)
    yield _sweeps(figures.signs)
    broker, breakers = figures.broker, figures.breakers
    yield Card(
        title=_("Broker"), value=_("does not answer") if broker.error else _("it answers"),
        detail=broker.error or _("hurry, not truth: nothing is lost without it"),
        tone="bad" if broker.error else "good",
    )  # fmt: skip
    yield Card(
        title=_("Redis"), value=_("does not answer") if breakers is None else _("it answers"),
        detail=_("without it merchants cannot write"), tone="bad" if breakers is None else "good",
    )  # fmt: skip


def _watch(signs: Signs | None) -> Card:
    age_s = signs.watch_age_s if signs else None
    is_silent = age_s is None or age_s > SILENT_CHECKS * settings.ALARM_CHECK_S
    value = _("never") if age_s is None else _("%(span)s ago") % {"span": _length(age_s)}
    detail = (
        _("nobody looks for alarms!") if is_silent else _("by %(who)s") % {"who": signs.watched_by if signs else ""}
    )
    return Card(title=_("Looked for alarms"), value=value, detail=detail, tone="bad" if is_silent else "good")


def _sweeps(signs: Signs | None) -> Card:
    often = signs.often if signs else []
    worst = max(often, key=lambda sweep: sweep.late_s, default=None)
    if worst is None or worst.age_s is None:
        return Card(title=_("Sweeps"), value=_("never ran"), detail=worst.name if worst else "", tone="bad")
    tone = _tone(worst.late_s, settings.ALARM_BEAT_SILENT_S)
    value = _("%(span)s ago") % {"span": _length(worst.age_s)}
    return Card(title=_("Sweeps"), value=value, detail=worst.name, tone=tone)


def _webhook(state: WebhookState, *, now: datetime) -> Card:
    title = _("Told by webhook")
    if not state.is_set:
        return Card(
            title=title, value=_("not set up"), detail=_("alarms are on this page and reach nobody"), tone="warn"
        )
    if state.is_failing:
        count = state.owed_count
        value = ngettext("%(count)d not told", "%(count)d not told", count) % {"count": count}
        return Card(title=title, value=value, detail=f"{state.host}: {state.last_error}", tone="bad")
    at = state.delivered_at
    value = _("%(span)s ago") % {"span": length_text(now - at)} if at else _("nothing yet")
    return Card(title=title, value=value, detail=f"{state.host} ({state.format})", tone="good")


# --- tables -------------------------------------------------------------------------------------------------------


def _work_columns() -> list[str]:
    edges = [_("less than %(span)s") % {"span": _length(edge_s)} for edge_s in AGE_BUCKETS_S]
    return [_("count"), _("late by"), *edges, _("longer")]


def _work(figures: Figures) -> Iterator[Row]:
    for channel in figures.channels or ():
        name = str(words.channel_word(channel.name))
        note = "" if channel.is_used else _("not in use")
        nothing = Aged(counts=())
        for title, due, unknown in (
            (_("payments"), channel.payments, channel.unknown_payments),
            (_("refunds"), channel.refunds, channel.unknown_refunds),
            (_("asked once more"), channel.rechecks, nothing),
        ):
            yield Row(title=f"{name} · {title}", cells=[*_due(due), *_ages(unknown)], note=note)
    told = figures.notifications
    if told is not None:
        yield Row(title=_("notifications"), cells=[*_due(told.due), *_ages(Aged(counts=()))], note=_told_note(told))


def _told_note(told: Any) -> str:
    return _("%(paused)s wait for paused hosts, %(held)s given up") % {
        "paused": _count(told.paused_count), "held": _count(told.held_count)
    }  # fmt: skip


def _due(due: Due) -> Iterator[Cell]:
    yield Cell(text=_count(due.count), tone=_tone(due.count, settings.ALARM_BACKLOG_COUNT))
    late = _length(due.late_s) if due.count else cells.NOTHING
    yield Cell(text=late, tone=_tone(due.late_s, settings.ALARM_BACKLOG_LATE_S))


def _ages(unknown: Aged) -> Iterator[Cell]:
    """One cell for each bucket; a bucket is as red as its youngest row would be."""
    starts = (0, *AGE_BUCKETS_S)
    counts = unknown.counts or (None,) * len(starts)
    for start_s, count in zip(starts, counts, strict=True):
        if count:
            yield Cell(text=_count(count), tone="warn" if start_s < settings.ALARM_UNKNOWN_S else "bad")
        else:
            yield Cell(text=cells.NOTHING if count is None else "0")


def _queues(figures: Figures) -> Iterator[Row]:
    needed, signs = set(figures.queues), figures.signs
    for queue, look in figures.broker.queues.items():
        alive = signs.alive_at(queue) if signs else 0
        slots = (
            sum(worker.slots for worker in signs.workers if worker.is_alive and queue in worker.queues) if signs else 0
        )
        age = cells.NOTHING if look.oldest_s is None else _length(look.oldest_s)
        missing = "bad" if queue in needed and not alive else "quiet"
        yield Row(
            title=queue, note="" if queue in needed else _("not in use"),
            cells=[
                Cell(text=str(look.length), tone=_tone(look.length, settings.ALARM_BACKLOG_COUNT)),
                Cell(text=age, tone=_tone(look.oldest_s or 0, settings.ALARM_BACKLOG_LATE_S)),
                Cell(text=str(alive), tone=missing), Cell(text=str(slots)),
            ],
        )  # fmt: skip


def _workers(figures: Figures) -> Iterator[Row]:
    for worker in figures.signs.workers if figures.signs else ():
        yield Row(title=worker.name, cells=_worker(worker))


def _worker(worker: Worker) -> list[Cell]:
    skew = _tone(abs(worker.skew_s), settings.ALARM_CLOCK_SKEW_S)
    return [
        Cell(text=", ".join(worker.queues)),
        Cell(text=_("%(span)s ago") % {"span": _length(worker.silent_s)}, tone="quiet" if worker.is_alive else "bad"),
        Cell(text=_("%(count)+d s") % {"count": worker.skew_s}, tone="quiet" if skew == "good" else skew),
    ]


def _tone(figure: int, limit: int) -> str:
    if figure >= limit:
        return "bad"
    return "warn" if 2 * figure >= limit else "quiet"


def _count(count: int) -> str:
    return f"{count}+" if count >= COUNTED_MAX else str(count)


def _length(seconds: int) -> str:
    return length_text(timedelta(seconds=seconds))
