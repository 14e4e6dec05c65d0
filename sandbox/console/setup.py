"""What is set: faults, the clock, keys and their rotation, all other switches, the seed and the reset; the call log."""

import json
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from sandbox import chance, clock, control, faults, keys, options, plans, testvalues
from sandbox.clock import BEIJING
from sandbox.console.access import render
from sandbox.models import CHANNELS, Call, FaultRule
from sandbox.store import writing

SHOWN = 200
STEPS_S = {"60": _("1 minute"), "900": _("15 minutes"), "7200": _("2 hours"), "86400": _("1 day")}
BILL_HOUR = 10
ROTATION = (
    "notify_key",
    "notify_shift_key",
    "notify_shift_percent",
    "next_certificate_percent",
    "publish_next_certificate",
    "alipay_next_percent",
)
OWN_PAGES = frozenset({*ROTATION, "clock_offset_s", "seed", "epoch"})


def show_faults(request: HttpRequest, *, problem: str = "") -> HttpResponse:
    context = {
        "tab": "faults",
        "rules": FaultRule.objects.order_by("pk"),
        "channels": CHANNELS,
        "operations": [plans.ANY, *sorted(plans.CALLS), *sorted(plans.NOTICES)],
        "calls": sorted(plans.CALL_FAULTS),
        "notices": sorted(plans.NOTICE_FAULTS),
        "wanted": request.POST if problem else {"number": "*", "operation": "create"},
        "problem": problem,
    }
    return render(request, "console/faults.html", context, status=400 if problem else 200)


def add_fault(request: HttpRequest) -> HttpResponseBase:
    try:
        faults.add_rule(_rule(request))
    except (faults.BadRule, ValueError) as problem:
        return show_faults(request, problem=str(problem))
    return HttpResponseRedirect("/_sandbox/ui/faults")


def remove_fault(request: HttpRequest, rule: int) -> HttpResponseBase:  # noqa: ARG001 - a view
    with writing():
        FaultRule.objects.filter(pk=rule).delete()
    return HttpResponseRedirect("/_sandbox/ui/faults")


def clear_faults(request: HttpRequest) -> HttpResponseBase:  # noqa: ARG001 - a view
    with writing():
        FaultRule.objects.all().delete()
    return HttpResponseRedirect("/_sandbox/ui/faults")


def show_clock(request: HttpRequest, *, problem: str = "") -> HttpResponse:
    now = clock.now()
    local = now.astimezone(BEIJING)
    tomorrow = (local + timedelta(days=1)).replace(hour=BILL_HOUR, minute=0, second=0, microsecond=0)
    context = {"tab": "clock", "steps": STEPS_S, "bills_at": tomorrow.isoformat(), "problem": problem}
    return render(request, "console/clock.html", context, status=400 if problem else 200)


def advance(request: HttpRequest) -> HttpResponseBase:
    """By a step, by seconds that were typed, or to the hour when yesterday's bills are ready."""
    if request.POST.get("to"):
        try:
            clock.advance_to(control.moment(request.POST["to"]))
        except control.ControlError as problem:
            return show_clock(request, problem=str(problem))
        return HttpResponseRedirect("/_sandbox/ui/clock")
    seconds = request.POST.get("step") or request.POST.get("seconds", "")
    if not seconds.isdigit() or len(seconds) > 9:
        return show_clock(request, problem=str(_("A whole number of seconds, please.")))
    clock.advance(seconds=int(seconds))
    return HttpResponseRedirect("/_sandbox/ui/clock")


def show_keys(request: HttpRequest, *, problem: str = "") -> HttpResponse:
    rows = [_option(name) for name in ROTATION]
    context = {"tab": "keys", "keys": keys.everything(), "options": rows, "problem": problem}
    return render(request, "console/keys.html", context, status=400 if problem else 200)


def rotate(request: HttpRequest) -> HttpResponseBase:
    problem = _store(request, ROTATION)
    return show_keys(request, problem=problem) if problem else HttpResponseRedirect("/_sandbox/ui/keys")


def show_settings(request: HttpRequest, *, problem: str = "") -> HttpResponse:
    context = {
        "tab": "settings",
        "options": [_option(name) for name in _plain_options()],
        "values": testvalues.MEANINGS,
        "problem": problem,
    }
    return render(request, "console/settings.html", context, status=400 if problem else 200)


def set_options(request: HttpRequest) -> HttpResponseBase:
    problem = _store(request, _plain_options())
    return show_settings(request, problem=problem) if problem else HttpResponseRedirect("/_sandbox/ui/settings")


def reset(request: HttpRequest) -> HttpResponseBase:
    """Only with the box ticked: everything but the identity is gone afterwards."""
    text = request.POST.get("seed", "").strip() or str(options.get("seed"))
    if request.POST.get("sure") != "yes":
        return show_settings(request, problem=str(_("Tick the box: a reset cannot be undone.")))
    if not text.isdigit() or not 0 < int(text) < chance.SEED_MAX:
        return show_settings(request, problem=str(_("The seed is a whole number above zero.")))
    control.forget(seed=int(text))
    return HttpResponseRedirect("/_sandbox/ui/settings")


def calls(request: HttpRequest) -> HttpResponseBase:
    channel, wanted = request.GET.get("channel", ""), request.GET.get("q", "").strip()
    found = Call.objects.order_by("-pk")
    if channel:
        found = found.filter(channel=channel)
    if wanted:
        found = found.filter(number__icontains=wanted) | found.filter(request_id=wanted) | found.filter(code=wanted)
    context = {"tab": "calls", "calls": found[:SHOWN], "channel": channel, "q": wanted}
    return render(request, "console/calls.html", context)


def call(request: HttpRequest, call: int) -> HttpResponseBase:
    found = Call.objects.filter(pk=call).first()
    if found is None:
        return HttpResponse(status=404)
    return render(request, "console/call.html", {"tab": "calls", "call": found})


def _rule(request: HttpRequest) -> dict[str, Any]:
    """The form as the control API's JSON. Raises ValueError for a number that is none."""
    form = request.POST
    rule: dict[str, Any] = {name: form.get(name, "") for name in ("channel", "host", "operation", "fault")}
    rule["number"] = form.get("number", "").strip() or "*"
    rule["skip"] = int(form.get("skip") or 0)
    if form.get("times"):
        rule["times"] = int(form["times"])
    rule["probability"] = float(form.get("percent") or 100) / 100
    if form.get("params", "").strip():
        rule["params"] = json.loads(form["params"])
    return rule


def _plain_options() -> list[str]:
    return [name for name in options.DEFAULTS if name not in OWN_PAGES]


def _option(name: str) -> dict[str, Any]:
    value = options.get(name)
    kind, choices = type(options.DEFAULTS[name]).__name__, options.CHOICES.get(name, ())
    return {"name": name, "value": value, "kind": kind, "choices": choices, "help": options.HELP[name]}


def _store(request: HttpRequest, names: Any) -> str:
    """Put the form's values into the options. Returns what is wrong, or ""."""
    changes: dict[str, Any] = {}
    for name in names:
        kind, text = type(options.DEFAULTS[name]), request.POST.get(name, "")
        try:
            changes[name] = text == "on" if kind is bool else kind(text)
        except ValueError:
            return f"{name}: {text}"
    try:
        options.put(changes)
    except options.UnknownOption as problem:
        return str(problem)
    return ""
