"""Rows in each state that a test may start from, made by the project's own factories and moves."""

import itertools
import secrets
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.hazmat.primitives import serialization

from openplatform.models import App, Merchant
from payments.channels.base import Accepted, Prepay, RefundFacts, RefundState, TradeFacts, TradeState
from payments.models import ChannelAccount, Order, OrderWish, PayCode, Payment, Refund, RefundWish
from payments.operations import orders, payments, refunds
from tests.lent_keys import a_key_for_the_run

NOW = datetime(2026, 1, 2, 4, 0, tzinfo=UTC)  # some time ago, so that what is valid since then is valid
_count = itertools.count(1)


@lru_cache(maxsize=1)
def key_pair() -> tuple[str, str]:
    """A private and a public PEM, made once a run."""
    key = a_key_for_the_run()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def an_app(*, merchant: Merchant | None = None, with_account: bool = True) -> App:
    merchant = merchant or Merchant.register(name=f"merchant {next(_count)}", now=NOW)
    if with_account and not ChannelAccount.objects.filter(merchant=merchant).exists():
        an_account(merchant)
    return App.register(merchant=merchant, name=f"app {next(_count)}", now=NOW)


def an_account(merchant: Merchant, *, api_base: str = "http://127.0.0.1:9") -> ChannelAccount:
    """An account at a channel that nobody serves, unless `api_base` says otherwise."""
    private, public = key_pair()
    return ChannelAccount.register(
        merchant=merchant, channel="wechatpay", name="wechatpay", now=NOW, is_sandbox=True,
        settings={
            "mchid": f"19000{next(_count):05d}", "appid": "wx0000000000000001", "merchant_serial_no": "A" * 40,
            "api_base": api_base, "platform_keys": {"PUB_KEY_ID_1": public}, "answer_key_serial": "PUB_KEY_ID_1",
            "oauth_authorize_url": f"{api_base}/connect/oauth2/authorize", "oauth_api_base": api_base,
            "phone_base": f"{api_base}/phone",
        },
        secrets={"private_key_pem": private, "apiv3_key": "k" * 32, "app_secret": "s" * 32},
    )  # fmt: skip


def an_alipay_account(merchant: Merchant) -> ChannelAccount:
    """The same at Alipay."""
    private, public = key_pair()
    return ChannelAccount.register(
        merchant=merchant, channel="alipay", name="alipay", now=NOW, is_sandbox=True,
        settings={
            "app_id": "2021000000000001", "seller_id": "2088000000000001", "gateway": "http://127.0.0.1:9/gateway.do",
            "alipay_keys": {"": public}, "oauth_authorize_url": "http://127.0.0.1:9/oauth",
            "phone_base": "http://127.0.0.1:9/phone",
        },
        secrets={"private_key_pem": private},
    )  # fmt: skip


def a_pay_code(app: App | None = None) -> PayCode:
    return PayCode.issue(app=app or an_app(), channel="wechatpay", label="Fen Coffee", now=NOW)


def an_order_wish(**changes: object) -> OrderWish:
    number = next(_count)
    values: dict = {
        "out_trade_no": f"T{number:08d}", "amount_fen": 4030, "subject": "two coffees", "channel": "wechatpay",
        "method": "jsapi", "payer_id": "o-payer-1", "notify_url": "", "return_url": "",
        "expires_at": NOW + timedelta(hours=2), "metadata": {}, "digest": secrets.token_hex(32),
    }  # fmt: skip
    return OrderWish(**(values | changes))


def a_refund_wish(**changes: object) -> RefundWish:
    values: dict = {
        "out_refund_no": f"R{next(_count):08d}", "amount_fen": 1000, "reason": "", "notify_url": "",
        "digest": secrets.token_hex(32),
    }  # fmt: skip
    return RefundWish(**(values | changes))


def a_submitting_order(
    *, app: App | None = None, pay_code: PayCode | None = None, now: datetime = NOW, **changes: object
) -> Order:
    wish = an_order_wish(**changes)
    order, _created = orders.create_order(app=app or an_app(), wish=wish, now=now, pay_code=pay_code)
    return order


def a_paying_order(*, now: datetime = NOW, **changes: object) -> Order:
    order = a_submitting_order(now=now, **changes)
    prepay = {"prepay_id": "wx-prepay-1"} if order.method == "jsapi" else {"code_url": "weixin://wxpay/bizpayurl?pr=1"}
    payments.record_create(
        claimed=the_payment(order), now=now,
        answer=Accepted(facts=Prepay(values=prepay, valid_for=timedelta(hours=2))),
    )  # fmt: skip
    return again(order)


def a_paid_order(*, now: datetime = NOW, **changes: object) -> Order:
    order = a_paying_order(now=now, **changes)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=paid(order)), now=now)
    return again(order)


def a_closed_order(*, now: datetime = NOW, **changes: object) -> Order:
    order = a_paying_order(now=now, **changes)
    orders.close_order(app=order.app, order_no=order.pk, now=now)
    facts = TradeFacts(state=TradeState.CLOSED, payment_no=the_payment(order).pk)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=now)
    return again(order)


def a_submitting_refund(*, order: Order | None = None, now: datetime = NOW, **changes: object) -> Refund:
    order = order or a_paid_order()
    wish = a_refund_wish(**changes)
    refund, _created = refunds.create_refund(app=order.app, order_no=order.pk, wish=wish, now=now)
    return refund


def paid(order: Order, **changes: object) -> TradeFacts:
    """What the channel says of an order's newest payment when it is paid."""
    payment = the_payment(order)
    values: dict = {
        "state": TradeState.PAID, "payment_no": payment.pk, "channel_trade_no": f"4200{payment.pk}",
        "amount_fen": payment.amount_fen, "paid_at": NOW,
    }  # fmt: skip
    return TradeFacts(**(values | changes))


def refund_said(refund: Refund, state: RefundState, **changes: object) -> RefundFacts:
    """What the channel says of a refund."""
    values: dict = {
        "state": state, "refund_no": refund.pk, "payment_no": refund.payment_id,
        "channel_refund_no": f"5030{refund.pk}", "amount_fen": refund.amount_fen, "succeeded_at": NOW,
    }  # fmt: skip
    return RefundFacts(**(values | changes))


def the_payment(order: Order) -> Payment:
    payment = order.payments.order_by("-payment_no").first()
    assert payment is not None
    return payment


def again(row):
    """The row as the database has it now."""
    return type(row).objects.get(pk=row.pk)
