"""`/openapi/v1/orders`: what a merchant's engineer sees."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from payments.api.prefer import a_place_to_wait
from payments.channels.base import Accepted, Prepay, Rejected
from payments.models import ChannelAccount, Order, Payment
from payments.operations import payments
from tests import factories
from tests.factories import again, the_payment
from tests.sandboxes import wait_until
from tests.signed import Merchant

ASYNC = {"Prefer": "respond-async"}


def wish(**changes):
    fields = {
        "out_trade_no": "A20261123000001", "amount": "40.30", "subject": "两杯咖啡", "channel": "wechatpay",
        "method": "jsapi", "payer": {"openid": "o-payer-1"}, "notify_url": "https://shop.example/notify",
    }  # fmt: skip
    return {name: value for name, value in (fields | changes).items() if value is not None}


def raw(amount: str, **changes) -> bytes:
    """A body in which the amount is written exactly so."""
    return json.dumps(wish(**changes) | {"amount": "@"}).replace('"@"', amount).encode()


class Worker(threading.Thread):
    """Answers, after a while, what a channel would have answered."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer

    def run(self):
        try:
            payment = wait_until(Payment.objects.first, within_s=5, what="a payment")
            payments.record_create(claimed=payment, answer=self.answer, is_unknown_there=True, now=timezone.now())
        finally:
            connection.close()


def accepted(**values):
    return Accepted(facts=Prepay(values=values, valid_for=timedelta(hours=2)))


def test_a_create_waits_for_the_channel_and_answers_with_parameters_for_the_page(merchant):
    worker = Worker(accepted(prepay_id="wx201"))
    worker.start()
    answer = merchant.post("/orders", wish())
    worker.join()
    assert (answer.status, answer.fields["status"]) == (201, "PAYING")
    assert set(answer.fields["jsapi"]) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert answer.fields["jsapi"]["package"] == "prepay_id=wx201"
    assert (answer.fields["amount"], answer.fields["amount_fen"]) == ("40.30", 4030)
    assert answer.fields["app_id"] == str(merchant.app.pk)
    assert answer.is_signed


def test_every_id_in_an_answer_is_a_string(merchant):
    answer = merchant.post("/orders", wish(), **ASYNC)
    assert all(type(answer.fields[name]) is str for name in ("order_no", "app_id", "out_trade_no"))


def test_a_native_create_answers_with_a_code(merchant):
    worker = Worker(accepted(code_url="weixin://wxpay/bizpayurl?pr=1"))
    worker.start()
    answer = merchant.post("/orders", wish(method="native", payer=None))
    worker.join()
    assert (answer.fields["code_url"], answer.fields["jsapi"]) == ("weixin://wxpay/bizpayurl?pr=1", None)


def at_unionpay(**changes):
    return wish(channel="unionpay", payer={"openid": "UP1", "client_ip": "203.0.113.9"}) | changes


def an_account_at_unionpay(merchant, **more):
    settings = {"serv_prov_id": "P1", "mer_id": "8980", "api_base": "http://127.0.0.1:9", "platform_keys": {}}
    return ChannelAccount.register(
        merchant=merchant.app.merchant, channel="unionpay", name="unionpay", settings=settings,
        secrets={"private_key_pem": factories.key_pair()[0]}, now=factories.NOW, **more,
    )  # fmt: skip


def test_a_channel_without_a_bridge_answers_with_an_address_for_the_page(merchant):
    an_account_at_unionpay(merchant, is_sandbox=True)
    worker = Worker(accepted(pay_url="https://qr.example/desk/1"))
    worker.start()
    answer = merchant.post("/orders", at_unionpay())
    worker.join()
    assert (answer.status, answer.fields["jsapi"]) == (201, None)
    assert answer.fields["pay_url"] == "https://qr.example/desk/1"
    assert Payment.objects.get().client_ip == "203.0.113.9"


def test_a_channel_that_wants_the_payers_address_is_not_asked_without_it(merchant):
    an_account_at_unionpay(merchant, is_sandbox=True)
    answer = merchant.post("/orders", at_unionpay(payer={"openid": "UP1"}))
    assert (answer.status, answer.fields["code"]) == (400, "PARAM_ERROR")
    assert not Order.objects.exists()


def test_a_model_of_a_channel_takes_no_real_money_unless_it_is_allowed_to(merchant, settings):
    an_account_at_unionpay(merchant)
    answer = merchant.post("/orders", at_unionpay(), **ASYNC)
    assert (answer.status, answer.fields["code"]) == (422, "MODEL_CHANNEL_NOT_ALLOWED")
    assert not Order.objects.exists()
    settings.ALLOW_MODEL_CHANNELS = True
    assert merchant.post("/orders", at_unionpay(), **ASYNC).status == 202


def test_when_nobody_answers_in_time_the_merchant_is_told_when_to_ask_again(merchant):
    started = time.monotonic()
    answer = merchant.post("/orders", wish(), Prefer="wait=1")
    assert 1 <= time.monotonic() - started < 2.5
    assert (answer.status, answer.fields["status"]) == (202, "SUBMITTING")
    assert answer.fields["next_check_at"]
    assert answer.fields["resolve_by"] > answer.fields["expires_at"]
    assert answer.fields["jsapi"] is None


def test_respond_async_does_not_wait(merchant):
    started = time.monotonic()
    assert merchant.post("/orders", wish(), **ASYNC).status == 202
    assert time.monotonic() - started < 1


def test_no_more_callers_wait_than_there_is_room_for(merchant, monkeypatch):
    monkeypatch.setattr("payments.api.prefer._waiters", threading.BoundedSemaphore(1))
    with a_place_to_wait(5) as first, a_place_to_wait(5) as second:
        assert (first, second) == (5, 0)
    with a_place_to_wait(5) as third:
        assert third == 5


def test_a_channel_that_refuses_is_a_named_problem_that_says_why(merchant):
    worker = Worker(Rejected(code="RULE_LIMIT", message="no"))
    worker.start()
    answer = merchant.post("/orders", wish())
    worker.join()
    assert (answer.status, answer.code) == (422, "CHANNEL_REJECTED")
    assert answer.fields["order"]["failure_code"] == "RULE_LIMIT"
    assert answer.is_signed


def test_the_same_number_and_content_gives_the_same_order(merchant):
    first = merchant.post("/orders", wish(), **ASYNC)
    second = merchant.post("/orders", wish(), **ASYNC)
    assert first.fields["order_no"] == second.fields["order_no"]
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    "same", ["40.3", '"40.3"', '"40.30"', "40.30", "40.300000000000004"], ids=lambda literal: f"amount {literal}"
)
def test_one_amount_written_in_many_ways_is_one_amount(merchant, same):
    merchant.post("/orders", wish(), **ASYNC)
    answer = merchant.post("/orders", raw(same), **ASYNC)
    assert (answer.status, answer.fields["amount_fen"]) == (202, 4030)
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    "other", [{"amount": "40.31"}, {"subject": "tea"}, {"payer": {"openid": "o-payer-2"}}, {"metadata": {"a": "b"}}],
    ids=str,
)  # fmt: skip
def test_the_same_number_with_other_content_is_refused(merchant, other):
    merchant.post("/orders", wish(), **ASYNC)
    answer = merchant.post("/orders", wish(**other), **ASYNC)
    assert (answer.status, answer.code) == (422, "OUT_TRADE_NO_REUSED")
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("literal", "reason"),
    [
        ("40.305", "AMOUNT_HAS_PART_OF_FEN"), ("0.001", "AMOUNT_HAS_PART_OF_FEN"), ("-1", "AMOUNT_NEGATIVE"),
        ("-0", "AMOUNT_NEGATIVE_ZERO"), ("-0.0", "AMOUNT_NEGATIVE_ZERO"), ("0", "AMOUNT_ZERO"),
        ("0.00", "AMOUNT_ZERO"), ("10000000.01", "AMOUNT_TOO_LARGE"), ("4e1", "AMOUNT_HAS_EXPONENT"),
        ('"4E1"', "AMOUNT_HAS_EXPONENT"), ('"NaN"', "AMOUNT_NOT_FINITE"), ('"Infinity"', "AMOUNT_NOT_FINITE"),
        ('"４０.３"', "AMOUNT_MALFORMED"), ('"4_0"', "AMOUNT_MALFORMED"), ('" 40"', "AMOUNT_MALFORMED"),
        ('""', "AMOUNT_MALFORMED"), ("true", "AMOUNT_MALFORMED"), ("[40]", "AMOUNT_MALFORMED"),
    ],
)  # fmt: skip
def test_an_amount_that_cannot_be_paid_has_a_named_error_and_writes_nothing(merchant, literal, reason):
    answer = merchant.post("/orders", raw(literal), **ASYNC)
    assert (answer.status, answer.code, answer.reasons) == (400, "PARAM_ERROR", {"amount": reason})
    assert not Order.objects.exists()


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "040", "+1", ".5", "0x10"])
def test_a_number_that_is_not_json_is_refused(merchant, literal):
    answer = merchant.post("/orders", raw(literal), **ASYNC)
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"out_trade_no": "short"}, "out_trade_no"), ({"out_trade_no": "has space1"}, "out_trade_no"),
        ({"out_trade_no": "x" * 33}, "out_trade_no"), ({"out_trade_no": 20261123}, "out_trade_no"),
        ({"subject": ""}, "subject"), ({"subject": "x" * 128}, "subject"), ({"subject": "a\nb"}, "subject"),
        ({"subject": 5}, "subject"), ({"channel": "paypal"}, "channel"), ({"method": "fax"}, "method"),
        ({"payer": None}, "payer"), ({"method": "native"}, "payer"), ({"payer": {}}, "payer.openid"),
        ({"payer": {"openid": "o", "name": "x"}}, "payer.name"), ({"notify_url": "http://a.example/n"}, "notify_url"),
        ({"notify_url": "https://127.0.0.1/n"}, "notify_url"), ({"return_url": "javascript:alert(1)"}, "return_url"),
        ({"return_url": "http://["}, "return_url"), ({"return_url": "https://a\uff0fb.c/"}, "return_url"),
        ({"return_url": "https://:pw@evil.example/"}, "return_url"),
        ({"return_url": "https://@evil.example/"}, "return_url"), ({"return_url": "https://h:99999/"}, "return_url"),
        ({"expires_at": "tomorrow"}, "expires_at"), ({"expires_at": "2026-01-02T10:34:56"}, "expires_at"),
        ({"expires_at": "2020-01-02T10:34:56Z"}, "expires_at"), ({"expires_at": "2099-01-02T10:34:56Z"}, "expires_at"),
        ({"metadata": {"k": 1}}, "metadata"), ({"metadata": ["a"]}, "metadata"), ({"colour": "red"}, "colour"),
    ],
    ids=str,
)  # fmt: skip
def test_a_field_that_is_not_right_is_named(merchant, changes, field):
    answer = merchant.post("/orders", wish(**changes), **ASYNC)
    assert (answer.status, answer.code) == (400, "PARAM_ERROR")
    assert field in answer.reasons, answer.fields
    assert not Order.objects.exists()


def test_a_merchant_without_a_channel_account_is_told_so(transactional_db):
    answer = Merchant(factories.an_app(with_account=False)).post("/orders", wish(), **ASYNC)
    assert (answer.status, answer.code) == (422, "CHANNEL_NOT_AVAILABLE")


def test_an_order_is_found_by_either_number(merchant):
    order = factories.a_paid_order(app=merchant.app)
    for path in (f"/orders/{order.pk}", f"/orders/out-trade-no/{order.out_trade_no}"):
        answer = merchant.get(path)
        assert (answer.status, answer.fields["order_no"], answer.fields["status"]) == (200, str(order.pk), "SUCCEEDED")
        assert answer.fields["paid_at"]
        assert answer.is_signed


def test_another_apps_order_does_not_exist(merchant, stranger):
    order = factories.a_paying_order(app=merchant.app)
    for path in (f"/orders/{order.pk}", f"/orders/out-trade-no/{order.out_trade_no}"):
        answer = stranger.get(path)
        assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert stranger.post(f"/orders/{order.pk}/close", **ASYNC).code == "NOT_FOUND"
    assert again(order).status == "PAYING"


@pytest.mark.parametrize("path", ["/orders/9223372036854775808", "/orders/99999999999999999999", "/orders/1"])
def test_a_number_that_we_never_gave_out_is_not_found(merchant, path):
    answer = merchant.get(path)
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


def test_closing_answers_202_until_the_channel_has_confirmed_it(merchant):
    order = factories.a_paying_order(app=merchant.app)
    answer = merchant.post(f"/orders/{order.pk}/close", **ASYNC)
    assert (answer.status, answer.fields["status"]) == (202, "CLOSING")
    order = factories.a_closed_order(app=merchant.app)
    answer = merchant.post(f"/orders/{order.pk}/close", **ASYNC)
    assert (answer.status, answer.fields["status"]) == (200, "CLOSED")


def test_a_paid_order_cannot_be_closed(merchant):
    order = factories.a_paid_order(app=merchant.app)
    answer = merchant.post(f"/orders/{order.pk}/close", **ASYNC)
    assert (answer.status, answer.code) == (409, "INVALID_STATE")


def test_parameters_for_the_page_are_signed_afresh_each_time(merchant):
    now = timezone.now()
    order = factories.a_paying_order(app=merchant.app, now=now, expires_at=now + timedelta(hours=2))
    first, second = (merchant.get(f"/orders/{order.pk}").fields["jsapi"] for _ in range(2))
    assert first["nonceStr"] != second["nonceStr"]
    assert first["package"] == second["package"]


def test_parameters_for_the_page_are_gone_once_it_is_paid(merchant):
    order = factories.a_paid_order(app=merchant.app)
    assert merchant.get(f"/orders/{order.pk}").fields["jsapi"] is None


def test_a_create_costs_a_known_number_of_statements(merchant, django_assert_max_num_queries):
    merchant.post("/orders", wish(out_trade_no="WARM-UP-1"), **ASYNC)
    with django_assert_max_num_queries(14):
        merchant.post("/orders", wish(), **ASYNC)
    assert the_payment(Order.objects.get(out_trade_no="A20261123000001"))


def test_a_close_that_is_told_something_closes_nothing(merchant):
    order = factories.a_paying_order(app=merchant.app)
    answer = merchant.post(f"/orders/{order.pk}/close", {"reason": "changed my mind"})
    assert (answer.status, answer.reasons) == (400, {"reason": "unknown field"})
    assert again(order).status == "PAYING"
