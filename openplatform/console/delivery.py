"""How one app is told: its hosts and how they are doing, its webhook secret, its tests. One page, and its buttons.

A new secret is in the answer to the POST that made it and nowhere else: no redirect, no session, no log.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from openplatform.console.conformance import kit_of, start_run
from openplatform.models import App, NotifyEndpoint, NotifyHost, WebhookSecret
from openplatform.models.webhook_secret import SecretChanged

ID_LENGTH_MAX = 20
Deed = Callable[[HttpRequest, App, datetime], str]


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
    return {
        "endpoints": NotifyEndpoint.objects.filter(app=app).order_by("host"),
        "hosts": NotifyHost.live(now=now).filter(app=app).order_by("value"),
        "hosts_required": settings.NOTIFICATION_HOSTS_REQUIRED,
        "secrets": WebhookSecret.live(app_id=app.pk, now=now),
        "current_secret": WebhookSecret.current_id(app_id=app.pk) or "",
        "sign_tests_everywhere": settings.NOTIFICATION_SIGN_TESTS,
        "kit": kit_of(app, now=now) if settings.TEST_PLATFORM else None,
    }


def _act(model_admin: Any, request: HttpRequest, app: App) -> str:
    """Do what the button says. Returns a new secret, or ""."""
    name = request.POST.get("deed", "")
    needed, deed = _DEEDS.get(name, ("", None))
    if deed is None or not model_admin.may(request, needed):
        raise PermissionDenied
    try:
        secret = deed(request, app, timezone.now())
    except SecretChanged:
        messages.warning(request, _("It was changed meanwhile; nothing was done."))
        return ""
    model_admin.log_change(request, app, f"notifications: {name}")
    return secret


def _probe(request: HttpRequest, app: App, now: datetime) -> str:
    NotifyEndpoint.probe_soon(now=now, app_id=app.pk)
    messages.success(request, _("Paused hosts are tried within seconds."))
    return ""


def _rotate(request: HttpRequest, app: App, now: datetime) -> str:
    return WebhookSecret.rotate(app=app, current=_current_secret(request), now=now)


def _end_overlap(request: HttpRequest, app: App, now: datetime) -> str:
    WebhookSecret.end_overlap(app=app, current=_current_secret(request), now=now)
    messages.success(request, _("Only the newest secret signs now."))
    return ""


def _current_secret(request: HttpRequest) -> int | None:
    """Of the page that has the button: a second click, or a page that is old, must not end what was made since."""
    text = request.POST.get("current", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= ID_LENGTH_MAX else None


def _begin_sign_tests(_request: HttpRequest, app: App, _now: datetime) -> str:
    app.set_sign_tests(on=True)
    return ""


def _end_sign_tests(_request: HttpRequest, app: App, _now: datetime) -> str:
    app.set_sign_tests(on=False)
    return ""


_DEEDS: dict[str, tuple[str, Deed]] = {
    "probe": ("probe_notifyendpoint", _probe),
    "rotate": ("change_delivery", _rotate),
    "end_overlap": ("change_delivery", _end_overlap),
    "begin_sign_tests": ("change_delivery", _begin_sign_tests),
    "end_sign_tests": ("change_delivery", _end_sign_tests),
    "run": ("change_delivery", start_run),
}
