"""A merchant's printed code: who pays, how much, and an order for it."""

import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.request import UnreadablePostError
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from openplatform.client_ip import client_ip
from openplatform.limits import per_address
from payments import queries
from payments.cashier import pages, payer, wording
from payments.cashier.once import exchange_once
from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount, PayCode
from payments.money import AmountError
from payments.operations import cashier
from payments.operations.accounts import ChannelNotAvailable
from payments.operations.orders import Blacklisted, OutTradeNoReused, is_blocked

# What rate rules call these pages. The second asks the channel, the third makes an order: dearer than a page.
DOOR, DOOR_IDENTIFY, DOOR_ORDERS = "cashier", "cashier.identify", "cashier.orders"
BODY_BYTES_MAX = 1_024
ATTEMPT_BYTES = 12  # as hex, after its "P", it must fit into an out_trade_no of 32
_ATTEMPT = re.compile(rf"[0-9a-f]{{{2 * ATTEMPT_BYTES}}}")


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What the page sends: the literal text of the amount, and the attempt that it belongs to."""

    amount: str
    attempt: str


class NotTyped(Exception):
    """The request is not what our page sends."""


@pages.page_view
@require_safe
@per_address(DOOR)
def show(request: HttpRequest, token: str) -> HttpResponse:
    """The amount field; before that, a silent way through the channel when it has not said who this browser is."""
    pay_code = queries.active_pay_code(token=token)
    accounts = cashier.accounts_of(pay_code)
    if not accounts:
        return pages.problem_page(request, wording.NOT_AVAILABLE, status=503)
    account = _chosen(request, accounts)
    if account is None:
        return _choose(request, accounts)
    if payer_id := payer.known_payer(request, account):
        if is_blocked(payer_id=payer_id, notify_url=pay_code.notify_url, now=timezone.now()):
            return pages.problem_page(request, wording.REFUSED, status=403)
        return _amount_page(request, pay_code, account)
    if not pages.in_wallet(request, channel=account.channel) and not _in_sandbox(account):
        return _scan_it(request, accounts)
    return _ask_who(request, pay_code, account)


@pages.page_view
@require_safe
@per_address(DOOR_IDENTIFY)
def identified(request: HttpRequest) -> HttpResponse:
    """The channel sends the browser here with a one-time code. It redirects on, so no code stays in the history."""
    browser, state = payer.browser_of(request), request.GET.get("state", "")
    try:
        token, channel = payer.read_state(state, browser=browser, now=timezone.now())
    except payer.StateRefused:
        again_url = _pay_url(payer.pay_code_named_in(state))
        return pages.problem_page(request, wording.OTHER_BROWSER, status=403, again_url=again_url)
    pay_code = queries.active_pay_code(token=token)
    response = redirect(f"{reverse('cashier-pay', args=[token])}{_by(channel, pay_code)}")
    try:
        account = cashier.account_of(pay_code, channel=channel)
        if not payer.known_payer(request, account):
            payer_id = _identify(request, account, browser=browser)
            payer.remember_payer(response, account, payer_id=payer_id)
    except ChannelNotAvailable:
        return pages.problem_page(request, wording.NOT_AVAILABLE, status=503)
    except cashier.PayerUnknown:
        words = wording.named(wording.PAYER_UNKNOWN, channel=channel)
        return pages.problem_page(request, words, status=502, again_url=_pay_url(token))
    return response


@pages.json_view
@require_POST
@per_address(DOOR_ORDERS)
def place_order(request: HttpRequest, token: str) -> HttpResponse:
    """An order for what was typed. The same attempt with the same amount is the same order."""
    pay_code = queries.active_pay_code(token=token)
    try:
        typed = _read_typed(request)
        account = cashier.account_of(pay_code, channel=pay_code.channel or request.GET.get("wallet", ""))
        payer_id = payer.known_payer(request, account)
        if not payer_id:
            return pages.problem(status=401, code="PAYER_UNKNOWN", detail=wording.OPEN_AGAIN)
        order = cashier.pay_by_code(
            pay_code=pay_code, channel=account.channel, amount_literal=typed.amount, payer_id=payer_id,
            client_ip=client_ip(request), attempt=typed.attempt, now=timezone.now(),
        )  # fmt: skip
    except NotTyped:
        return pages.problem(status=400, code="INVALID_REQUEST", detail=wording.MALFORMED)
    except AmountError as error:
        words = wording.amount_problem(error)
        return pages.problem(status=400, code=error.code, detail=words, reason=error.reason)
    except OutTradeNoReused:
        return pages.problem(status=409, code="ATTEMPT_USED", detail=wording.CHANGED, attempt=_new_attempt())
    except (ChannelNotAvailable, Blacklisted) as error:
        status, said = (403, wording.REFUSED) if isinstance(error, Blacklisted) else (503, wording.NOT_AVAILABLE)
        return pages.problem(status=status, code=error.code, detail=said.title)
    return JsonResponse({"cashier_url": reverse("cashier-order", args=[order.cashier_token])}, status=201)


def _chosen(request: HttpRequest, accounts: Mapping[str, ChannelAccount]) -> ChannelAccount | None:
    """The account of the app on the phone that this browser is in; else the one that was chosen, or the only one."""
    inside = (account for channel, account in accounts.items() if pages.in_wallet(request, channel=channel))
    only = next(iter(accounts.values())) if len(accounts) == 1 else None
    return next(inside, None) or accounts.get(request.GET.get("wallet", "")) or only


def _choose(request: HttpRequest, accounts: Mapping[str, ChannelAccount]) -> HttpResponse:
    """No app on the phone decides. Only in the sandbox may somebody choose: it stands in for each of them."""
    wallets = [(channel, CHANNELS[channel].wallet) for channel, account in accounts.items() if _in_sandbox(account)]
    if not wallets:
        return _scan_it(request, accounts)
    return pages.show_page(request, "cashier/choose.html", {"words": wording.CHOOSE, "wallets": wallets})


def _scan_it(request: HttpRequest, channels: Collection[str]) -> HttpResponse:
    words = wording.named_all(wording.SCAN_IN_THE_WALLET, channels=channels)
    return pages.problem_page(request, words, status=403, icon="outside")


def _amount_page(request: HttpRequest, pay_code: PayCode, account: ChannelAccount) -> HttpResponse:
    config = {
        "orders_url": f"{reverse('cashier-place-order', args=[pay_code.token])}{_by(account.channel, pay_code)}",
        "csrf_token": get_token(request), "attempt": _new_attempt(), "max_fen": settings.ORDER_AMOUNT_MAX_FEN,
        "amount_words": wording.amount_words(), "no_network": str(wording.NO_NETWORK),
        "server_down": str(wording.SERVER_DOWN),
    }  # fmt: skip
    context = {
        "merchant": pay_code.app.merchant.name, "label": pay_code.label, "config": config,
        "is_sandbox": _in_sandbox(account), "keys": "123456789",
    }  # fmt: skip
    return pages.show_page(request, "cashier/pay.html", context)


def _ask_who(request: HttpRequest, pay_code: PayCode, account: ChannelAccount) -> HttpResponse:
    browser = payer.browser_of(request)
    where = cashier.authorize_url(
        account, redirect_uri=f"{settings.PUBLIC_BASE_URL}{reverse('cashier-identified')}",
        state=payer.make_state(
            pay_code_token=pay_code.token, channel=account.channel, browser=browser, now=timezone.now()
        ),
    )  # fmt: skip
    response = HttpResponseRedirect(where)
    payer.remember_browser(response, browser)
    return response


def _identify(request: HttpRequest, account: ChannelAccount, *, browser: str) -> str:
    code = request.GET.get(cashier.code_parameter(account), "")
    if not code:
        raise cashier.PayerUnknown  # the payer declined
    agent = request.headers.get("User-Agent", "")
    return exchange_once(
        code=code, scope=f"{account.pk}:{browser}",
        exchange=lambda: cashier.identify_payer(account, code=code, user_agent=agent),
    )  # fmt: skip


def _read_typed(request: HttpRequest) -> Typed:
    """Raises NotTyped. The amount is taken as text only: a JSON number would have been through a float."""
    try:
        if request.content_type != "application/json" or len(request.body) > BODY_BYTES_MAX:
            raise NotTyped
        fields = json.loads(request.body)
    except (ValueError, RecursionError, RequestDataTooBig, UnreadablePostError) as error:
        raise NotTyped from error
    match fields:
        case {"amount": str(amount), "attempt": str(attempt), **rest} if not rest and _ATTEMPT.fullmatch(attempt):
            return Typed(amount=amount, attempt=attempt)
        case _:
            raise NotTyped


def _new_attempt() -> str:
    return secrets.token_hex(ATTEMPT_BYTES)


def _in_sandbox(account: ChannelAccount) -> bool:
    return settings.CASHIER_SANDBOX and account.is_sandbox


def _by(channel: str, pay_code: PayCode) -> str:
    """The query that keeps the choice of a code that is for every wallet."""
    return "" if pay_code.channel else f"?{urlencode({'wallet': channel})}"


def _pay_url(token: str) -> str:
    """On the host that the cookies belong to, which is the one that the channel knows."""
    return f"{settings.PUBLIC_BASE_URL}{reverse('cashier-pay', args=[token])}" if token else ""
