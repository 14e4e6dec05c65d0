"""The payment sheet, the same for all channels: shown, confirmed or cancelled, and back to the merchant.

A channel checks what its own app would check and says which order the sheet is about. The browser's way back says only
how the page was left; the merchant's server must learn the truth from the notification or a query.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing as django_signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from sandbox import bills, clock, environment, identity, ledger, payer
from sandbox.models import ALIPAY, UNIONPAY, WECHATPAY, PayOrder
from sandbox.pages import language_of, page
from sandbox.redirects import allowed, origin, with_query

TICKET_SALT = "sandbox.phone"
TICKET_LIFETIME_S = 7_200
# Alipay's bridge gives the page a number; WeChat's a word. The way back carries both, for whoever wants them.
RESULT_CODES = {"ok": "9000", "cancel": "6001", "fail": "4000"}


class CannotPay(Exception):
    """The payment sheet cannot be shown; the argument is what the payer reads."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Which order the sheet is about, and until when it may be used (None: as long as the order waits)."""

    order: PayOrder
    until: datetime | None = None


def show(request: HttpRequest, *, channel: str, find: Callable[[], Sheet], back: str = "") -> HttpResponseBase:
    """GET: the sheet, or why there is none. `?redirect=` or `back` is where the browser goes afterwards."""
    if request.method != "GET":
        return HttpResponse(status=405)
    redirect = request.GET.get("redirect", back)
    if redirect and not allowed(redirect):
        return _refuse(request, _("The address to go back to is not allowed."), redirect="", channel=channel)
    try:
        sheet = find()
        order = _payable(sheet.order.pk, until=sheet.until)
    except CannotPay as problem:
        return _refuse(request, problem.args[0], redirect=redirect, channel=channel)
    return _sheet(request, order, until=sheet.until, redirect=redirect)


def confirm(request: HttpRequest) -> HttpResponseBase:
    """POST of the sheet's form: pay or cancel. The ticket proves that this very browser was shown the sheet."""
    if request.method != "POST":
        return HttpResponse(status=405)
    who = payer.payer_of(request)
    try:
        ticket = django_signing.loads(request.POST.get("ticket", ""), salt=TICKET_SALT, max_age=TICKET_LIFETIME_S)
    except django_signing.BadSignature:
        return _refuse(request, _("This page is too old. Please start again."), redirect="", channel="")
    if ticket["payer"] != who:
        return _refuse(request, _("This page belongs to another browser."), redirect="", channel="")
    outcome, order = _decide(ticket, pays=request.POST.get("action") == "pay", who=who)
    if ticket["redirect"]:
        back = {"pay": outcome} | ({"resultCode": RESULT_CODES[outcome]} if order.channel == ALIPAY else {})
        return HttpResponseRedirect(with_query(ticket["redirect"], **back))
    return page(request, "phone/result.html", {"outcome": outcome, **described(request, order)})


def described(request: HttpRequest, order: PayOrder) -> dict[str, Any]:
    """What a page says of an order."""
    names = _merchant_names(order)
    return {
        "channel": order.channel,
        "merchant": names.get(language_of(request)) or names.get("en", order.mchid),
        "description": order.description,
        "yuan": bills.yuan(order.total_fen),
        "number": order.out_trade_no,
        "state": order.state,
        "paid": order.is_paid,
        "created_at": order.created_at,
    }


def person(order: PayOrder, who: str) -> str:
    """What the order's channel calls the payer."""
    names: Mapping[str, Callable[[], str]] = {
        WECHATPAY: lambda: payer.openid(appid=order.appid, payer=who),
        ALIPAY: lambda: payer.alipay_open_id(app_id=order.appid, payer=who),
        UNIONPAY: lambda: payer.unionpay_user_id(mer_id=order.mchid, payer=who),
    }
    return names[order.channel]()


def _merchant_names(order: PayOrder) -> Mapping[str, str]:
    known = identity.load(environment.current().directory)
    if order.channel != WECHATPAY:
        return known.alipay.name if order.channel == ALIPAY else known.unionpay.name
    merchant = known.merchant(order.mchid)
    return merchant.name if merchant else {}


def _sheet(request: HttpRequest, order: PayOrder, *, until: datetime | None, redirect: str) -> HttpResponse:
    who = payer.payer_of(request)
    ticket = {"order": order.pk, "until": until.isoformat() if until else "", "redirect": redirect, "payer": who}
    context = {
        "ticket": django_signing.dumps(ticket, salt=TICKET_SALT),
        "lang": "zh" if language_of(request) == "zh-hans" else "en",
        **described(request, order),
    }
    response = page(request, "phone/sheet.html", context, form_targets=origin(redirect))
    payer.remember(response, who)
    return response


def _refuse(request: HttpRequest, reason: Any, *, redirect: str, channel: str) -> HttpResponse:
    back = ""
    if redirect:
        back = with_query(redirect, pay="fail", **({"resultCode": RESULT_CODES["fail"]} if channel == ALIPAY else {}))
    return page(request, "phone/refused.html", {"reason": reason, "back": back, "channel": channel}, status=400)


def _payable(order_pk: int, *, until: datetime | None) -> PayOrder:
    """The order, if the sheet may be shown: waiting for the payer, or paid already. Raises CannotPay."""
    now = clock.now()
    order = ledger.current(order_pk=order_pk, now=now)
    if not order.is_paid and not order.is_unpaid:
        raise CannotPay(_("The merchant has closed this order, or its time is over."))
    if not order.is_paid and until is not None and until <= now:
        raise CannotPay(_("This payment has expired. Please start again from the merchant's page."))
    return order


def _decide(ticket: Mapping[str, Any], *, pays: bool, who: str) -> tuple[str, PayOrder]:
    order = PayOrder.objects.get(pk=ticket["order"])
    now = clock.now()
    if not pays and not order.is_paid:
        return "cancel", ledger.refuse(order_pk=order.pk, now=now)
    try:
        _payable(order.pk, until=datetime.fromisoformat(ticket["until"]) if ticket["until"] else None)
        return "ok", ledger.pay(order_pk=order.pk, openid=person(order, who), now=now)
    except (CannotPay, ledger.NotPayable):
        return "fail", order
