"""Trades at Alipay: created, precreated, paid by code, queried, closed, cancelled, refunded."""

import itertools
from typing import Any

import pytest

from tests.sandbox.alipay_callers import BUYER, AlipayCaller
from tests.sandbox.callers import new_number
from tests.sandboxes import wait_until


def status(caller: AlipayCaller, number: str) -> str:
    told = caller.query(number)
    return told.get("trade_status", told.get("sub_code", ""))


def test_a_trade_waits_is_paid_and_tells_all(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    created = alipay.create(biz)
    number = biz["out_trade_no"]
    waiting = alipay.query(number)
    assert (waiting["trade_status"], waiting["buyer_pay_amount"]) == ("WAIT_BUYER_PAY", "0.00")
    assert "send_pay_date" not in waiting
    alipay.sandbox.control.pay(number)
    paid = alipay.query(number)
    expected = {"trade_status": "TRADE_SUCCESS", "total_amount": "40.30", "receipt_amount": "40.30"}
    expected |= {"trade_no": created["trade_no"], "buyer_open_id": BUYER, "point_amount": "0.00"}
    assert paid | expected == paid
    assert paid["fund_bill_list"] == [{"amount": "40.30", "fund_channel": "ALIPAYACCOUNT"}]
    assert len(created["trade_no"]) == 28


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        ({"buyer_open_id": None}, "ACQ.INVALID_PARAMETER"),
        ({"out_trade_no": "A-1"}, "ACQ.INVALID_PARAMETER"),
        ({"out_trade_no": "A" * 65}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": "0.00"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"total_amount": "100000000.01"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"total_amount": "1.001"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": "1e2"}, "ACQ.INVALID_PARAMETER"),
        ({"subject": "a=b"}, "ACQ.INVALID_PARAMETER"),
        ({"subject": "x" * 257}, "ACQ.INVALID_PARAMETER"),
        ({"time_expire": "2020-01-01 00:00:00"}, "ACQ.INVALID_PARAMETER"),
        ({"timeout_express": "15"}, "ACQ.INVALID_PARAMETER"),
        ({"seller_id": "2088000000000000"}, "ACQ.PARTNER_ERROR"),
    ],
)
def test_a_wrong_member_is_refused_and_nothing_is_created(
    alipay: AlipayCaller, changes: dict[str, Any], sub_code: str
) -> None:
    biz = alipay.order(**changes)
    assert alipay.create(biz)["sub_code"] == sub_code
    assert alipay.sandbox.control.get("orders") == []


def test_the_missing_buyer_has_the_known_message(alipay: AlipayCaller) -> None:
    assert alipay.create(alipay.order(buyer_open_id=None))["sub_msg"] == "参数无效:买家不能为空"


def test_a_trade_can_be_sent_again_and_only_unchanged(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    first = alipay.create(biz)
    assert alipay.create(biz) == first
    assert alipay.create(biz | {"total_amount": "40.31"})["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    assert alipay.create(biz | {"buyer_open_id": "0Another"})["sub_code"] == "ACQ.TRADE_BUYER_NOT_MATCH"
    alipay.sandbox.control.pay(biz["out_trade_no"])
    assert alipay.create(biz)["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"


def test_a_closed_trade_is_closed_for_good(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    alipay.create(biz)
    assert alipay.close(biz["out_trade_no"])["code"] == "10000"
    assert status(alipay, biz["out_trade_no"]) == "TRADE_CLOSED"
    assert alipay.create(biz)["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
    assert alipay.close(biz["out_trade_no"])["sub_code"] == "ACQ.REASON_TRADE_STATUS_INVALID"
    assert alipay.close(alipay.paid_order()["out_trade_no"])["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    assert alipay.close("A404404")["sub_code"] == "ACQ.TRADE_NOT_EXIST"


def test_a_trade_ends_at_its_time(alipay: AlipayCaller) -> None:
    biz = alipay.order(timeout_express="15m")
    alipay.create(biz)
    alipay.sandbox.control.advance(899)
    assert status(alipay, biz["out_trade_no"]) == "WAIT_BUYER_PAY"
    alipay.sandbox.control.advance(2)
    assert status(alipay, biz["out_trade_no"]) == "TRADE_CLOSED"


def test_a_paid_trade_is_finished_after_its_refund_window(alipay: AlipayCaller) -> None:
    number = alipay.paid_order()["out_trade_no"]
    alipay.sandbox.control.advance(366 * 86_400)
    assert status(alipay, number) == "TRADE_FINISHED"
    assert alipay.refund(number, "1.00")["sub_code"] == "ACQ.TRADE_HAS_FINISHED"


def test_a_precreated_trade_is_not_there_until_somebody_scans_it(alipay: AlipayCaller) -> None:
    biz = alipay.order(buyer_open_id=None)
    number = biz["out_trade_no"]
    code = alipay.precreate(biz)["qr_code"]
    assert alipay.precreate(biz)["qr_code"] == code
    assert status(alipay, number) == "ACQ.TRADE_NOT_EXIST"
    assert alipay.close(number)["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    alipay.sandbox.control.post(f"orders/{number}/scan")
    assert status(alipay, number) == "WAIT_BUYER_PAY"
    alipay.sandbox.control.pay(number)
    assert status(alipay, number) == "TRADE_SUCCESS"


def test_cancelling_what_nobody_scanned_has_no_action_and_the_code_is_dead(alipay: AlipayCaller) -> None:
    biz = alipay.order(buyer_open_id=None)
    alipay.precreate(biz)
    cancelled = alipay.cancel(biz["out_trade_no"])
    assert (cancelled["retry_flag"], "action" in cancelled) == ("N", False)
    assert alipay.precreate(biz)["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
    assert "action" not in alipay.cancel("A404404")


def test_a_bar_code_pays_at_once_and_each_code_once(alipay: AlipayCaller) -> None:
    biz = alipay.code_order()
    paid = alipay.pay_by_code(biz)
    assert (paid["code"], paid["total_amount"], status(alipay, biz["out_trade_no"])) == (
        "10000",
        "40.30",
        "TRADE_SUCCESS",
    )
    assert alipay.pay_by_code(biz)["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    other = alipay.code_order(auth_code=biz["auth_code"])
    assert alipay.pay_by_code(other)["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
    assert alipay.pay_by_code(alipay.code_order(auth_code="134567890123456789"))["code"] == "40004"


def test_the_code_of_a_phone_ends_after_a_minute(alipay: AlipayCaller) -> None:
    code = alipay.sandbox.control.post("codes", {"channel": "alipay"})["code"]
    alipay.sandbox.control.advance(61)
    assert alipay.pay_by_code(alipay.code_order(auth_code=code))["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"


@pytest.mark.parametrize(("act", "ends"), [("pay", "TRADE_SUCCESS"), ("refuse", "TRADE_CLOSED")])
def test_above_a_thousand_yuan_the_payer_is_asked(alipay: AlipayCaller, act: str, ends: str) -> None:
    biz = alipay.code_order("1000.01")
    asked = alipay.pay_by_code(biz)
    assert (asked["code"], "sub_code" in asked) == ("10003", False)
    assert status(alipay, biz["out_trade_no"]) == "WAIT_BUYER_PAY"
    alipay.sandbox.control.post(f"orders/{biz['out_trade_no']}/{act}")
    assert status(alipay, biz["out_trade_no"]) == ends


@pytest.mark.parametrize(
    ("fault", "ends"),
    [("userpaying_then_paid", "TRADE_SUCCESS"), ("userpaying_then_failed", "TRADE_CLOSED")],
)
def test_a_rule_lets_the_payer_take_some_queries(alipay: AlipayCaller, fault: str, ends: str) -> None:
    alipay.sandbox.control.add_fault("barcode", fault, channel="alipay", params={"asks": 3})
    biz = alipay.code_order()
    assert alipay.pay_by_code(biz)["code"] == "10003"
    seen = [status(alipay, biz["out_trade_no"]) for _ in range(5)]
    assert seen == ["WAIT_BUYER_PAY"] * 3 + [ends] * 2


def test_cancel_undoes_a_payment_or_what_waits(alipay: AlipayCaller) -> None:
    paid, waiting = alipay.code_order(), alipay.code_order("1000.01")
    alipay.pay_by_code(paid)
    alipay.pay_by_code(waiting)
    assert alipay.cancel(paid["out_trade_no"])["action"] == "refund"
    assert alipay.cancel(waiting["out_trade_no"])["action"] == "close"
    for biz in (paid, waiting):
        assert status(alipay, biz["out_trade_no"]) == "TRADE_CLOSED"
        assert alipay.cancel(biz["out_trade_no"])["retry_flag"] == "N"


def test_cancel_can_ask_to_be_called_again_and_is_too_late_after_a_day(alipay: AlipayCaller) -> None:
    biz = alipay.code_order()
    alipay.pay_by_code(biz)
    alipay.sandbox.control.add_fault("reverse", "call_again", channel="alipay", times=1)
    assert alipay.cancel(biz["out_trade_no"])["retry_flag"] == "Y"
    assert status(alipay, biz["out_trade_no"]) == "TRADE_SUCCESS"
    alipay.sandbox.control.advance(86_401)
    assert alipay.cancel(biz["out_trade_no"])["sub_code"] == "ACQ.TRADE_CANCEL_TIME_OUT"


def test_partial_refunds_add_up_and_a_repeat_moves_nothing(alipay: AlipayCaller) -> None:
    number = alipay.paid_order()["out_trade_no"]
    first = alipay.refund(number, "10.00", "R1")
    assert [first[name] for name in ("fund_change", "refund_fee", "send_back_fee")] == ["Y", "10.00", "10.00"]
    second = alipay.refund(number, "5.05", "R2")
    assert [second[name] for name in ("fund_change", "refund_fee", "send_back_fee")] == ["Y", "15.05", "5.05"]
    again = alipay.refund(number, "10.00", "R1")
    assert [again[name] for name in ("fund_change", "refund_fee")] == ["N", "15.05"]
    assert status(alipay, number) == "TRADE_SUCCESS"
    assert alipay.refund(number, "25.25", "R3")["fund_change"] == "Y"
    assert status(alipay, number) == "TRADE_CLOSED"
    assert "send_pay_date" in alipay.query(number)


@pytest.mark.parametrize(
    ("yuan", "request_no", "sub_code"),
    [("40.31", "R2", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"), ("10.01", "R1", "ACQ.DISCORDANT_REPEAT_REQUEST")],
)
def test_a_refund_that_does_not_fit_is_refused(alipay: AlipayCaller, yuan: str, request_no: str, sub_code: str) -> None:
    number = alipay.paid_order()["out_trade_no"]
    alipay.refund(number, "10.00", "R1")
    assert alipay.refund(number, yuan, request_no)["sub_code"] == sub_code


def test_an_unpaid_trade_cannot_be_refunded(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    alipay.create(biz)
    assert alipay.refund(biz["out_trade_no"], "1.00")["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    alipay.close(biz["out_trade_no"])
    assert alipay.refund(biz["out_trade_no"], "1.00")["sub_code"] == "ACQ.TRADE_HAS_CLOSE"


def test_the_number_of_a_refund_counts_within_its_trade(alipay: AlipayCaller) -> None:
    numbers = [alipay.paid_order()["out_trade_no"] for _ in range(2)]
    assert [alipay.refund(number, "1.00", "R1")["fund_change"] for number in numbers] == ["Y", "Y"]


def test_an_unknown_refund_is_a_success_that_says_nothing(alipay: AlipayCaller) -> None:
    number = alipay.paid_order()["out_trade_no"]
    told = alipay.query_refund(number, "R404")
    assert (told["code"], "refund_status" in told, "refund_amount" in told) == ("10000", False, False)


def test_a_stuck_refund_moves_later(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.options(stuck_s=100_000.0)
    alipay.sandbox.control.add_fault("refund", "refund_stuck", channel="alipay")
    number = alipay.paid_order()["out_trade_no"]
    told = alipay.refund(number, "10.00", "R1")
    assert (told["fund_change"], told["refund_fee"]) == ("N", "0.00")
    assert "refund_status" not in alipay.query_refund(number, "R1")
    alipay.sandbox.control.advance(1_001)
    wait_until(lambda: alipay.query_refund(number, "R1").get("refund_status") == "REFUND_SUCCESS")


def test_a_deposit_back_that_failed_shows_only_to_those_who_ask(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.add_fault("refund", "refund_abnormal", channel="alipay")
    number = alipay.paid_order()["out_trade_no"]
    alipay.refund(number, "10.00", "R1")
    assert "deposit_back_info" not in alipay.query_refund(number, "R1")
    assert alipay.query_refund(number, "R1", "deposit_back_info")["deposit_back_info"]["dback_status"] == "F"


def test_buyers_can_be_named_as_apps_of_old_know_them(alipay: AlipayCaller) -> None:
    alipay.sandbox.control.options(alipay_user_ids=True)
    biz = alipay.order(buyer_open_id=None, buyer_id="2088000000000009")
    alipay.create(biz)
    alipay.sandbox.control.pay(biz["out_trade_no"])
    assert alipay.query(biz["out_trade_no"])["buyer_user_id"] == "2088000000000009"


def test_numbers_are_given_out_once(alipay: AlipayCaller) -> None:
    seen = [alipay.create(alipay.order(out_trade_no=new_number("A")))["trade_no"] for _ in range(5)]
    assert all(first != second for first, second in itertools.pairwise(sorted(seen)))
