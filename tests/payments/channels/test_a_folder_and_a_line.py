"""A channel that nobody here has heard of works everywhere as soon as the registry has it."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from openplatform.models import Merchant
from payments.api.presenters import present_order
from payments.api.serializers import OrderSerializer
from payments.channels.account_shape import AccountShape
from payments.channels.base import (
    Accepted,
    Callback,
    Capabilities,
    Prepay,
    RefundFacts,
    RefundState,
    TradeFacts,
    TradeState,
)
from payments.channels.registry import CHANNELS
from payments.channels.wallets import Bridge, Wallet
from payments.models import PayCode, Refund
from payments.operations import orders, payments, refunds
from payments.operations.channel_accounts import register_account
from tests import factories
from tests.factories import again, the_payment
from tests.openplatform import harness

pytestmark = pytest.mark.django_db(transaction=True)
KEY = harness.a_key()
BRIDGE = Bridge(
    object="TinBridge", ready_event="TinReady", method="open", call="pay", parameters=("tin",), answer="said",
    outcomes={"yes": "ok"}, otherwise="fail",
)  # fmt: skip


class TinChannel:
    """Takes whatever it is asked for, and remembers it."""

    name = "tin"
    label = "Tin Can"
    is_model = False
    wallet = Wallet(app="Tin App", service="Tin Service", agent="TinApp", bridge=BRIDGE)
    account_shape = AccountShape(
        their_keys="keys", identity=frozenset({"no"}), payers_by=frozenset({"no"}), settings=frozenset({"no", "keys"}),
        settings_maybe=frozenset(), secrets=frozenset({"private_key_pem"}), secrets_maybe=frozenset(),
        payers_asked_by=frozenset(),
    )  # fmt: skip
    capabilities = Capabilities(methods={"jsapi": frozenset({"openid"})})
    code_parameter = "tin_code"
    query_schedule_s = refund_schedule_s = (1,)
    paid: dict = {}

    def __init__(self, config):
        self.config, self.endpoint = config, "tin.example"

    def create(self, request, *, now):
        return Accepted(facts=Prepay(values={"tin": str(request.payment_no)}, valid_for=timedelta(hours=1)))

    def query(self, *, payment_no, now):
        return Accepted(facts=TradeFacts(state=TradeState.NOT_PAID, payment_no=payment_no))

    def refund(self, request, *, now):
        return Accepted(
            facts=RefundFacts(
                state=RefundState.SUCCEEDED, refund_no=request.refund_no, payment_no=request.payment_no,
                amount_fen=request.amount_fen, channel_refund_no="TR1",
            )
        )  # fmt: skip

    def page_parameters(self, prepay, *, now):
        return dict(prepay)

    def read_callback(self, *, headers, body, now):
        told = json.loads(body)
        facts = TradeFacts(
            state=TradeState.PAID, payment_no=int(told["no"]), channel_trade_no="T1", amount_fen=told["fen"]
        )
        return Callback(callback_id="C1", event_type="paid", facts=facts)

    def callback_answer(self, *, problem=""):
        return (500, b"no") if problem else (200, b"rattle")

    def authorize_url(self, *, redirect_uri, state):
        return f"https://tin.example/who?back={redirect_uri}&state={state}"

    def sandbox_page_url(self, page, *, return_to, language):
        return ""


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setitem(CHANNELS, "tin", TinChannel)
    app = factories.an_app(with_account=False)
    register_account(
        merchant=Merchant.objects.get(pk=app.merchant_id), channel="tin", name="tin", rank=0, now=timezone.now(),
        settings={"no": "1", "keys": {"": harness.public_pem(KEY)}},
        secrets={"private_key_pem": harness.private_pem(KEY)},
    )  # fmt: skip
    return app


def an_order(app):
    body = {
        "out_trade_no": "TIN00001", "amount": "40.30", "subject": "coffee", "channel": "tin", "method": "jsapi",
        "payer": {"openid": "t1"},
    }  # fmt: skip
    asked = OrderSerializer(data=body, context={"now": timezone.now(), "app_id": app.pk})
    asked.is_valid(raise_exception=True)
    order, _created = orders.create_order(app=app, wish=asked.wish(), now=timezone.now())
    payments.drive_payment(payment_no=the_payment(order).pk, clock=timezone.now)
    return again(order)


def tell_paid(order):
    account = the_payment(order).account
    body = json.dumps({"no": str(the_payment(order).pk), "fen": order.amount_fen})
    return Client().post(f"/callbacks/tin/{account.pk}", body, content_type="application/json")


def test_an_order_is_payable_by_its_bridge_paid_by_its_callback_and_refunded(app):
    order = an_order(app)
    assert present_order(order, now=timezone.now())["jsapi"] == {"tin": str(the_payment(order).pk)}
    answer = tell_paid(order)
    assert (answer.content, answer["Content-Type"].partition(";")[0]) == (b"rattle", "text/plain")
    assert again(order).status == "SUCCEEDED"
    refund, _created = refunds.create_refund(
        app=app, order_no=order.pk, wish=factories.a_refund_wish(), now=timezone.now()
    )
    refunds.drive_refund(refund_no=refund.pk, clock=timezone.now)
    assert Refund.objects.get().status == "SUCCEEDED"


def test_the_cashier_speaks_of_its_app_and_opens_its_bridge(app):
    order = an_order(app)
    page = Client(headers={"Accept-Language": "en"}).get(f"/cashier/{order.cashier_token}").content.decode()
    config = json.loads(page.partition('<script id="config" type="application/json">')[2].partition("</script>")[0])
    assert config["words"]["ready"]["button"] == "Pay with Tin App"
    assert (config["wallet"]["agent"], config["wallet"]["bridge"]["object"]) == ("TinApp", "TinBridge")


def test_its_printed_code_asks_who_pays_in_its_app_alone(app):
    code = PayCode.issue(app=app, channel="tin", label="Counter", now=timezone.now())
    assert Client().get(f"/pay/{code.token}").status_code == 403
    inside = Client(headers={"User-Agent": "Phone TinApp/1"}).get(f"/pay/{code.token}")
    assert inside["Location"].startswith("https://tin.example/who?")


def test_the_console_names_it_and_offers_it_for_pay_codes(app, admin_client):
    order = an_order(app)
    for name in ("order", "payment", "channelaccount"):
        assert "Tin Can" in admin_client.get(reverse(f"admin:payments_{name}_changelist")).content.decode()
    assert str(order.pk) in admin_client.get(reverse("admin:payments_order_changelist")).content.decode()
    assert "Tin Can" in admin_client.get(reverse("admin:payments_paycode_add")).content.decode()
