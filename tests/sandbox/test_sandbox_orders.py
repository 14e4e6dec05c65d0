"""Creating, querying and closing orders; who signs the answers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.callers import Caller, new_number

HOUR_S = 3600


def in_beijing(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=8) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%S+08:00")


def test_a_jsapi_order_gets_a_prepay_id(caller: Caller) -> None:
    answer = caller.create()
    assert answer.status_code == 200
    prepay_id = answer.json()["prepay_id"]
    assert list(answer.json()) == ["prepay_id"]
    assert prepay_id.startswith("wx20")
    assert len(prepay_id) == len("wx201410272009395522657a690389285100")


def test_a_native_order_gets_a_code_url(caller: Caller) -> None:
    answer = caller.create(product="native")
    assert answer.json()["code_url"].startswith("weixin://wxpay/bizpayurl?pr=")


def test_every_documented_field_is_accepted(caller: Caller) -> None:
    goods = {"merchant_goods_id": "g1", "goods_name": "咖啡", "quantity": 1, "unit_price": 4030}
    store = {"id": "0001", "name": "店", "area_code": "440305", "address": "路"}
    body = caller.order(
        time_expire=in_beijing(minutes=30),
        attach="自定义",
        goods_tag="WXG",
        limit_pay=["no_credit"],
        support_fapiao=True,
        detail={"cost_price": 4030, "invoice_id": "i1", "goods_detail": [goods]},
        scene_info={"payer_client_ip": "14.23.150.211", "device_id": "d1", "store_info": store},
        settle_info={"profit_sharing": False},
    )
    assert caller.create(body).status_code == 200


WRONG_FIELDS: dict[str, dict[str, Any]] = {
    "an unknown field": {"note": "x"},
    "an unknown field deep down": {"amount": {"total": 1, "currency": "CNY", "tax": 0}},
    "a number as text": {"amount": {"total": "1", "currency": "CNY"}},
    "a float": {"amount": {"total": 1.0, "currency": "CNY"}},
    "true as a number": {"amount": {"total": True, "currency": "CNY"}},
    "a negative amount": {"amount": {"total": -1, "currency": "CNY"}},
    "another currency": {"amount": {"total": 1, "currency": "USD"}},
    "no amount": {"amount": None},
    "no description": {"description": None},
    "a long description": {"description": "字" * 128},
    "an emoji": {"description": "咖啡 ☕😀"},
    "no payer": {"payer": None},
    "a payer without openid": {"payer": {}},
    "a number too short": {"out_trade_no": "P1234"},
    "a number too long": {"out_trade_no": "P" * 33},
    "a number with a slash": {"out_trade_no": "P1234/5678"},
    "a number in Chinese": {"out_trade_no": "订单号码一二三"},
    "no notify_url": {"notify_url": None},
    "a notify_url with a query": {"notify_url": "https://shop.example.com/n?x=1"},
    "a notify_url of another scheme": {"notify_url": "ftp://shop.example.com/n"},
    "a time without zone": {"time_expire": "2030-01-01T00:00:00"},
    "a time in words": {"time_expire": "tomorrow"},
    "an impossible time": {"time_expire": "2030-13-01T00:00:00+08:00"},
    "a time gone by": {"time_expire": in_beijing(hours=-1)},
    "a time too soon": {"time_expire": in_beijing(seconds=40)},
    "a time too far": {"time_expire": in_beijing(days=16)},
    "a detail that is too long": {"detail": {"goods_detail": [{"merchant_goods_id": "g"}] * 400}},
}


@pytest.mark.parametrize("what", WRONG_FIELDS)
def test_wrong_fields_are_refused_and_nothing_is_created(caller: Caller, what: str) -> None:
    answer = caller.create(caller.order(**WRONG_FIELDS[what]))
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR"), answer.text
    assert caller.sandbox.control.get("orders") == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff\xfe", b"[" * 20_000])
def test_a_body_that_is_no_json_object_is_refused(caller: Caller, body: bytes) -> None:
    target = "/v3/pay/transactions/jsapi"
    answer = caller.send("POST", target, body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")


def test_a_native_order_expires_within_seven_days_and_has_no_payer(caller: Caller) -> None:
    too_far = caller.order(time_expire=in_beijing(days=8))
    assert caller.create(too_far, product="native").json()["code"] == "PARAM_ERROR"
    assert caller.create(too_far).status_code == 200
    with_payer = caller.send("POST", "/v3/pay/transactions/native", caller.order())
    assert with_payer.json()["code"] == "PARAM_ERROR"


def test_an_appid_of_somebody_else_does_not_fit(caller: Caller) -> None:
    answer = caller.create(caller.order(appid="wx0000000000000000"))
    assert (answer.status_code, answer.json()["code"]) == (400, "APPID_MCHID_NOT_MATCH")


def test_the_same_order_again_gets_the_same_prepay_id_and_a_fresh_one_after_two_hours(caller: Caller) -> None:
    body = caller.order()
    first = caller.create(body).json()["prepay_id"]
    assert caller.create(dict(reversed(body.items()))).json()["prepay_id"] == first
    caller.sandbox.control.advance(2 * HOUR_S + 1)
    later = caller.create(body)
    assert later.status_code == 200
    assert later.json()["prepay_id"] != first
    assert caller.sandbox.control.order(body["out_trade_no"])["prepay_tokens"] == [first, later.json()["prepay_id"]]


@pytest.mark.parametrize(
    "change", [{"amount": {"total": 4031, "currency": "CNY"}}, {"description": "other"}, {"attach": "x"}]
)
def test_a_used_number_with_other_parameters_is_refused(caller: Caller, change: dict[str, Any]) -> None:
    body = caller.order()
    caller.create(body)
    answer = caller.create(body | change)
    assert (answer.status_code, answer.json()["code"]) == (403, "OUT_TRADE_NO_USED")


def test_a_used_number_for_another_product_is_refused(caller: Caller) -> None:
    body = caller.order()
    caller.create(body, product="native")
    assert caller.create(body).json()["code"] == "OUT_TRADE_NO_USED"


def test_a_paid_order_cannot_be_created_again(caller: Caller) -> None:
    body = caller.paid_order()
    answer = caller.create(body)
    assert (answer.status_code, answer.json()["code"]) == (403, "OUT_TRADE_NO_USED")


def test_a_closed_order_cannot_be_created_again(caller: Caller) -> None:
    body = caller.order()
    caller.create(body)
    caller.close_order(body["out_trade_no"])
    assert (caller.create(body).status_code, caller.create(body).json()["code"]) == (400, "ORDER_CLOSED")


def test_an_unpaid_order_reads_notpay_without_a_payment(caller: Caller) -> None:
    body = caller.order(attach="a")
    caller.create(body)
    assert caller.query(body["out_trade_no"]).json() == {
        "appid": body["appid"],
        "mchid": body["mchid"],
        "out_trade_no": body["out_trade_no"],
        "trade_type": "JSAPI",
        "trade_state": "NOTPAY",
        "trade_state_desc": "订单未支付",
        "attach": "a",
        "amount": {"total": 4030, "currency": "CNY"},
    }


def test_a_paid_order_reads_success_by_either_number(caller: Caller) -> None:
    body = caller.paid_order()
    found = caller.query(body["out_trade_no"]).json()
    assert found["trade_state"] == "SUCCESS"
    assert found["payer"] == body["payer"]
    assert found["amount"] == {"total": 4030, "payer_total": 4030, "currency": "CNY", "payer_currency": "CNY"}
    assert len(found["transaction_id"]) == 28
    assert found["transaction_id"].isdigit()
    assert found["success_time"].endswith("+08:00")
    target = f"/v3/pay/transactions/id/{found['transaction_id']}?mchid={body['mchid']}"
    assert caller.send("GET", target).json() == found


def test_a_closed_order_reads_closed_and_closing_again_is_fine(caller: Caller) -> None:
    body = caller.order()
    caller.create(body)
    first = caller.close_order(body["out_trade_no"])
    assert (first.status_code, first.content) == (204, b"")
    assert caller.close_order(body["out_trade_no"]).status_code == 204
    assert caller.query(body["out_trade_no"]).json()["trade_state"] == "CLOSED"


def test_a_paid_order_cannot_be_closed(caller: Caller) -> None:
    body = caller.paid_order()
    answer = caller.close_order(body["out_trade_no"])
    assert (answer.status_code, answer.json()["code"]) == (400, "ORDER_PAID")
    assert caller.query(body["out_trade_no"]).json()["trade_state"] == "SUCCESS"


def test_a_number_that_was_never_created_cannot_be_closed(caller: Caller) -> None:
    answer = caller.close_order("P00000404")
    assert (answer.status_code, answer.json()["code"]) == (404, "ORDER_NOT_EXIST")


def test_an_order_closes_by_itself_when_its_time_is_over(caller: Caller) -> None:
    body = caller.order(time_expire=in_beijing(minutes=10))
    caller.create(body)
    caller.sandbox.control.advance(9 * 60)
    assert caller.query(body["out_trade_no"]).json()["trade_state"] == "NOTPAY"
    caller.sandbox.control.advance(61)
    assert caller.query(body["out_trade_no"]).json()["trade_state"] == "CLOSED"


@pytest.mark.parametrize("key", ["platform_public_key_id", "platform_certificate_serial_no"])
def test_the_answer_is_signed_with_the_key_that_the_request_names(caller: Caller, key: str) -> None:
    serial = caller.identity[key]
    body = caller.order()
    for answer in (
        caller.create(body, headers={"Wechatpay-Serial": serial}),
        caller.query(body["out_trade_no"], headers={"Wechatpay-Serial": serial}),
        caller.close_order(body["out_trade_no"], headers={"Wechatpay-Serial": serial}),
    ):
        assert answer.headers["Wechatpay-Serial"] == serial
        assert answer.headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
        assert caller.genuine(answer.headers, answer.content)
        assert not caller.genuine(answer.headers, answer.content + b" ")


def test_without_a_name_a_platform_certificate_signs(caller: Caller) -> None:
    answer = caller.create(headers={"Wechatpay-Serial": None})
    assert answer.headers["Wechatpay-Serial"] == caller.identity["platform_certificate_serial_no"]
    assert caller.genuine(answer.headers, answer.content)


def test_errors_are_unsigned_unless_the_switch_is_on(caller: Caller) -> None:
    assert "Wechatpay-Signature" not in caller.query("P00000404").headers
    caller.sandbox.control.options(signed_errors=True)
    answer = caller.query("P00000404")
    assert answer.status_code == 404
    assert caller.genuine(answer.headers, answer.content)


def test_every_answer_has_a_request_id_that_the_log_knows(caller: Caller) -> None:
    body = caller.order()
    answer = caller.create(body)
    logged = caller.sandbox.control.calls(request_id=answer.headers["Request-ID"])
    assert len(logged) == 1
    seen = logged[0]
    assert (seen["method"], seen["target"], seen["status"]) == ("POST", "/v3/pay/transactions/jsapi", 200)
    assert (seen["operation"], seen["number"], seen["executed"]) == ("create", body["out_trade_no"], True)


def test_answers_are_utf8_json_without_escapes(caller: Caller) -> None:
    answer = caller.query(caller.paid_order()["out_trade_no"])
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "支付成功" in answer.content.decode()
    assert json.loads(answer.content)["trade_state_desc"] == "支付成功"


def test_the_certificates_decrypt_and_the_successor_appears_when_published(caller: Caller) -> None:
    def serials() -> list[str]:
        answer = caller.send("GET", "/v3/certificates")
        assert caller.genuine(answer.headers, answer.content)
        return [entry["serial_no"] for entry in answer.json()["data"]]

    assert serials() == [caller.identity["platform_certificate_serial_no"]]
    caller.sandbox.control.options(publish_next_certificate=True)
    assert len(set(serials())) == 2


def test_a_merchant_with_the_public_key_alone_has_no_certificates(caller: Caller) -> None:
    caller.sandbox.control.options(public_key_only=True)
    answer = caller.send("GET", "/v3/certificates")
    assert (answer.status_code, answer.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")


def test_two_numbers_are_two_orders(caller: Caller) -> None:
    numbers = [new_number(), new_number()]
    for number in numbers:
        assert caller.create(caller.order(out_trade_no=number)).status_code == 200
    assert [order["out_trade_no"] for order in caller.sandbox.control.get("orders")] == numbers
