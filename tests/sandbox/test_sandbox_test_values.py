"""The last two digits of an amount choose what happens, without any rule."""

import itertools
import time
from typing import Any

import pytest
import requests

from tests.sandbox.callers import Caller, Receiver, new_number
from tests.sandboxes import wait_until


def state(caller: Caller, order: dict[str, Any]) -> str:
    answer = caller.query(order["out_trade_no"])
    return answer.json()["trade_state"] if answer.status_code == 200 else answer.json()["code"]


def is_paid(caller: Caller, order: dict[str, Any]) -> bool:
    return state(caller, order) == "SUCCESS"


@pytest.mark.parametrize("fen", [4030, 100, 1, 4019, 4099, 10_000])
def test_an_ordinary_amount_waits_for_the_payer(caller: Caller, fen: int) -> None:
    fen = fen if fen != 1 else 2000
    order = caller.order(fen)
    assert caller.create(order).status_code == 200
    time.sleep(0.2)  # twenty times what a test value needs here
    assert state(caller, order) == "NOTPAY"


@pytest.mark.parametrize("value", [1, 6, 8, 9, 10, 11, 12, 13, 14, 15])
def test_these_are_paid_at_once(caller: Caller, value: int) -> None:
    order = caller.order(4000 + value)
    assert caller.create(order).status_code == 200
    wait_until(lambda: is_paid(caller, order))


def test_02_is_refused(caller: Caller) -> None:
    order = caller.order(4002)
    answer = caller.create(order)
    assert (answer.status_code, answer.json()["code"]) == (403, "RULE_LIMIT")
    assert state(caller, order) == "ORDER_NOT_EXIST"


def test_03_times_out_and_is_paid(caller: Caller) -> None:
    order = caller.order(4003)
    with pytest.raises(requests.ReadTimeout):
        caller.create(order, timeout=0.3)
    wait_until(lambda: is_paid(caller, order))


def test_04_times_out_is_not_paid_and_can_be_sent_again(caller: Caller) -> None:
    order = caller.order(4004)
    with pytest.raises(requests.ReadTimeout):
        caller.create(order, timeout=0.3)
    assert state(caller, order) == "ORDER_NOT_EXIST"
    assert caller.create(order).status_code == 200
    assert state(caller, order) == "NOTPAY"


def test_05_is_paid_after_the_close(caller: Caller, receiver: Receiver) -> None:
    order = caller.order(4005)
    caller.create(order)
    assert caller.close_order(order["out_trade_no"]).status_code == 204
    wait_until(lambda: is_paid(caller, order))
    wait_until(lambda: receiver.got)


def test_06_calls_back_five_times_at_once(caller: Caller, receiver: Receiver) -> None:
    receiver.delay_s = 1.0
    caller.create(caller.order(4006))
    wait_until(lambda: len(receiver.got) == 5)
    assert receiver.got[-1].at - receiver.got[0].at < 1.0
    assert len({got.envelope["id"] for got in receiver.got}) == 1


def test_07_calls_back_before_it_answers(caller: Caller, receiver: Receiver) -> None:
    assert caller.create(caller.order(4007)).status_code == 200
    assert len(receiver.got) == 1


def test_08_calls_back_with_a_wrong_amount(caller: Caller, receiver: Receiver) -> None:
    order = caller.order(4008)
    caller.create(order)
    got = wait_until(lambda: receiver.got)[0]
    assert caller.genuine(got.headers, got.body)
    assert caller.opened(got.body)["amount"]["total"] == 4009
    assert caller.query(order["out_trade_no"]).json()["amount"]["total"] == 4008


def test_09_calls_back_with_a_bad_signature(caller: Caller, receiver: Receiver) -> None:
    receiver.statuses = [401]
    caller.create(caller.order(4009))
    wait_until(lambda: len(receiver.got) == 2)
    assert not any(caller.genuine(got.headers, got.body) for got in receiver.got)


def test_10_never_calls_back(caller: Caller, receiver: Receiver) -> None:
    order = caller.order(4010)
    caller.create(order)
    wait_until(lambda: is_paid(caller, order))
    caller.sandbox.control.advance(86_400)
    time.sleep(0.2)
    assert receiver.got == []


def test_11_a_refund_is_stuck_and_then_succeeds(caller: Caller) -> None:
    caller.sandbox.control.options(stuck_s=100_000.0)
    number = caller.refund(caller.paid_order(), 2011).json()["out_refund_no"]
    time.sleep(0.2)
    assert caller.query_refund(number).json()["status"] == "PROCESSING"
    caller.sandbox.control.advance(1_001)
    wait_until(lambda: caller.query_refund(number).json()["status"] == "SUCCESS")


def test_12_a_refund_is_abnormal(caller: Caller) -> None:
    number = caller.refund(caller.paid_order(), 12).json()["out_refund_no"]
    wait_until(lambda: caller.query_refund(number).json()["status"] == "ABNORMAL")


def test_16_hangs_every_time(caller: Caller) -> None:
    order = caller.order(4016)
    for _ in range(2):
        with pytest.raises(requests.ReadTimeout):
            caller.create(order, timeout=0.3)
    assert state(caller, order) == "ORDER_NOT_EXIST"


def test_17_drips(caller: Caller) -> None:
    order = caller.order(4017)
    with caller.create(order, stream=True) as answer:
        started = time.monotonic()
        assert b"".join(itertools.islice(answer.iter_content(1), 3)) == b'{"p'
        assert time.monotonic() - started >= 1.5
    assert state(caller, order) == "NOTPAY"


def test_18_answers_500_after_executing_and_then_gives_the_same_order(caller: Caller) -> None:
    order = caller.order(4018)
    assert caller.create(order).status_code == 500
    assert state(caller, order) == "NOTPAY"
    assert caller.create(order).status_code == 200


@pytest.mark.parametrize(("value", "done"), [(3, True), (4, False)])
def test_a_refund_of_03_or_04_times_out(caller: Caller, value: int, done: bool) -> None:
    order, number = caller.paid_order(), new_number("R")
    with pytest.raises(requests.ReadTimeout):
        caller.refund(order, 1000 + value, out_refund_no=number, timeout=0.3)
    assert (caller.query_refund(number).status_code == 200) is done
    assert caller.refund(order, 1000 + value, out_refund_no=number).status_code == 200


def test_a_rule_goes_before_a_test_value(caller: Caller) -> None:
    caller.sandbox.control.add_fault("create", "unknown_not_done", times=1)
    order = caller.order(4002)
    assert caller.create(order).status_code == 500
    assert caller.create(order).json()["code"] == "RULE_LIMIT"


def test_test_values_can_be_switched_off(caller: Caller) -> None:
    caller.sandbox.control.options(test_values=False)
    assert caller.create(caller.order(4002)).status_code == 200
