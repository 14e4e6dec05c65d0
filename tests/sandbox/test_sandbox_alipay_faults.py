"""The fault catalogue in Alipay's words, and the test values at Alipay."""

import itertools
import json
import time
from typing import Any

import pytest
import requests

from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import Receiver, new_number
from tests.sandboxes import ControlRefused, wait_until


def status(caller: AlipayCaller, number: str) -> str:
    told = caller.query(number)
    return told.get("trade_status", told.get("sub_code", ""))


def exists(caller: AlipayCaller, number: str) -> bool:
    return status(caller, number) == "WAIT_BUYER_PAY"


@pytest.mark.parametrize(
    ("fault", "code", "sub_code", "done"),
    [
        ("unknown_but_done", "20000", "isp.unknow-error", True),
        ("unknown_not_done", "20000", "isp.unknow-error", False),
        ("frequency_limited_done", "40005", "isv.app-call-limited", True),
        ("frequency_limited_not_done", "40005", "isv.app-call-limited", False),
        ("refused", "40004", "ACQ.PAYMENT_FAIL", False),
    ],
)
def test_an_error_answer_says_nothing_about_what_was_done(
    alipay: AlipayCaller, fault: str, code: str, sub_code: str, done: bool
) -> None:
    biz = alipay.order()
    alipay.sandbox.control.add_fault("create", fault, number=biz["out_trade_no"])
    answer = alipay.create(biz)
    assert (answer["code"], answer["sub_code"]) == (code, sub_code)
    assert exists(alipay, biz["out_trade_no"]) is done
    logged = alipay.sandbox.control.calls(channel="alipay", number=biz["out_trade_no"], operation="create")
    assert [(call["fault"], call["executed"], call["code"]) for call in logged] == [(fault, done, sub_code)]


@pytest.mark.parametrize("name", ["ACQ.SYSTEM_ERROR", "aop.invalid-auth-token", "isv.insufficient-isv-permissions"])
def test_any_documented_sub_code_can_be_asked_for(alipay: AlipayCaller, name: str) -> None:
    alipay.sandbox.control.add_fault("create", "error", channel="alipay", params={"error": name})
    assert alipay.create()["sub_code"] == name


@pytest.mark.parametrize(
    "rule",
    [
        {"operation": "create", "fault": "error", "params": {"error": "ACQ.SYSTEM_ERROR"}},
        {"channel": "alipay", "operation": "notify_payment", "fault": "tampered_aad"},
        {"channel": "alipay", "operation": "create", "fault": "signtest_probe"},
        {"channel": "wechatpay", "operation": "reverse", "fault": "call_again"},
        {"channel": "paypal", "operation": "create", "fault": "hang"},
        {"host": "third", "operation": "create", "fault": "hang"},
    ],
)
def test_a_rule_that_a_channel_has_no_form_for_is_refused(alipay: AlipayCaller, rule: dict[str, Any]) -> None:
    with pytest.raises(ControlRefused) as refusal:
        alipay.sandbox.control.post("faults", rule)
    assert refusal.value.status == 400


def test_a_rule_for_one_channel_leaves_the_others_alone(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.add_fault("create", "unknown_not_done", channel="wechatpay")
    assert alipay.create()["code"] == "10000"


@pytest.mark.parametrize(("fault", "done"), [("timeout_done", True), ("timeout_not_done", False)])
def test_a_timing_out_call_is_held_back(alipay: AlipayCaller, fault: str, done: bool) -> None:
    biz = alipay.order()
    alipay.sandbox.control.add_fault("create", fault, channel="alipay", times=1)
    with pytest.raises(requests.ReadTimeout):
        alipay.create(biz, timeout=0.4)
    assert exists(alipay, biz["out_trade_no"]) is done


def test_a_late_execution_shows_only_after_its_time(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    alipay.sandbox.control.add_fault("create", "late_execution", channel="alipay", params={"executes_after_s": 500})
    with pytest.raises(requests.ReadTimeout):
        alipay.create(biz, timeout=0.3)
    assert status(alipay, biz["out_trade_no"]) == "ACQ.TRADE_NOT_EXIST"
    alipay.sandbox.control.advance(501)
    wait_until(lambda: exists(alipay, biz["out_trade_no"]), within_s=4)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("connection_reset", requests.ConnectionError),
        ("half_body", requests.exceptions.ChunkedEncodingError),
        ("gzip_garbage", requests.exceptions.ContentDecodingError),
        ("redirect_loop", requests.TooManyRedirects),
    ],
)
def test_the_bytes_can_go_wrong(alipay: AlipayCaller, fault: str, complaint: type[Exception]) -> None:
    alipay.sandbox.control.add_fault("create", fault, channel="alipay")
    with pytest.raises(complaint):
        alipay.create()


def test_a_huge_body_promises_a_hundred_megabytes_and_keeps_sending(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.add_fault("create", "huge_body", channel="alipay")
    with alipay.send("alipay.trade.create", alipay.order(), stream=True) as answer:
        assert int(answer.headers["Content-Length"]) == 100 * 1024 * 1024
        assert sum(len(chunk) for chunk in itertools.islice(answer.iter_content(65_536), 32)) >= 2_000_000


@pytest.mark.parametrize(("fault", "code"), [("bad_gateway_html", 502), ("service_unavailable_html", 503)])
def test_a_gateway_in_between_speaks_html(alipay: AlipayCaller, fault: str, code: int) -> None:
    alipay.sandbox.control.add_fault("query", fault)
    answer = alipay.send("alipay.trade.query", {"out_trade_no": "A1"})
    assert (answer.status_code, "nginx" in answer.text) == (code, True)


def test_bad_json_cannot_be_read(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.add_fault("query", "bad_json", channel="alipay")
    with pytest.raises(json.JSONDecodeError):
        json.loads(alipay.send("alipay.trade.query", {"out_trade_no": "A1"}).text)


@pytest.mark.parametrize("fault", ["wrong_signature", "missing_signature"])
def test_a_flawed_answer_does_not_verify_but_was_executed(alipay: AlipayCaller, fault: str) -> None:
    biz = alipay.order()
    alipay.sandbox.control.add_fault("create", fault, channel="alipay")
    text = alipay.send("alipay.trade.create", biz).text
    assert json.loads(text)["alipay_trade_create_response"]["code"] == "10000"
    assert not alipay.genuine(text)
    assert exists(alipay, biz["out_trade_no"])


def test_an_error_response_replaces_the_node(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.add_fault("query", "error_response", channel="alipay")
    answer = json.loads(alipay.send("alipay.trade.query", {"out_trade_no": "A1"}).text)
    assert answer["error_response"]["code"] == "20000"


def test_a_refund_without_funds_succeeds_later_under_the_same_number(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.add_fault("refund", "not_enough", times=2)
    number = alipay.paid_order()["out_trade_no"]
    for _ in range(2):
        assert alipay.refund(number, "1.00", "R1")["sub_code"] == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
    assert alipay.refund(number, "1.00", "R1")["fund_change"] == "Y"


def test_after_a_close_the_payer_is_refused_unless_a_rule_wants_the_race(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    alipay.create(biz)
    alipay.close(biz["out_trade_no"])
    with pytest.raises(ControlRefused) as refusal:
        alipay.sandbox.control.pay(biz["out_trade_no"])
    assert refusal.value.status == 409
    assert status(alipay, biz["out_trade_no"]) == "TRADE_CLOSED"


def test_the_payment_can_be_there_just_before_the_close(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    alipay.create(biz)
    alipay.sandbox.control.add_fault("close", "paid_before_close", channel="alipay")
    assert alipay.close(biz["out_trade_no"])["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    assert status(alipay, biz["out_trade_no"]) == "TRADE_SUCCESS"


def paid(caller: AlipayCaller, yuan: str) -> str:
    """An order that the sandbox pays by itself; returns its number."""
    biz = caller.order(yuan)
    assert caller.create(biz)["code"] == "10000"
    wait_until(lambda: status(caller, biz["out_trade_no"]) == "TRADE_SUCCESS")
    return str(biz["out_trade_no"])


@pytest.mark.parametrize("value", ["01", "11", "12", "13", "14", "15"])
def test_these_values_are_paid_at_once(alipay: AlipayCaller, value: str) -> None:
    paid(alipay, f"40.{value}")


def test_02_is_refused(alipay: AlipayCaller) -> None:
    assert alipay.create(alipay.order("40.02"))["sub_code"] == "ACQ.PAYMENT_FAIL"
    assert alipay.pay_by_code(alipay.code_order("40.02"))["sub_code"] == "ACQ.PAYMENT_FAIL"


@pytest.mark.parametrize(("value", "ends"), [("03", "TRADE_SUCCESS"), ("04", "ACQ.TRADE_NOT_EXIST")])
def test_03_and_04_time_out_once(alipay: AlipayCaller, value: str, ends: str) -> None:
    biz = alipay.order(f"40.{value}")
    with pytest.raises(requests.ReadTimeout):
        alipay.create(biz, timeout=0.3)
    wait_until(lambda: status(alipay, biz["out_trade_no"]) == ends)


def test_05_is_paid_after_the_close(alipay: AlipayCaller, receiver: Receiver) -> None:
    biz = alipay.order("40.05")
    alipay.create(biz)
    assert alipay.close(biz["out_trade_no"])["code"] == "10000"
    wait_until(lambda: status(alipay, biz["out_trade_no"]) == "TRADE_SUCCESS")
    wait_until(lambda: receiver.got)


def test_06_tells_five_times_at_once(alipay: AlipayCaller, receiver: Receiver) -> None:
    receiver.delay_s = 1.0
    paid(alipay, "40.06")
    wait_until(lambda: len(receiver.got) == 5)
    assert len({alipay.told(got)["notify_id"] for got in receiver.got}) == 1


def test_07_tells_before_it_answers(alipay: AlipayCaller, receiver: Receiver) -> None:
    alipay.create(alipay.order("40.07"))
    assert len(receiver.got) == 1


@pytest.mark.parametrize(("value", "genuine", "amount"), [("08", True, "40.09"), ("09", False, "40.09")])
def test_08_tells_a_wrong_amount_and_09_signs_badly(
    alipay: AlipayCaller, receiver: Receiver, value: str, genuine: bool, amount: str
) -> None:
    paid(alipay, f"40.{value}")
    got = wait_until(lambda: receiver.got)[0]
    assert (alipay.notice_is_genuine(got), alipay.told(got)["total_amount"]) == (genuine, amount)


def test_10_never_tells(alipay: AlipayCaller, receiver: Receiver) -> None:
    paid(alipay, "40.10")
    alipay.sandbox.control.advance(86_400)
    time.sleep(0.2)
    assert receiver.got == []


def test_11_and_12_take_the_refund_another_way(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.options(stuck_s=100_000.0)
    number = alipay.paid_order()["out_trade_no"]
    assert alipay.refund(number, "20.11", "R1")["fund_change"] == "N"
    alipay.refund(number, "1.12", "R2")
    assert alipay.query_refund(number, "R2", "deposit_back_info")["deposit_back_info"]["dback_status"] == "F"


@pytest.mark.parametrize("method", ["create", "pay_by_code"])
def test_16_hangs_every_time(alipay: AlipayCaller, method: str) -> None:
    biz = alipay.order("40.16") if method == "create" else alipay.code_order("40.16")
    for _ in range(2):
        with pytest.raises(requests.ReadTimeout):
            getattr(alipay, method)(biz, timeout=0.3)
    assert status(alipay, biz["out_trade_no"]) == "ACQ.TRADE_NOT_EXIST"


def test_17_drips(alipay: AlipayCaller) -> None:
    with alipay.send("alipay.trade.create", alipay.order("40.17"), stream=True) as answer:
        assert b"".join(itertools.islice(answer.iter_content(1), 2)) == b'{"'


def test_18_answers_20000_after_executing(alipay: AlipayCaller) -> None:
    biz = alipay.order("40.18")
    assert alipay.create(biz)["code"] == "20000"
    assert exists(alipay, biz["out_trade_no"])
    assert alipay.create(biz)["code"] == "10000"


def test_one_purchase_can_be_paid_on_two_channels(alipay: AlipayCaller, caller: Any) -> None:
    first, second = alipay.order(), caller.order(out_trade_no=new_number("P"))
    alipay.create(first)
    caller.create(second)
    numbers = [first["out_trade_no"], second["out_trade_no"]]
    paid_both = alipay.sandbox.control.post("pay", {"out_trade_nos": numbers})
    assert [row["state"] for row in paid_both] == ["SUCCESS", "SUCCESS"]
    assert status(alipay, numbers[0]) == "TRADE_SUCCESS"
    assert caller.query(numbers[1]).json()["trade_state"] == "SUCCESS"
