"""WeChat Pay's addresses, rule by rule: what a program that was written for WeChat Pay sees of us."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform.caches import clear_all
from openplatform.keys import create_platform_key, live_platform_keys
from openplatform.models import App, Notification, PlatformKey
from openplatform.sealing import SealingError
from payments.channels.base import Accepted, RefundState, Rejected, TradeFacts, TradeState
from payments.models import Door, Order, Refund
from payments.operations import orders, payments, refunds
from tests import factories
from tests.factories import again, the_payment
from tests.payments.api.test_orders_api import Worker, accepted
from tests.signed import Merchant

JSAPI, NATIVE = "/v3/pay/transactions/jsapi", "/v3/pay/transactions/native"
REFUNDS = "/v3/refund/domestic/refunds"
NOTIFY_URL = "https://shop.example/notify"
NOW = factories.NOW


class FaceMerchant(Merchant):
    """Signs as a client of WeChat Pay does."""

    prefix, scheme = "", "WECHATPAY2-SHA256-RSA2048"

    def __init__(self, app: App) -> None:
        self.api_key = app.open_wechatpay_face()
        super().__init__(app)

    def wish(self, **changes):
        fields = {
            "appid": "wx0000000000000001", "mchid": str(self.app.pk), "description": "两杯咖啡",
            "out_trade_no": "A20261123000001", "notify_url": NOTIFY_URL, "amount": {"total": 4030, "currency": "CNY"},
        }  # fmt: skip
        return {name: value for name, value in (fields | changes).items() if value is not None}

    def refund_wish(self, order, **changes):
        fields = {
            "out_trade_no": order.out_trade_no, "out_refund_no": "R1", "reason": "洒了",
            "amount": {"refund": 1000, "total": 4030, "currency": "CNY"},
        }  # fmt: skip
        return {name: value for name, value in (fields | changes).items() if value is not None}

    def query(self, number: str, **sign):
        return self.send(
            "GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.app.pk}", b"", sign=sign or None
        )

    def close(self, number: str):
        return self.post(f"/v3/pay/transactions/out-trade-no/{number}/close", {"mchid": str(self.app.pk)})


@pytest.fixture(autouse=True)
def nobody_waits(settings):
    settings.CREATE_WAIT_S = 0.0


@pytest.fixture
def merchant(transactional_db):
    return FaceMerchant(factories.an_app())


@pytest.fixture
def stranger(merchant):
    return FaceMerchant(factories.an_app())


def native(merchant, **changes):
    """An order that came in by the face, as the channel has accepted it."""
    assert merchant.post(NATIVE, merchant.wish(**changes)).code == "SYSTEM_ERROR"  # nobody has asked the channel yet
    order = Order.objects.latest("created_at")
    answer = accepted(code_url="weixin://wxpay/bizpayurl?pr=1")
    payments.record_create(claimed=the_payment(order), answer=answer, now=timezone.now())
    return again(order)


def paid(merchant, **changes):
    order = native(merchant, **changes)
    answer = Accepted(facts=factories.paid(order))
    payments.record_query(claimed=the_payment(order), answer=answer, now=timezone.now())
    return again(order)


# --- who may come in --------------------------------------------------------------------------------------------------


def test_an_app_without_the_switch_is_refused_like_a_wrong_signature(merchant):
    merchant.app.close_wechatpay_face()
    clear_all()
    answer = merchant.post(NATIVE, merchant.wish())
    assert (answer.status, answer.code) == (401, "SIGN_ERROR")
    assert not answer.is_signed_under("Wechatpay")
    wrong = merchant.send("POST", NATIVE, b"{}", sign={"signature": "A" * 342 + "=="})
    assert answer.fields == wrong.fields
    assert answer.headers["WWW-Authenticate"] == "WECHATPAY2-SHA256-RSA2048"
    assert not Order.objects.exists()


def test_our_own_scheme_name_is_refused_at_their_addresses(merchant):
    merchant.scheme = "FENPAY-SHA256-RSA2048"
    assert merchant.post(NATIVE, merchant.wish()).code == "SIGN_ERROR"
    assert merchant.get("/v3/certificates").code == "SIGN_ERROR"


def test_what_is_signed_for_their_address_is_worth_nothing_at_ours(merchant):
    body = json.dumps(merchant.wish()).encode()
    authorization = merchant.authorization(method="POST", target=NATIVE, body=body)
    answer = merchant.client.generic(
        "POST", "/openapi/v1/orders", body, content_type="application/json", headers={"Authorization": authorization}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")


def test_a_nonce_counts_once_here_too(merchant):
    first = merchant.query("A20261123000001", nonce="n" * 32)
    second = merchant.query("A20261123000001", nonce="n" * 32)
    assert (first.code, second.code) == ("ORDER_NOT_EXIST", "SIGN_ERROR")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v3/certificates?mchid=1", 400),
        ("GET", "/v3/pay/transactions/out-trade-no/A2026112%33000001?mchid=1", 400),
        ("GET", "/v3/pay/transactions/out-trade-no/A%7c000001?mchid=1", 400),
        ("GET", NATIVE, 405),
        ("GET", "/v3/pay/transactions/h5", 404),
    ],
)
def test_an_address_that_is_spelt_otherwise_is_refused(merchant, method, path, status):
    assert merchant.send(method, path, b"").status == status


def test_a_disabled_app_is_told_so_after_its_signature_was_proven(merchant):
    merchant.app.disable()
    clear_all()
    answer = merchant.get("/v3/certificates")
    assert (answer.status, answer.code) == (403, "NO_AUTH")


def test_mchid_is_the_caller(merchant, stranger):
    foreign = str(stranger.app.pk)
    assert merchant.post(NATIVE, merchant.wish(mchid=foreign)).fields["detail"]["field"] == "/mchid"
    native(merchant)
    path = "/v3/pay/transactions/out-trade-no/A20261123000001"
    for query in ("", f"?mchid={foreign}"):
        answer = merchant.get(path + query)
        assert (answer.status, answer.code) == (400, "PARAM_ERROR")
        assert answer.fields["detail"]["location"] == "uri_template"
    assert merchant.post(f"{path}/close", {"mchid": foreign}).code == "PARAM_ERROR"


# --- create -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "total", ["true", "40.3", '"4030"', "4030.0", "4.03e3", "0", "-1", "-0", "null", "1000000001", "[4030]"]
)
def test_an_amount_is_a_whole_number_of_fen(merchant, total):
    body = json.dumps(merchant.wish(amount={"total": "@"})).replace('"@"', total).encode()
    answer = merchant.post(NATIVE, body)
    assert (answer.status, answer.code) == (400, "PARAM_ERROR")
    assert answer.fields["detail"]["field"] == "/amount/total"
    assert answer.is_signed_under("Wechatpay")
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"goods_tag": "WXG"}, "/goods_tag"),
        ({"limit_pay": ["no_credit"]}, "/limit_pay"),
        ({"detail": {"cost_price": 5000}}, "/detail"),
        ({"settle_info": {"profit_sharing": True}}, "/settle_info/profit_sharing"),
        ({"payer": {"openid": "o-1"}}, "/payer"),
        ({"sub_mchid": "1"}, "/sub_mchid"),
        ({"time_expire": "2020-01-01T00:00:00+08:00"}, "/time_expire"),
        ({"amount": {"total": 1, "currency": "USD"}}, "/amount/currency"),
        ({"out_trade_no": "short"}, "/out_trade_no"),
        ({"out_trade_no": "A2026/1123"}, "/out_trade_no"),
        ({"notify_url": None}, "/notify_url"),
        ({"notify_url": "http://127.0.0.1/notify"}, "/notify_url"),
        ({"attach": "x" * 129}, "/attach"),
        ({"description": 5}, "/description"),
    ],
)
def test_a_field_that_is_wrong_or_would_change_who_pays_what_is_refused_by_its_name(merchant, changes, field):
    answer = merchant.post(NATIVE, merchant.wish(**changes))
    assert (answer.status, answer.code) == (400, "PARAM_ERROR")
    assert answer.fields["detail"]["field"] == field
    assert field in answer.fields["message"]
    assert not Order.objects.exists()


def test_what_the_money_does_not_depend_on_is_left_aside(merchant):
    order = native(
        merchant, scene_info={"payer_client_ip": "14.23.150.211", "device_id": "7"}, support_fapiao=True,
        settle_info={"profit_sharing": False}, goods_tag="", attach="table 7",
        time_expire=(timezone.now() + timedelta(hours=1)).isoformat(timespec="seconds"),
    )  # fmt: skip
    assert order.door == Door.WECHATPAY
    assert order.expires_at - order.created_at < timedelta(hours=1)
    assert merchant.query(order.out_trade_no).fields["attach"] == "table 7"


def test_an_appid_of_somebody_else_is_refused(merchant):
    answer = merchant.post(NATIVE, merchant.wish(appid="wx0000000000000002"))
    assert (answer.status, answer.code) == (400, "APPID_MCHID_NOT_MATCH")
    assert not Order.objects.exists()


def test_a_merchant_without_a_channel_account_has_no_right_to_create(transactional_db):
    merchant = FaceMerchant(factories.an_app(with_account=False))
    answer = merchant.post(NATIVE, merchant.wish())
    assert (answer.status, answer.code) == (403, "NO_AUTH")


def test_a_create_waits_for_the_channel_and_answers_with_its_prepay_id(merchant, settings):
    settings.CREATE_WAIT_S = 3.0
    worker = Worker(accepted(prepay_id="wx201"))
    worker.start()
    answer = merchant.post(JSAPI, merchant.wish(payer={"openid": "o-1"}))
    worker.join()
    assert (answer.status, answer.fields["prepay_id"]) == (200, "wx201")
    assert answer.fields["fenpay"]["jsapi"]["package"] == "prepay_id=wx201"
    assert answer.fields["fenpay"]["cashier_url"].endswith(Order.objects.get().cashier_token)
    assert answer.is_signed_under("Wechatpay")


def test_while_the_channel_has_not_answered_the_outcome_is_unknown_and_not_failed(merchant):
    answer = merchant.post(NATIVE, merchant.wish())
    assert (answer.status, answer.code) == (500, "SYSTEM_ERROR")
    assert Order.objects.get().status == "SUBMITTING"
    assert merchant.query("A20261123000001").fields["trade_state"] == "NOTPAY"


def test_the_same_number_with_the_same_content_is_the_same_order(merchant):
    native(merchant)
    assert merchant.post(NATIVE, merchant.wish()).fields == {"code_url": "weixin://wxpay/bizpayurl?pr=1"}
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    "changes", [{"amount": {"total": 4031}}, {"attach": "x"}, {"description": "tea"}, {"support_fapiao": True}]
)
def test_the_same_number_with_other_content_is_used(merchant, changes):
    native(merchant)
    answer = merchant.post(NATIVE, merchant.wish(**changes))
    assert (answer.status, answer.code) == (403, "OUT_TRADE_NO_USED")
    answer = merchant.post(JSAPI, merchant.wish(payer={"openid": "o-1"}))
    assert (answer.status, answer.code) == (403, "OUT_TRADE_NO_USED")
    assert Order.objects.count() == 1


def test_a_paid_order_cannot_be_created_again(merchant):
    paid(merchant)
    answer = merchant.post(NATIVE, merchant.wish())
    assert (answer.status, answer.code, answer.fields["message"]) == (403, "OUT_TRADE_NO_USED", "订单已支付")


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [("RULE_LIMIT", 403, "RULE_LIMIT"), ("PARAM_ERROR", 400, "PARAM_ERROR"), ("SIGN_ERROR", 403, "TRADE_ERROR")],
)
def test_a_refusal_of_the_channel_comes_in_its_own_words_but_never_as_a_doubt_of_the_callers_signature(
    merchant, said, status, code
):
    merchant.post(NATIVE, merchant.wish())
    order = Order.objects.get()
    payments.record_create(
        claimed=the_payment(order), answer=Rejected(code=said), is_unknown_there=True, now=timezone.now()
    )
    answer = merchant.post(NATIVE, merchant.wish())
    assert (answer.status, answer.code) == (status, code)
    assert merchant.query(order.out_trade_no).fields["trade_state"] == "PAYERROR"
    assert merchant.close(order.out_trade_no).status == 204
    assert not Notification.objects.exists()  # theirs has no such event


# --- query and close --------------------------------------------------------------------------------------------------


def test_a_paid_order_looks_as_theirs_does(merchant):
    order = paid(merchant)
    found = merchant.query(order.out_trade_no)
    assert found.fields == {
        "appid": "wx0000000000000001", "mchid": str(merchant.app.pk), "out_trade_no": order.out_trade_no,
        "transaction_id": the_payment(order).channel_trade_no, "trade_type": "NATIVE", "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功", "bank_type": "OTHERS", "attach": "",
        "success_time": "2026-01-02T12:00:00+08:00",
        "amount": {"total": 4030, "payer_total": 4030, "currency": "CNY", "payer_currency": "CNY"},
    }  # fmt: skip
    assert found.is_signed_under("Wechatpay")
    path = f"/v3/pay/transactions/id/{the_payment(order).channel_trade_no}?mchid={merchant.app.pk}"
    assert merchant.get(path).fields == found.fields


def test_another_apps_order_does_not_exist(merchant, stranger):
    order = paid(merchant)
    assert (stranger.query(order.out_trade_no).status, stranger.close(order.out_trade_no).status) == (404, 404)
    number = the_payment(order).channel_trade_no
    answer = stranger.get(f"/v3/pay/transactions/id/{number}?mchid={stranger.app.pk}")
    assert (answer.status, answer.code) == (404, "ORDER_NOT_EXIST")
    refund = stranger.post(REFUNDS, stranger.refund_wish(order))
    assert (refund.status, refund.code) == (404, "RESOURCE_NOT_EXISTS")
    factories.a_submitting_refund(order=order, out_refund_no="R1")
    assert merchant.get(f"{REFUNDS}/R1").status == 200
    assert (stranger.get(f"{REFUNDS}/R1").status, stranger.get(f"{REFUNDS}/R1").code) == (404, "RESOURCE_NOT_EXISTS")


def test_a_number_may_hold_what_theirs_may_however_a_client_spells_it(merchant):
    order = native(merchant, out_trade_no="A|2026*11-23_1")
    for spelt in ("A%7C2026*11-23_1", "A%7C2026%2A11-23_1"):
        assert merchant.query(spelt).fields["out_trade_no"] == order.out_trade_no
    merchant.post(REFUNDS, merchant.refund_wish(paid(merchant, out_trade_no="B20261123"), out_refund_no="R@1|*"))
    for spelt in ("R@1%7C*", "R%401%7C%2A"):
        assert merchant.get(f"{REFUNDS}/{spelt}").fields["out_refund_no"] == "R@1|*"


def test_an_order_of_another_channel_is_not_one_of_theirs(merchant):
    order = native(merchant)
    with connection.cursor() as cursor:  # no other channel is there yet
        cursor.execute("ALTER TABLE payments_order DISABLE TRIGGER USER")
        cursor.execute("UPDATE payments_order SET channel = 'alipay'")
        cursor.execute("ALTER TABLE payments_order ENABLE TRIGGER USER")
    assert merchant.query(order.out_trade_no).code == "ORDER_NOT_EXIST"


def test_a_close_that_is_not_confirmed_yet_is_unknown_and_then_done(merchant):
    order = native(merchant)
    answer = merchant.close(order.out_trade_no)
    assert (answer.status, answer.code) == (500, "SYSTEM_ERROR")
    facts = TradeFacts(state=TradeState.CLOSED, payment_no=the_payment(order).pk)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=timezone.now())
    for _ in range(2):
        answer = merchant.close(order.out_trade_no)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.is_signed_under("Wechatpay")
    assert merchant.query(order.out_trade_no).fields["trade_state"] == "CLOSED"
    assert merchant.post(NATIVE, merchant.wish()).code == "ORDER_CLOSED"
    assert not Notification.objects.exists()  # theirs has no such event


def test_a_paid_order_cannot_be_closed(merchant):
    answer = merchant.close(paid(merchant).out_trade_no)
    assert (answer.status, answer.code) == (400, "ORDER_PAID")


# --- refund -----------------------------------------------------------------------------------------------------------


def test_a_refund_is_unknown_until_the_channel_has_accepted_it_and_then_the_same_one(merchant):
    order = paid(merchant)
    wish = merchant.refund_wish(order)
    answer = merchant.post(REFUNDS, wish)
    assert (answer.status, answer.code) == (500, "SYSTEM_ERROR")
    assert merchant.get(f"{REFUNDS}/R1").fields["status"] == "PROCESSING"
    refund = Refund.objects.get()
    facts = factories.refund_said(refund, RefundState.PROCESSING)
    refunds.record_refund(claimed=refund, answer=Accepted(facts=facts), now=timezone.now())
    answer = merchant.post(REFUNDS, wish)
    assert (answer.status, answer.fields["status"]) == (200, "PROCESSING")
    assert answer.fields["refund_id"] == facts.channel_refund_no
    assert answer.fields["amount"]["refund"] == 1000
    assert merchant.query(order.out_trade_no).fields["trade_state"] == "REFUND"
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amount": {"refund": 4031, "total": 4031, "currency": "CNY"}}, 400, "INVALID_REQUEST"),
        ({"amount": {"refund": 4031, "total": 4030, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"refund": 10.0, "total": 4030, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"refund": 10, "total": 4030}}, 400, "PARAM_ERROR"),
        ({"amount": {"refund": 10, "total": 4030, "currency": "CNY", "from": [{"amount": 1}]}}, 400, "PARAM_ERROR"),
        ({"funds_account": "AVAILABLE"}, 400, "PARAM_ERROR"),
        ({"goods_detail": [{"merchant_goods_id": "1"}]}, 400, "PARAM_ERROR"),
        ({"out_trade_no": None}, 400, "PARAM_ERROR"),
        ({"transaction_id": "4200000000"}, 404, "RESOURCE_NOT_EXISTS"),
    ],
)
def test_a_refund_that_cannot_be_is_refused_and_reserves_nothing(merchant, changes, status, code):
    order = paid(merchant)
    answer = merchant.post(REFUNDS, merchant.refund_wish(order, **changes))
    assert (answer.status, answer.code) == (status, code)
    assert again(order).refund_reserved_fen == 0


def test_more_than_was_paid_cannot_be_refunded_in_parts(merchant):
    order = paid(merchant)
    whole = {"refund": 4030, "total": 4030, "currency": "CNY"}
    merchant.post(REFUNDS, merchant.refund_wish(order, amount=whole))
    answer = merchant.post(REFUNDS, merchant.refund_wish(order, out_refund_no="R2"))
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert again(order).refund_reserved_fen == 4030


def test_the_same_refund_number_with_another_amount_is_refused(merchant):
    order = paid(merchant)
    merchant.post(REFUNDS, merchant.refund_wish(order))
    other = merchant.refund_wish(order, amount={"refund": 1001, "total": 4030, "currency": "CNY"})
    answer = merchant.post(REFUNDS, other)
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert Refund.objects.count() == 1


def test_an_unpaid_order_cannot_be_refunded(merchant):
    answer = merchant.post(REFUNDS, merchant.refund_wish(native(merchant)))
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")


# --- what the merchant is told ----------------------------------------------------------------------------------------


def test_an_order_of_this_door_is_told_in_their_words_and_one_of_ours_in_ours(merchant):
    paid(merchant)
    factories.a_paid_order(app=merchant.app, notify_url=NOTIFY_URL)
    theirs, ours = Notification.objects.order_by("pk")
    assert (theirs.shape, theirs.data["event_type"]) == ("wechatpay", "TRANSACTION.SUCCESS")
    assert theirs.data["resource"]["trade_state"] == "SUCCESS"
    assert (ours.shape, ours.data["status"]) == ("native", "SUCCEEDED")


@pytest.mark.parametrize(
    ("state", "event", "status"),
    [
        (RefundState.SUCCEEDED, "REFUND.SUCCESS", "SUCCESS"),
        (RefundState.NOT_DONE, "REFUND.CLOSED", "CLOSED"),
        (RefundState.ABNORMAL, "REFUND.ABNORMAL", "ABNORMAL"),
    ],
)
def test_a_refund_is_told_under_refund_status(merchant, state, event, status):
    refund = factories.a_submitting_refund(order=paid(merchant))
    answer = Accepted(facts=factories.refund_said(refund, state))
    refunds.record_refund(claimed=refund, answer=answer, now=timezone.now())
    told = Notification.objects.latest("pk").data
    assert (told["event_type"], told["original_type"]) == (event, "refund")
    assert told["resource"]["refund_status"] == status
    assert "status" not in told["resource"]


def test_the_door_of_an_order_never_changes(merchant):
    order = native(merchant)
    with pytest.raises(IntegrityError, match="UPDATE on payments_order is refused"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(door=Door.NATIVE)


# --- certificates and the APIv3 key -----------------------------------------------------------------------------------


def opened(envelope, api_key):
    cipher = AESGCM(api_key.encode())
    sealed = base64.b64decode(envelope["ciphertext"])
    return cipher.decrypt(envelope["nonce"].encode(), sealed, envelope["associated_data"].encode())


def test_certificates_are_encrypted_for_the_app_and_hold_the_keys_that_sign(merchant):
    create_platform_key(now=timezone.now())
    answer = merchant.get("/v3/certificates")
    assert answer.is_signed_under("Wechatpay")
    keys = live_platform_keys(now=timezone.now())
    assert [entry["serial_no"] for entry in answer.fields["data"]] == [key.serial_no for key in keys]
    for entry, key in zip(answer.fields["data"], keys, strict=True):
        assert len(entry["encrypt_certificate"]["nonce"]) == 12
        found = x509.load_pem_x509_certificate(opened(entry["encrypt_certificate"], merchant.api_key))
        assert hex(found.serial_number)[2:].upper() == key.serial_no
        assert found.public_key() == load_pem_public_key(key.public_key_pem.encode())
        found.verify_directly_issued_by(found)


def test_a_replaced_apiv3_key_is_the_only_one_that_opens_what_comes_after(merchant):
    old, new = merchant.api_key, merchant.app.replace_apiv3_key()
    assert (len(new), old != new) == (32, True)
    envelope = merchant.get("/v3/certificates").fields["data"][0]["encrypt_certificate"]
    assert opened(envelope, new).startswith(b"-----BEGIN CERTIFICATE-----")
    with pytest.raises(InvalidTag):
        opened(envelope, old)


def test_keys_from_before_certificates_are_answered_as_theirs_does_for_merchants_with_public_keys(merchant):
    PlatformKey.objects.update(certificate_pem=None)
    clear_all()
    answer = merchant.get("/v3/certificates")
    assert (answer.status, answer.code) == (404, "RESOURCE_NOT_EXISTS")


def test_the_database_refuses_a_switch_without_an_apiv3_key(merchant):
    with pytest.raises(IntegrityError, match="app_wechatpay_has_apiv3_key"), transaction.atomic():
        App.objects.filter(pk=merchant.app.pk).update(apiv3_key_sealed=None)


def test_an_apiv3_key_does_not_open_in_another_apps_row(merchant, stranger):
    App.objects.filter(pk=stranger.app.pk).update(apiv3_key_sealed=again(merchant.app).apiv3_key_sealed)
    with pytest.raises(SealingError, match="another row"):
        again(stranger.app).apiv3_key()


def test_a_close_by_our_own_address_is_seen_at_theirs(merchant):
    order = native(merchant)
    orders.close_order(app=merchant.app, order_no=order.pk, now=timezone.now())
    assert merchant.post(NATIVE, merchant.wish()).code == "ORDER_CLOSED"
