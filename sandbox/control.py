"""The control plane: what a test or a developer does to the sandbox from outside. Guarded by the control token.

Every path begins with /_sandbox/ and wants the header `Sandbox-Token`. Bodies and answers are JSON; a mistake of the
caller is 400, 401, 404 or 409 with `{"error": "..."}`.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from sandbox import barcodes, chance, clock, faults, keys, ledger, notices, options, plans, testvalues
from sandbox.alipay import trades
from sandbox.models import (
    ALIPAY,
    CHANNELS,
    Attempt,
    BarCode,
    BillFile,
    Call,
    FaultRule,
    Notification,
    OAuthCode,
    PayOrder,
    Prepay,
    Refund,
)
from sandbox.store import writing
from sandbox.wechatpay.signing import platform

LIST_MAX = 500
FORGOTTEN = (Attempt, Notification, Refund, Prepay, PayOrder, Call, FaultRule, OAuthCode, BarCode, BillFile)
SETTLED = frozenset({Refund.SUCCESS, Refund.ABNORMAL, Refund.CLOSED})
_COUNTED = frozenset({"id", "seen", "fired"})
Handler = Callable[..., Any]


class ControlError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _view(**by_method: Handler) -> Callable[..., HttpResponse]:
    """One path of the control plane, one handler for each HTTP method."""

    def serve(request: HttpRequest, **named: str) -> HttpResponse:
        token = request.headers.get("Sandbox-Token", "")
        if not secrets.compare_digest(token.encode(), platform().control_token.encode()):
            return JsonResponse({"error": "Sandbox-Token is missing or wrong"}, status=401)
        handler = by_method.get(str(request.method).lower())
        if handler is None:
            return JsonResponse({"error": "method not allowed"}, status=405)
        try:
            return JsonResponse(handler(request, **named), safe=False)
        except ControlError as problem:
            return JsonResponse({"error": str(problem)}, status=problem.status)

    return serve


def _json(request: HttpRequest) -> dict[str, Any]:
    try:
        parsed = json.loads(request.body or b"{}")
    except ValueError as error:
        raise ControlError(400, "the body is not JSON") from error
    if not isinstance(parsed, dict):
        raise ControlError(400, "the body is not a JSON object")
    return parsed


def _row(row: Model, **more: Any) -> dict[str, Any]:
    return {"id": row.pk} | model_to_dict(row) | more


def _rows(rows: QuerySet[Any], request: HttpRequest, *filters: str) -> list[dict[str, Any]]:
    """The newest LIST_MAX rows, newest last, filtered by the query parameters in `filters`."""
    wanted = {name: request.GET[name] for name in filters if name in request.GET}
    return [_row(row) for row in reversed(rows.filter(**wanted).order_by("-pk")[:LIST_MAX])]


def _order(out_trade_no: str) -> PayOrder:
    order = PayOrder.objects.filter(out_trade_no=out_trade_no).order_by("-pk").first()
    if order is None:
        raise ControlError(404, "no such order")
    return order


def show_order(request: HttpRequest, out_trade_no: str) -> dict[str, Any]:  # noqa: ARG001 - as all handlers
    order = ledger.current(order_pk=_order(out_trade_no).pk, now=clock.now())
    tokens = list(Prepay.objects.filter(order=order).order_by("pk").values_list("token", flat=True))
    return _row(order, prepay_tokens=tokens)


def pay_order(request: HttpRequest, out_trade_no: str) -> dict[str, Any]:
    """The payer pays, as on the phone. `{"openid": ...}` for a native order, `{"even_closed": true}` for the race."""
    return _row(_pay(out_trade_no, _json(request)))


def pay_several(request: HttpRequest) -> list[dict[str, Any]]:
    """`{"out_trade_nos": [...]}`: all are paid without a pause: one thing twice, on two channels."""
    wanted = _json(request)
    numbers = wanted.get("out_trade_nos")
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        raise ControlError(400, "out_trade_nos: a list of numbers")
    found = [_order(number).out_trade_no for number in numbers]
    return [_row(_pay(number, wanted)) for number in found]


def _pay(out_trade_no: str, wanted: dict[str, Any]) -> PayOrder:
    try:
        return ledger.pay(
            order_pk=_order(out_trade_no).pk,
            openid=str(wanted.get("openid", ledger.ANYBODY)),
            now=clock.now(),
            even_closed=wanted.get("even_closed") is True,
        )
    except ledger.NotPayable as problem:
        raise ControlError(409, f"the order is {problem}") from problem


def refuse_order(request: HttpRequest, out_trade_no: str) -> dict[str, Any]:  # noqa: ARG001
    """The payer says no: a bar-code payment has failed by that, any other order goes on waiting."""
    return _row(ledger.refuse(order_pk=_order(out_trade_no).pk, now=clock.now()))


def expire_order(request: HttpRequest, out_trade_no: str) -> dict[str, Any]:  # noqa: ARG001
    """The order's time is over."""
    return _row(ledger.expire(order_pk=_order(out_trade_no).pk, now=clock.now()))


def scan_order(request: HttpRequest, out_trade_no: str) -> dict[str, Any]:  # noqa: ARG001
    """Somebody scans the code of an Alipay precreate and does not pay yet: now the trade is there."""
    order = _order(out_trade_no)
    if order.channel != ALIPAY or order.product != "qr" or not order.is_unpaid:
        raise ControlError(409, "not a precreated Alipay trade that waits")
    if not order.is_known:
        trades.scanned(order, now=clock.now())
    return _row(order)


def show_code(request: HttpRequest) -> dict[str, Any]:
    """`{"channel": "alipay"}`: a payment code as a payer's phone shows it."""
    channel = _json(request).get("channel", "wechatpay")
    if channel not in CHANNELS:
        raise ControlError(400, f"channel: one of {', '.join(CHANNELS)}")
    return _row(barcodes.show(channel=channel, payer="sandbox-control", now=clock.now()))


def cancel_order(request: HttpRequest, out_trade_no: str) -> dict[str, Any]:
    """The payer closes the sheet: at the platform nothing changes, the order still waits."""
    return show_order(request, out_trade_no)


def list_orders(request: HttpRequest) -> list[dict[str, Any]]:
    return _rows(PayOrder.objects.all(), request, "channel", "out_trade_no", "state", "product")


def list_refunds(request: HttpRequest) -> list[dict[str, Any]]:
    return _rows(Refund.objects.all(), request, "channel", "out_refund_no", "status")


def settle_refund(request: HttpRequest, out_refund_no: str) -> dict[str, Any]:
    """`{"status": "SUCCESS" | "ABNORMAL" | "CLOSED"}`: decide a refund that is still PROCESSING."""
    status = _json(request).get("status", Refund.SUCCESS)
    if status not in SETTLED:
        raise ControlError(400, f"status: one of {', '.join(sorted(SETTLED))}")
    refund = Refund.objects.filter(out_refund_no=out_refund_no).order_by("-pk").first()
    if refund is None:
        raise ControlError(404, "no such refund")
    try:
        return _row(ledger.settle(refund_pk=refund.pk, status=status, now=clock.now()))
    except ledger.NotSettleable as problem:
        raise ControlError(409, f"the refund is {problem}") from problem


def list_faults(request: HttpRequest) -> list[dict[str, Any]]:
    return _rows(FaultRule.objects.all(), request, "channel", "operation")


def add_fault(request: HttpRequest) -> dict[str, Any]:
    try:
        return _row(faults.add_rule(_json(request)))
    except faults.BadRule as problem:
        raise ControlError(400, str(problem)) from problem


def clear_faults(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    with writing():
        return {"removed": FaultRule.objects.all().delete()[0]}


def remove_fault(request: HttpRequest, rule: str) -> dict[str, Any]:  # noqa: ARG001
    with writing():
        return {"removed": FaultRule.objects.filter(pk=rule).delete()[0]}


def catalogue(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    """Everything that a rule may name, and what the test values do."""
    values = {f"{value:02d}": sorted(plans) for value, plans in testvalues.TEST_VALUES.items()}
    return {
        "channels": CHANNELS,
        "operations": sorted(plans.CALLS | plans.NOTICES),
        "calls": {name: asdict(plan) for name, plan in sorted(plans.CALL_FAULTS.items())},
        "notices": {name: asdict(plan) for name, plan in sorted(plans.NOTICE_FAULTS.items())},
        "not_at": {channel: sorted(names) for channel, names in plans.NOT_AT.items()},
        "values": values,
    }


def show_clock(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    return _clock(clock.now())


def advance_clock(request: HttpRequest) -> dict[str, Any]:
    """`{"advance_s": 7200}` or `{"to": "2026-01-02T10:30:00+08:00"}`: business time moves on."""
    wanted = _json(request)
    if "to" in wanted:
        return _clock(clock.advance_to(moment(wanted["to"])))
    seconds = wanted.get("advance_s")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
        raise ControlError(400, "advance_s: a number of seconds, not negative")
    return _clock(clock.advance(seconds=seconds))


def moment(text: Any) -> datetime:
    """A time to come. Raises ControlError."""
    try:
        wanted = datetime.fromisoformat(text)
    except (TypeError, ValueError) as problem:
        raise ControlError(400, "to: a time in ISO 8601") from problem
    if wanted.tzinfo is None or wanted < clock.now():
        raise ControlError(400, "to: needs its offset, and must not be in the past")
    return wanted


def _clock(now: datetime) -> dict[str, Any]:
    return {"now": now.isoformat(), "offset_s": options.get("clock_offset_s")}


def show_options(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    return options.everything()


def set_options(request: HttpRequest) -> dict[str, Any]:
    try:
        options.put(_json(request))
    except options.UnknownOption as problem:
        raise ControlError(400, f"{problem}: no such option, or a value of another type") from problem
    return options.everything()


def list_notifications(request: HttpRequest) -> list[dict[str, Any]]:
    """With every attempt: status, latency and the beginning of the answer."""
    rows = _rows(Notification.objects.all(), request, "channel", "number", "state", "event_type")
    for row in rows:
        row["attempts"] = [_row(attempt) for attempt in Attempt.objects.filter(notification=row["id"]).order_by("pk")]
    return rows


def resend_notification(request: HttpRequest, notification: str) -> dict[str, Any]:  # noqa: ARG001
    found = Notification.objects.filter(pk=notification).first()
    if found is None:
        raise ControlError(404, "no such notification")
    if found.state == Notification.SENDING:
        raise ControlError(409, "it is being sent right now")
    notices.resend(found, now=clock.now())
    return _row(found)


def list_calls(request: HttpRequest) -> list[dict[str, Any]]:
    return _rows(Call.objects.all(), request, "channel", "operation", "number", "request_id", "host", "code")


def record(request: HttpRequest) -> dict[str, Any]:
    """Everything that a run was made of: replay it by a reset with this seed, these options and these rules."""
    rules = [{name: value for name, value in row.items() if name not in _COUNTED} for row in list_faults(request)]
    return {"seed": options.get("seed"), "options": options.everything(), "faults": rules, "calls": list_calls(request)}


def show_keys(request: HttpRequest) -> list[dict[str, Any]]:  # noqa: ARG001
    return keys.everything()


def reset(request: HttpRequest) -> dict[str, Any]:
    """Forget everything but the identity. Numbers given out are not given out again.

    `{"seed": 7}` takes another seed; all streams of choices begin again in any case.
    """
    seed = _json(request).get("seed", options.get("seed"))
    if type(seed) is not int or not 0 < seed < chance.SEED_MAX:
        raise ControlError(400, f"seed: a whole number from 1 to {chance.SEED_MAX - 1}")
    return {"removed": forget(seed=seed), "seed": seed}


def forget(*, seed: int) -> int:
    """Returns how many rows are gone."""
    with writing():
        removed = sum(model.objects.all().delete()[0] for model in FORGOTTEN)
    options.forget()
    chance.restart(seed=seed)
    return removed


urlpatterns = [
    path("_sandbox/orders", _view(get=list_orders)),
    path("_sandbox/orders/<str:out_trade_no>", _view(get=show_order)),
    path("_sandbox/orders/<str:out_trade_no>/pay", _view(post=pay_order)),
    path("_sandbox/orders/<str:out_trade_no>/cancel", _view(post=cancel_order)),
    path("_sandbox/orders/<str:out_trade_no>/refuse", _view(post=refuse_order)),
    path("_sandbox/orders/<str:out_trade_no>/expire", _view(post=expire_order)),
    path("_sandbox/orders/<str:out_trade_no>/scan", _view(post=scan_order)),
    path("_sandbox/pay", _view(post=pay_several)),
    path("_sandbox/codes", _view(post=show_code)),
    path("_sandbox/refunds", _view(get=list_refunds)),
    path("_sandbox/refunds/<str:out_refund_no>/settle", _view(post=settle_refund)),
    path("_sandbox/faults", _view(get=list_faults, post=add_fault, delete=clear_faults)),
    path("_sandbox/faults/<int:rule>", _view(delete=remove_fault)),
    path("_sandbox/catalogue", _view(get=catalogue)),
    path("_sandbox/clock", _view(get=show_clock, post=advance_clock)),
    path("_sandbox/options", _view(get=show_options, patch=set_options)),
    path("_sandbox/notifications", _view(get=list_notifications)),
    path("_sandbox/notifications/<int:notification>/resend", _view(post=resend_notification)),
    path("_sandbox/calls", _view(get=list_calls)),
    path("_sandbox/record", _view(get=record)),
    path("_sandbox/keys", _view(get=show_keys)),
    path("_sandbox/reset", _view(post=reset)),
]
