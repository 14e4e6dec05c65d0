"""One page of the console: who holds which worker id, and how its clock and its ladder fare. Nothing can be changed."""

import time
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from unfold.admin import ModelAdmin

import idgen
from idgen.errors import IdgenUnavailable
from idgen.leases.base import LeaseRow, StoreDown
from idgen.models import WorkerLease
from idgen.status import Overview, overview
from idgen.stores import store_from_settings
from idgen.timeline import Rung

_TONES = {
    Rung.NORMAL: "good",
    Rung.WAIT: "good",
    Rung.HOLD: "busy",
    Rung.LANE: "warn",
    Rung.SPARE: "warn",
    Rung.REFUSE: "bad",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One held worker id as the page shows it."""

    row: LeaseRow
    lease_s: float | None
    window_s: float
    rung: str
    tone: str
    skew_ms: int | None
    rungs: list[tuple[str, int]]


def rung_word(rung: str) -> str:
    return {
        Rung.NORMAL: pgettext("rung", "normal"),
        Rung.WAIT: pgettext("rung", "wait"),
        Rung.HOLD: pgettext("rung", "hold"),
        Rung.LANE: pgettext("rung", "lane"),
        Rung.SPARE: pgettext("rung", "spare"),
        Rung.REFUSE: pgettext("rung", "refuse"),
    }.get(Rung(rung), rung)


def lines(seen: Overview) -> list[Line]:
    return [_line(row, now_ms=seen.now_ms) for row in seen.held]


def _line(row: LeaseRow, *, now_ms: int) -> Line:
    rung = row.stats.get("rung", Rung.NORMAL.value)
    return Line(
        row=row,
        lease_s=None if row.lease_until is None else round(row.lease_until.timestamp() - now_ms / 1000, 1),
        window_s=round((row.reserved_until_ms - now_ms) / 1000, 1),
        rung=rung_word(rung),
        tone=_TONES[Rung(rung)],
        skew_ms=row.stats.get("clock_skew_ms"),
        rungs=[(rung_word(name), count) for name, count in row.stats.get("rungs", {}).items() if count],
    )


@admin.register(WorkerLease)
class WorkerLeaseAdmin(ModelAdmin):  # type: ignore[misc]
    """Reads the lease store that is configured, be it PostgreSQL or etcd, rather than the model's table."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | (extra_context or {}) | _page()
        return TemplateResponse(request, "idgen/leases.html", context | {"title": _("Worker ids"), "opts": self.opts})

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False


def _page() -> dict[str, Any]:
    try:
        seen = overview(store_from_settings(), now_ms=time.time_ns() // 1_000_000)
    except (StoreDown, IdgenUnavailable) as error:
        return {"failure": str(error)}
    return {"seen": seen, "lines": lines(seen), "here": idgen.health()}
