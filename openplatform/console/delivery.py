"""How one app is told: its hosts and how they are doing, its webhook secret, its tests. One page, and its buttons.

A new secret is in the answer to the POST that made it and nowhere else: no redirect, no session, no log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from openplatform.conformance.run import AddressRefused, ask_for_run, last_notify_url
from openplatform.conformance.wording import advice_on, title_of
from openplatform.models import App, ConformanceRun, NotifyEndpoint, NotifyHost, WebhookSecret
from openplatform.models.conformance import Grade

TONES = {Grade.PASS: "good", Grade.WARN: "warn", Grade.FAIL: "bad"}
RUN_IS_LOST_AFTER = timedelta(minutes=2)
Deed = Callable[[HttpRequest, App, datetime], str]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One case of a run, in words."""

    title: Any
    grade: Any
    tone: str
    answers: str
    advice: Any


def page(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """For whoever may see the app; each button has a permission of its own."""
    app = model_admin.get_object(request, unquote(object_id))
    if app is None:
        raise Http404(_("There is no such row."))
    secret = _act(model_admin, request, app) if request.method == "POST" else ""
    context = {
        **model_admin.admin_site.each_context(request),
        **_facts(app, now=timezone.now()),
        "opts": App._meta, "original": app, "secret": secret,
        "title": _("Notifications of %(app)s") % {"app": app.name},
        "may_change": model_admin.may(request, "change_delivery"),
        "may_probe": model_admin.may(request, "probe_notifyendpoint"),
    }  # fmt: skip
    return TemplateResponse(request, "openplatform/delivery.html", context)


def _facts(app: App, *, now: datetime) -> dict[str, Any]:
    run = ConformanceRun.objects.filter(app=app).order_by("-pk").first()
    return {
        "endpoints": NotifyEndpoint.objects.filter(app=app).order_by("host"),
        "hosts": NotifyHost.live(now=now).filter(app=app).order_by("value"),
        "hosts_required": settings.NOTIFICATION_HOSTS_REQUIRED,
        "secrets": WebhookSecret.live(app_id=app.pk, now=now),
        "sign_tests_everywhere": settings.NOTIFICATION_SIGN_TESTS,
        "has_conformance": settings.TEST_PLATFORM,
        "url": run.url if run else last_notify_url(app_id=app.pk),
        "run": run,
        "run_tone": TONES.get(Grade(run.grade)) if run and run.grade else "quiet",
        "is_running": run is not None and _is_running(run, now=now),
        "lines": [_line(result) for result in run.results.all()] if run else [],
    }


def _is_running(run: ConformanceRun, *, now: datetime) -> bool:
    return run.finished_at is None and run.asked_at > now - RUN_IS_LOST_AFTER


def _line(result: Any) -> Line:
    return Line(
        title=title_of(result.case), grade=result.get_grade_display(), tone=TONES[Grade(result.grade)],
        answers=result.answers, advice=advice_on(result.case, result.finding),
    )  # fmt: skip


def _act(model_admin: Any, request: HttpRequest, app: App) -> str:
    """Do what the button says. Returns a new secret, or ""."""
    name = request.POST.get("deed", "")
    needed, deed = _DEEDS.get(name, ("", None))
    if deed is None or not model_admin.may(request, needed):
        raise PermissionDenied
    secret = deed(request, app, timezone.now())
    model_admin.log_change(request, app, f"notifications: {name}")
    return secret


def _probe(request: HttpRequest, app: App, now: datetime) -> str:
    NotifyEndpoint.probe_soon(now=now, app_id=app.pk)
    messages.success(request, _("Paused hosts are tried within seconds."))
    return ""


def _rotate(_request: HttpRequest, app: App, now: datetime) -> str:
    return WebhookSecret.rotate(app=app, now=now)


def _end_overlap(request: HttpRequest, app: App, now: datetime) -> str:
    WebhookSecret.end_overlap(app=app, now=now)
    messages.success(request, _("Only the newest secret signs now."))
    return ""


def _switch_sign_tests(_request: HttpRequest, app: App, _now: datetime) -> str:
    app.switch_sign_tests()
    return ""


def _run(request: HttpRequest, app: App, now: datetime) -> str:
    if not settings.TEST_PLATFORM:
        raise PermissionDenied
    last = ConformanceRun.objects.filter(app=app).order_by("-pk").first()
    if last is not None and _is_running(last, now=now):
        messages.warning(request, _("A run is under way."))
        return ""
    try:
        ask_for_run(app=app, url=request.POST.get("url", ""), by=request.user.get_username(), now=now)
    except AddressRefused as refusal:
        messages.error(request, _("This address is not accepted: %(why)s") % {"why": refusal})
    return ""


_DEEDS: dict[str, tuple[str, Deed]] = {
    "probe": ("probe_notifyendpoint", _probe),
    "rotate": ("change_delivery", _rotate),
    "end_overlap": ("change_delivery", _end_overlap),
    "switch_sign_tests": ("change_delivery", _switch_sign_tests),
    "run": ("change_delivery", _run),
}
