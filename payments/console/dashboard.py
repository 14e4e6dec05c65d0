"""The console's first page: today, what waits, and the last days."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from openplatform.lengths import length_text
from payments.console.figures import Figures, Waiting, open_cases_count, read_figures
from payments.money import yuan_text

# A backlog whose oldest notification is overdue by more than this has nobody who works on it.
BACKLOG_OVERDUE = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class Card:
    title: str
    value: str
    detail: str
    tone: str
    url: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by the theme for the first page. Without the right to see orders there are no figures."""
    if not request.user.has_perm("payments.view_order"):
        return context
    now = timezone.now()
    figures = read_figures(now=now)
    return context | {
        "cards": [*_today(figures), *_waiting(figures, now=now)],
        "days": figures.days,
        "title": _("Overview"),
    }


def open_cases_badge(request: HttpRequest) -> str:
    """The number beside “Cases” in the sidebar; "" when there are none."""
    if not request.user.has_perm("payments.view_case"):
        return ""
    count = open_cases_count()
    return str(count) if count else ""


def _today(figures: Figures) -> Iterator[Card]:
    today = figures.today
    yield Card(
        title=_("Paid today (yuan)"), value=yuan_text(today.paid_fen), tone="good",
        detail=ngettext("%(count)d payment", "%(count)d payments", today.paid_count) % {"count": today.paid_count},
        url=_list("payments_ledgerentry", "kind=payment"),
    )  # fmt: skip
    yield Card(
        title=_("Refunded today (yuan)"), value=yuan_text(today.refunded_fen), tone="quiet",
        detail=ngettext("%(count)d refund", "%(count)d refunds", today.refunded_count)
        % {"count": today.refunded_count},
        url=_list("payments_ledgerentry", "kind=refund"),
    )  # fmt: skip
    yield Card(
        title=_("Orders created today"), value=str(figures.created_count), tone="quiet",
        detail=_("paid or not"), url=_list("payments_order"),
    )  # fmt: skip


def _waiting(figures: Figures, *, now: datetime) -> Iterator[Card]:
    yield _card(
        _("Payments not known"), figures.unknown_payments, now=now, tone="warn",
        url=_list("payments_payment", "status=UNKNOWN"),
    )  # fmt: skip
    yield _card(
        _("Refunds not known"), figures.unknown_refunds, now=now, tone="warn",
        url=_list("payments_refund", "status=UNKNOWN"),
    )  # fmt: skip
    yield _card(_("Open cases"), figures.open_cases, now=now, tone="bad", url=_list("payments_case", "status=open"))
    alarms_url = _list("openplatform_alarm", "closed_at__isempty=1")
    yield _card(_("Open alarms"), figures.open_alarms, now=now, tone="bad", url=alarms_url)
    yield Card(
        title=_("Notifications given up"), value=str(figures.held_count), tone="bad" if figures.held_count else "good",
        detail=_("a person must replay them") if figures.held_count else _("none waits for a person"),
        url=_list("openplatform_notification", "status__exact=held"),
    )  # fmt: skip
    yield _backlog(figures.owed, now=now)


def _card(title: str, waiting: Waiting, *, now: datetime, tone: str, url: str) -> Card:
    if waiting.oldest_at is None:
        return Card(title=title, value="0", detail=_("none"), tone="good", url=url)
    detail = _("the oldest for %(span)s") % {"span": length_text(now - waiting.oldest_at)}
    return Card(title=title, value=str(waiting.count), detail=detail, tone=tone, url=url)


def _backlog(owed: Waiting, *, now: datetime) -> Card:
    late = timedelta(0) if owed.oldest_at is None else now - owed.oldest_at
    if late > BACKLOG_OVERDUE:
        detail, tone = _("the oldest is overdue for %(span)s") % {"span": length_text(late)}, "bad"
    else:
        detail, tone = _("none is overdue"), "good"
    return Card(
        title=_("Notifications to be sent"), value=str(owed.count), detail=detail, tone=tone,
        url=_list("openplatform_notification", "status__exact=owed"),
    )  # fmt: skip


def _list(name: str, query: str = "") -> str:
    """The address of a list, or "" while the console has none."""
    try:
        url = reverse(f"admin:{name}_changelist")
    except NoReverseMatch:
        return ""
    return f"{url}?{query}" if query else url
