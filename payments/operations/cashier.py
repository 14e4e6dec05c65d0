"""The payer's side: who pays, how much, and what the page may show. What it shows is what the server knows."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from payments import queries
from payments.channels.base import Accepted
from payments.channels.registry import CHANNELS
from payments.errors import PaymentsError
from payments.models import ChannelAccount, Order, OrderWish, PayCode, Payment
from payments.money import fen_from_literal
from payments.operations.accounts import ChannelNotAvailable, active_account, cashier_url, open_account
from payments.operations.orders import create_order
from payments.states import ORDER_OPEN, OrderStatus, PaymentStatus

PAY_CODE_METHOD = "jsapi"


class PayerUnknown(PaymentsError):
    """The channel did not say who the payer is; opening the page again may help."""

    code = "PAYER_UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class CashierState:
    """What the payer's page shows. `pay` is what the bridge needs; `sandbox_url` the stand-in phone page, if any."""

    status: str
    may_change: bool
    pay: dict[str, str] | None
    sandbox_url: str
    is_sandbox: bool


def accounts_of(pay_code: PayCode) -> dict[str, ChannelAccount]:
    """The channel accounts that a pay code collects into now, by channel."""
    found = {}
    for channel in [pay_code.channel] if pay_code.channel else CHANNELS:
        with suppress(ChannelNotAvailable):
            found[channel] = account_of(pay_code, channel=channel)
    return found


def account_of(pay_code: PayCode, *, channel: str) -> ChannelAccount:
    """The one for payers at `channel`. Raises ChannelNotAvailable, also where it cannot ask who pays."""
    if pay_code.channel not in {"", channel}:
        raise ChannelNotAvailable
    account = active_account(app=pay_code.app, channel=channel, method=PAY_CODE_METHOD)
    if not CHANNELS[channel].account_shape.may_ask_payers(account.settings):
        raise ChannelNotAvailable
    return account


def authorize_url(account: ChannelAccount, *, redirect_uri: str, state: str) -> str:
    """Where the payer's browser goes to say who it is."""
    return open_account(account).authorize_url(redirect_uri=redirect_uri, state=state)


def code_parameter(account: ChannelAccount) -> str:
    """Under which name the channel sends the one-time code back."""
    return CHANNELS[account.channel].code_parameter


def identify_payer(account: ChannelAccount, *, code: str, user_agent: str) -> str:
    """The payer's id for a one-time code; asks the channel under its deadline. Raises PayerUnknown."""
    answer = open_account(account).payer_id(code=code, user_agent=user_agent)
    if not isinstance(answer, Accepted):
        raise PayerUnknown
    return answer.facts


def pay_by_code(
    *, pay_code: PayCode, channel: str, amount_literal: str, payer_id: str, client_ip: str, attempt: str, now: datetime
) -> Order:
    """An order for what the payer typed. `attempt` makes a second tap the same order. The payer's address is kept only
    where the channel wants it.

    Raises an AmountError, OutTradeNoReused (same attempt, other amount), ChannelNotAvailable, Blacklisted.
    """
    amount_fen = fen_from_literal(amount_literal, max_fen=settings.ORDER_AMOUNT_MAX_FEN)
    content = json.dumps([pay_code.token, channel, amount_fen, payer_id])
    wish = OrderWish(
        out_trade_no=f"P{attempt}", amount_fen=amount_fen, subject=pay_code.label, channel=channel,
        method=PAY_CODE_METHOD, payer_id=payer_id, notify_url=pay_code.notify_url, return_url="", metadata={},
        expires_at=now + settings.ORDER_LIFETIME, digest=hashlib.sha256(content.encode()).hexdigest(),
        client_ip=client_ip if "client_ip" in CHANNELS[channel].capabilities.methods[PAY_CODE_METHOD] else "",
    )  # fmt: skip
    order, _created = create_order(app=pay_code.app, wish=wish, now=now, pay_code=pay_code)
    return order


def cashier_state(order: Order, *, language: str, now: datetime) -> CashierState:
    """The order as the payer may see it, with parameters signed at `now` while it can be paid."""
    payment = queries.visible_payment(order)
    is_sandbox = settings.CASHIER_SANDBOX and payment is not None and payment.account.is_sandbox
    pay, sandbox_url = None, ""
    if payment is not None and _can_be_paid(order, payment, now=now):
        channel = open_account(payment.account)
        pay = channel.page_parameters(payment.prepay, now=now)
        if is_sandbox:
            sandbox_url = channel.sandbox_page_url(pay, return_to=cashier_url(order), language=language)
    may_change = OrderStatus(order.status) in ORDER_OPEN
    return CashierState(
        status=order.status, may_change=may_change, pay=pay, sandbox_url=sandbox_url, is_sandbox=is_sandbox
    )


def _can_be_paid(order: Order, payment: Payment, *, now: datetime) -> bool:
    """Whether the channel would take money: open on both sides, and neither the order nor the prepay is too old."""
    in_time = (
        bool(payment.prepay)
        and now < order.expires_at
        and (payment.prepay_expires_at is None or now < payment.prepay_expires_at)
    )
    return in_time and (order.status, payment.status) == (OrderStatus.PAYING, PaymentStatus.PAYING)
