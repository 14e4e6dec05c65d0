"""WeChat Pay's addresses: who may come in, and what an order must be."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from openplatform import problems
from openplatform.caches import clear_all
from openplatform.models import Notification
from payments.api.wechatpay.views import CertificatesView
from payments.channels.base import Rejected
from payments.models import Door, Order
from payments.operations import payments
from tests import factories
from tests.factories import the_payment
from tests.payments.api.face_merchant import JSAPI, NATIVE, FaceMerchant, merchant, native, nobody_waits, paid, stranger
from tests.payments.api.test_orders_api import Worker, accepted

__all__ = ["merchant", "nobody_waits", "stranger"]


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
    ("path", "status", "code"),
    [
        ("/v3/certificates?mchid=1", 400, "INVALID_REQUEST"),
        ("/v3/pay/transactions/out-trade-no/A2026112%33000001?mchid={mchid}", 400, "INVALID_REQUEST"),
        ("/v3/pay/transactions/out-trade-no/A%7c000001?mchid={mchid}", 400, "INVALID_REQUEST"),
        ("/v3/pay/transactions/out-trade-no/A|000001?mchid={mchid}", 400, "INVALID_REQUEST"),
        ("/v3/pay/transactions/out-trade-no/A000001?mchid={mchid}&mchid={mchid}", 400, "INVALID_REQUEST"),
        ("/v3/pay/transactions/out-trade-no/A000001?mchid={mchid}&x=1", 400, "INVALID_REQUEST"),
        (NATIVE, 405, "INVALID_REQUEST"),
        ("/v3/pay/transactions/h5", 404, "NOT_FOUND"),
    ],
)
def test_an_address_that_is_spelt_otherwise_is_refused(merchant, path, status, code):
    answer = merchant.get(path.format(mchid=merchant.app.pk))
    assert (answer.status, answer.code) == (status, code)


def test_a_disabled_app_is_told_so_after_its_signature_was_proven(merchant):
    merchant.app.disable()
    clear_all()
    answer = merchant.get("/v3/certificates")
    assert (answer.status, answer.code) == (403, "NO_AUTH")


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (problems.Problem("blocked", status=403, code="NEW_AT_THE_GATE"), 403, "NO_AUTH"),
        (problems.RateLimited(retry_after_s=7), 429, "FREQUENCY_LIMITED"),
        (problems.TryLater(retry_after_s=7), 500, "SYSTEM_ERROR"),
        (problems.BodyTooLarge(), 413, "INVALID_REQUEST"),
    ],
)
def test_whatever_the_gate_refuses_has_their_form_and_keeps_its_headers(merchant, monkeypatch, problem, status, code):
    def refuse(_exchange):
        raise problem

    monkeypatch.setattr(CertificatesView, "checks", (refuse,))
    answer = merchant.get("/v3/certificates")
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers.get("Retry-After") == ("7" if problem.headers else None)


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


NATIVE_KEYS = "/openapi/v1/platform-keys"


@pytest.mark.parametrize("targets", [("/v3/certificates", NATIVE_KEYS), (NATIVE_KEYS, "/v3/certificates")])
def test_a_nonce_counts_once_for_a_key_at_both_faces_together(merchant, targets):
    nonce = "one-nonce-for-two-faces-0001"
    first, second = (merchant.send("GET", target, b"", sign={"nonce": nonce}) for target in targets)
    assert (first.status, second.status) == (200, 401)
    assert second.code in {"REPLAYED_NONCE", "SIGN_ERROR"}
    assert merchant.send("GET", targets[1], b"", sign={"nonce": f"{nonce}-2"}).status == 200


def test_a_request_that_was_carried_out_is_not_another_one_under_another_scheme_name(merchant):
    """The name of the scheme is not in the signed text; the nonce is."""
    theirs = merchant.authorization(method="GET", target=NATIVE_KEYS, body=b"")
    ours = theirs.replace("WECHATPAY2-SHA256-RSA2048", "FENPAY-SHA256-RSA2048")
    answers = [
        merchant.client.generic("GET", NATIVE_KEYS, RAW_URI=NATIVE_KEYS, headers={"Authorization": header})
        for header in (theirs, ours)
    ]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json()["code"] == "REPLAYED_NONCE"
