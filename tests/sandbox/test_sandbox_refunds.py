"""Refunds: accepted first, done later; idempotent by out_refund_no; never more than was paid."""

from typing import Any

import pytest

from tests.sandbox.callers import Caller, new_number
from tests.sandboxes import wait_until

DAY_S = 86_400


def status_of(caller: Caller, number: str) -> str:
    return caller.query_refund(number).json()["status"]


def test_a_refund_is_accepted_and_succeeds_by_itself(caller: Caller) -> None:
    order = caller.paid_order()
    number = new_number("R")
    accepted = caller.refund(order, 1030, out_refund_no=number)
    assert accepted.status_code == 200
    body = accepted.json()
    assert (body["status"], body["out_refund_no"], body["out_trade_no"]) == (
        "PROCESSING",
        number,
        order["out_trade_no"],
    )
    assert "success_time" not in body
    assert body["amount"] == {
        "total": 4030,
        "refund": 1030,
        "payer_total": 4030,
        "payer_refund": 1030,
        "settlement_total": 4030,
        "settlement_refund": 1030,
        "discount_refund": 0,
        "currency": "CNY",
        "refund_fee": 0,
        "from": [],
    }
    wait_until(lambda: status_of(caller, number) == "SUCCESS")
    done = caller.query_refund(number).json()
    assert done["success_time"].endswith("+08:00")
    assert {**done, "status": "PROCESSING"} == {**body, "success_time": done["success_time"]}


def test_any_refund_turns_the_order_to_refund_also_a_partial_one(caller: Caller) -> None:
    order = caller.paid_order()
    caller.refund(order, 1)
    queried = caller.query(order["out_trade_no"]).json()
    assert (queried["trade_state"], queried["trade_state_desc"]) == ("REFUND", "转入退款")


def test_the_same_refund_again_is_the_same_refund(caller: Caller) -> None:
    order = caller.paid_order()
    number = new_number("R")
    first = caller.refund(order, 1030, out_refund_no=number).json()
    again = caller.refund(order, 1030, out_refund_no=number).json()
    assert again["refund_id"] == first["refund_id"]
    assert len(caller.sandbox.control.get("refunds")) == 1


def test_the_same_number_with_another_amount_is_refused(caller: Caller) -> None:
    order = caller.paid_order()
    number = new_number("R")
    caller.refund(order, 1030, out_refund_no=number)
    answer = caller.refund(order, 1031, out_refund_no=number)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert caller.query_refund(number).json()["amount"]["refund"] == 1030


def test_refunds_never_exceed_what_was_paid(caller: Caller) -> None:
    order = caller.paid_order()
    assert caller.refund(order, 4000).status_code == 200
    too_much = caller.refund(order, 31)
    assert (too_much.status_code, too_much.json()["code"]) == (400, "INVALID_REQUEST")
    assert caller.refund(order, 30).status_code == 200
    assert caller.refund(order, 1).status_code == 400


def test_a_closed_refund_gives_its_amount_back_and_an_abnormal_one_does_not(caller: Caller) -> None:
    caller.sandbox.control.options(refund_s=1000.0)
    order = caller.paid_order(4040)
    numbers = [new_number("R"), new_number("R")]
    for number in numbers:
        caller.refund(order, 2020, out_refund_no=number)
    caller.sandbox.control.settle(numbers[0], "CLOSED")
    caller.sandbox.control.settle(numbers[1], "ABNORMAL")
    assert [status_of(caller, number) for number in numbers] == ["CLOSED", "ABNORMAL"]
    assert caller.refund(order, 2021).status_code == 400
    assert caller.refund(order, 2020).status_code == 200


def test_the_fifty_first_partial_refund_is_refused(caller: Caller) -> None:
    caller.sandbox.control.options(test_values=False)
    order = caller.paid_order()
    for _ in range(50):
        assert caller.refund(order, 1).status_code == 200
    assert caller.refund(order, 1).json()["code"] == "INVALID_REQUEST"


def test_after_a_year_nothing_is_refunded(caller: Caller) -> None:
    order = caller.paid_order()
    caller.sandbox.control.advance(365 * DAY_S + 60)
    assert caller.refund(order, 30).json()["code"] == "INVALID_REQUEST"


def test_an_unpaid_order_cannot_be_refunded(caller: Caller) -> None:
    order = caller.order()
    caller.create(order)
    assert caller.refund(order, 30).json()["code"] == "INVALID_REQUEST"


def test_an_unknown_order_or_refund_is_404(caller: Caller) -> None:
    missing = caller.refund(caller.order(), 30)
    assert (missing.status_code, missing.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")
    unknown = caller.query_refund("R404")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")


def test_a_refund_may_name_the_transaction_but_both_numbers_must_agree(caller: Caller) -> None:
    order, other = caller.paid_order(), caller.paid_order()
    transaction_id = caller.query(order["out_trade_no"]).json()["transaction_id"]
    assert caller.refund(order, 30, out_trade_no=None, transaction_id=transaction_id).status_code == 200
    assert caller.refund(order, 30, transaction_id=transaction_id).status_code == 200
    assert caller.refund(other, 30, transaction_id=transaction_id).status_code == 404


WRONG: dict[str, dict[str, Any]] = {
    "neither number": {"out_trade_no": None},
    "no out_refund_no": {"out_refund_no": None},
    "out_refund_no with a blank": {"out_refund_no": "R 1"},
    "out_refund_no too long": {"out_refund_no": "R" * 65},
    "a long reason": {"reason": "字" * 81},
    "no currency": {"amount": {"refund": 30, "total": 4030}},
    "more than the total": {"amount": {"refund": 4031, "total": 4030, "currency": "CNY"}},
    "nothing": {"amount": {"refund": 0, "total": 4030, "currency": "CNY"}},
    "text as amount": {"amount": {"refund": "30", "total": 4030, "currency": "CNY"}},
    "an unknown field": {"appid": "wx"},
    "a notify_url with a query": {"notify_url": "https://shop.example.com/?a=1"},
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_fields_are_refused_and_nothing_is_refunded(caller: Caller, what: str) -> None:
    answer = caller.refund(caller.paid_order(), 30, **WRONG[what])
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")
    assert caller.sandbox.control.get("refunds") == []


def test_another_total_than_the_orders_is_refused(caller: Caller) -> None:
    answer = caller.refund(caller.paid_order(), 30, amount={"refund": 30, "total": 5000, "currency": "CNY"})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
