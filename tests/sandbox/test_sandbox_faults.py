"""The fault catalogue of calls: what the client sees, and what is in the books afterwards."""

import json
import threading
import time
from typing import Any

import pytest
import requests

from tests.sandbox.callers import Caller, Receiver, new_number
from tests.sandboxes import ControlRefused, wait_until


def exists(caller: Caller, number: str) -> bool:
    return caller.query(number).status_code == 200


def created_under(caller: Caller, fault: str, **params: Any) -> tuple[requests.Response, str]:
    """Create an order while `fault` holds for its number; returns the answer and the number."""
    body = caller.order()
    caller.sandbox.control.add_fault("create", fault, number=body["out_trade_no"], params=params)
    return caller.create(body), body["out_trade_no"]


@pytest.mark.parametrize(
    ("fault", "status", "code", "done"),
    [
        ("unknown_but_done", 500, "SYSTEM_ERROR", True),
        ("unknown_not_done", 500, "SYSTEM_ERROR", False),
        ("frequency_limited_done", 429, "FREQUENCY_LIMITED", True),
        ("frequency_limited_not_done", 429, "FREQUENCY_LIMITED", False),
        ("refused", 403, "RULE_LIMIT", False),
    ],
)
def test_an_error_answer_says_nothing_about_what_was_done(
    caller: Caller, fault: str, status: int, code: str, done: bool
) -> None:
    answer, number = created_under(caller, fault)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert exists(caller, number) is done
    logged = caller.sandbox.control.calls(operation="create", number=number)
    assert [(call["fault"], call["executed"], call["status"]) for call in logged] == [(fault, done, status)]


@pytest.mark.parametrize("name", ["BANK_ERROR", "NO_AUTH", "SERVICE_UNAVAILABLE", "ACCOUNT_ERROR"])
def test_any_documented_error_can_be_asked_for(caller: Caller, name: str) -> None:
    answer, number = created_under(caller, "error", error=name)
    assert answer.json()["code"] == name
    assert not exists(caller, number)


@pytest.mark.parametrize(("fault", "done"), [("timeout_done", True), ("timeout_not_done", False)])
def test_a_timing_out_call_is_held_back_whether_or_not_it_was_done(caller: Caller, fault: str, done: bool) -> None:
    body = caller.order()
    caller.sandbox.control.add_fault("create", fault, number=body["out_trade_no"])
    with pytest.raises(requests.ReadTimeout):
        caller.create(body, timeout=0.4)
    assert exists(caller, body["out_trade_no"]) is done


def test_a_held_back_answer_comes_when_its_time_is_over(caller: Caller) -> None:
    started = time.monotonic()
    answer, _ = created_under(caller, "timeout_done", pause_s=0.5)
    assert answer.status_code == 500
    assert 0.5 <= time.monotonic() - started < 5


def test_a_late_execution_shows_only_after_its_time_although_the_client_has_left(caller: Caller) -> None:
    body = caller.order()
    number = body["out_trade_no"]
    caller.sandbox.control.add_fault("create", "late_execution", number=number, params={"executes_after_s": 1.0})
    started = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        caller.create(body, timeout=0.2)
    assert not exists(caller, number)
    wait_until(lambda: exists(caller, number))
    assert time.monotonic() - started >= 1.0


def test_advancing_the_clock_brings_a_late_execution_at_once(caller: Caller) -> None:
    body = caller.order()
    caller.sandbox.control.add_fault("create", "late_execution", params={"executes_after_s": 500})
    with pytest.raises(requests.ReadTimeout):
        caller.create(body, timeout=0.2)
    caller.sandbox.control.advance(501)
    wait_until(lambda: exists(caller, body["out_trade_no"]), within_s=3)


@pytest.mark.parametrize("executes", [True, False])
def test_a_reset_connection_is_a_reset(caller: Caller, executes: bool) -> None:
    body = caller.order()
    params = {"executes": executes}
    caller.sandbox.control.add_fault("create", "connection_reset", number=body["out_trade_no"], params=params)
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        caller.create(body)
    assert exists(caller, body["out_trade_no"]) is executes


def test_half_a_body_is_an_incomplete_read(caller: Caller) -> None:
    body = caller.order()
    caller.sandbox.control.add_fault("create", "half_body", number=body["out_trade_no"])
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        caller.create(body)
    assert exists(caller, body["out_trade_no"])


def test_bad_json_is_properly_signed(caller: Caller) -> None:
    answer, number = created_under(caller, "bad_json")
    assert answer.status_code == 200
    assert caller.genuine(answer.headers, answer.content)
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert exists(caller, number)


def test_garbage_called_gzip_cannot_be_decoded(caller: Caller) -> None:
    body = caller.order()
    caller.sandbox.control.add_fault("create", "gzip_garbage", number=body["out_trade_no"])
    with pytest.raises(requests.exceptions.ContentDecodingError):
        caller.create(body)


@pytest.mark.parametrize("executes", [True, False])
def test_a_bad_gateway_speaks_html(caller: Caller, executes: bool) -> None:
    answer, number = created_under(caller, "bad_gateway_html", executes=executes)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert "nginx" in answer.text
    assert exists(caller, number) is executes


@pytest.mark.parametrize(
    "fault", ["wrong_signature", "missing_signature", "stale_timestamp", "unknown_serial", "signtest_probe"]
)
def test_a_flawed_answer_does_not_verify_but_was_executed(caller: Caller, fault: str) -> None:
    answer, number = created_under(caller, fault)
    assert answer.status_code == 200
    assert not caller.genuine(answer.headers, answer.content)
    assert exists(caller, number)


def test_a_slow_answer_drips_one_byte_a_second(caller: Caller) -> None:
    body = caller.order()
    caller.sandbox.control.add_fault("create", "slow_drip", number=body["out_trade_no"])
    with caller.create(body, timeout=5, stream=True) as answer:
        assert int(answer.headers["Content-Length"]) > 40
        bytes_seen = answer.iter_content(1)
        next(bytes_seen)
        started = time.monotonic()
        assert [next(bytes_seen), next(bytes_seen)] == [b'"', b"p"]
        assert 1.5 <= time.monotonic() - started < 5
    assert exists(caller, body["out_trade_no"])


def test_a_hanging_call_never_answers_and_does_nothing(caller: Caller) -> None:
    body = caller.order()
    caller.sandbox.control.add_fault("create", "hang", number=body["out_trade_no"], times=1)
    with pytest.raises(requests.ReadTimeout):
        caller.create(body, timeout=0.5)
    assert not exists(caller, body["out_trade_no"])
    assert caller.create(body).status_code == 200


def test_many_hanging_calls_do_not_stop_the_others(caller: Caller) -> None:
    caller.sandbox.control.add_fault("create", "hang")

    def hang() -> None:
        body = caller.order()
        with pytest.raises(requests.ReadTimeout):
            requests.post(
                f"{caller.sandbox.base_url}/v3/pay/transactions/jsapi",
                json=body,
                headers={
                    "Authorization": caller.authorization(
                        "POST", "/v3/pay/transactions/jsapi", json.dumps(body).encode()
                    ),
                    "User-Agent": "x",
                },
                timeout=3,
            )

    threads = [threading.Thread(target=hang) for _ in range(20)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(caller.sandbox.control.calls(operation="create")) == 20)
    assert caller.query("P404404").status_code == 404
    for thread in threads:
        thread.join()


def test_the_notification_can_come_before_the_answer(caller: Caller, receiver: Receiver) -> None:
    receiver.delay_s = 0.3
    answer, number = created_under(caller, "notify_before_answer")
    answered_at = time.time()
    assert answer.status_code == 200
    assert receiver.got[0].at + 0.3 <= answered_at
    assert caller.opened(receiver.got[0].body)["out_trade_no"] == number
    assert caller.query(number).json()["trade_state"] == "SUCCESS"


def test_a_payment_can_win_the_race_against_the_close(caller: Caller, receiver: Receiver) -> None:
    body = caller.order()
    number = body["out_trade_no"]
    caller.create(body)
    caller.sandbox.control.options(pay_s=50.0)
    caller.sandbox.control.add_fault("close", "pay_after_close")
    assert caller.close_order(number).status_code == 204
    assert caller.query(number).json()["trade_state"] == "CLOSED"
    wait_until(lambda: caller.query(number).json()["trade_state"] == "SUCCESS")
    wait_until(lambda: receiver.got)
    assert caller.opened(receiver.got[0].body)["trade_state"] == "SUCCESS"


def test_a_close_can_be_accepted_without_effect(caller: Caller) -> None:
    body = caller.order()
    caller.create(body)
    caller.sandbox.control.add_fault("close", "accepted_without_effect")
    answer = caller.close_order(body["out_trade_no"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert caller.genuine(answer.headers, b"")
    assert caller.query(body["out_trade_no"]).json()["trade_state"] == "NOTPAY"


@pytest.mark.parametrize(("fault", "status"), [("refund_abnormal", "ABNORMAL"), ("refund_closed", "CLOSED")])
def test_a_refund_can_end_badly(caller: Caller, receiver: Receiver, fault: str, status: str) -> None:
    caller.sandbox.control.add_fault("refund", fault)
    number = caller.refund(caller.paid_order(), 30).json()["out_refund_no"]
    wait_until(lambda: caller.query_refund(number).json()["status"] == status)
    wait_until(lambda: [got for got in receiver.got if got.envelope["event_type"] == f"REFUND.{status}"])


def test_a_refund_can_be_stuck_until_the_clock_goes_on(caller: Caller) -> None:
    caller.sandbox.control.options(stuck_s=1_000_000)
    caller.sandbox.control.add_fault("refund", "refund_stuck")
    number = caller.refund(caller.paid_order(), 30).json()["out_refund_no"]
    time.sleep(0.3)
    assert caller.query_refund(number).json()["status"] == "PROCESSING"
    caller.sandbox.control.advance(10_001)
    wait_until(lambda: caller.query_refund(number).json()["status"] == "SUCCESS")


def test_a_refund_without_funds_succeeds_later_under_the_same_number(caller: Caller) -> None:
    order, number = caller.paid_order(), new_number("R")
    caller.sandbox.control.add_fault("refund", "not_enough", times=2)
    for _ in range(2):
        answer = caller.refund(order, 30, out_refund_no=number)
        assert (answer.status_code, answer.json()["code"]) == (403, "NOT_ENOUGH")
    assert caller.query_refund(number).status_code == 404
    assert caller.refund(order, 30, out_refund_no=number).status_code == 200


def test_a_refund_that_answers_500_may_be_done(caller: Caller) -> None:
    order, number = caller.paid_order(), new_number("R")
    caller.sandbox.control.add_fault("refund", "unknown_but_done", times=1)
    assert caller.refund(order, 30, out_refund_no=number).status_code == 500
    assert caller.query_refund(number).status_code == 200
    assert caller.refund(order, 30, out_refund_no=number).status_code == 200
    assert len(caller.sandbox.control.get("refunds")) == 1


def test_a_rule_can_skip_calls_and_end_after_some(caller: Caller) -> None:
    caller.sandbox.control.add_fault("query", "unknown_but_done", skip=1, times=2)
    number = caller.paid_order()["out_trade_no"]
    assert [caller.query(number).status_code for _ in range(5)] == [200, 500, 500, 200, 200]


def test_a_rule_chooses_by_a_pattern_on_the_number(caller: Caller) -> None:
    caller.sandbox.control.add_fault("create", "unknown_not_done", number="BAD*")
    assert caller.create(caller.order(out_trade_no=new_number("BAD"))).status_code == 500
    assert caller.create(caller.order(out_trade_no=new_number("GOOD"))).status_code == 200


def test_chance_is_repeatable_by_its_seed(caller: Caller) -> None:
    def run(seed: int) -> list[int]:
        caller.sandbox.control.call("DELETE", "faults")
        caller.sandbox.control.add_fault("query", "unknown_but_done", probability=0.5, seed=seed)
        return [caller.query("P404404").status_code for _ in range(24)]

    first = run(7)
    assert set(first) == {404, 500}
    assert run(7) == first
    assert run(8) != first


def test_a_rule_for_any_operation_hits_calls_and_not_notifications(caller: Caller, receiver: Receiver) -> None:
    order = caller.paid_order()
    wait_until(lambda: receiver.got)
    caller.sandbox.control.add_fault("any", "unknown_not_done")
    assert caller.query(order["out_trade_no"]).status_code == 500
    assert caller.send("GET", "/v3/certificates").status_code == 500
    assert caller.refund(order, 30).status_code == 500


def test_rules_are_listed_with_their_counts_and_can_be_removed(caller: Caller) -> None:
    rule = caller.sandbox.control.add_fault("query", "unknown_but_done", times=1)
    caller.query("P404404")
    caller.query("P404404")
    listed = caller.sandbox.control.get("faults")
    assert [(found["id"], found["seen"], found["fired"]) for found in listed] == [(rule["id"], 2, 1)]
    caller.sandbox.control.call("DELETE", f"faults/{rule['id']}")
    assert caller.sandbox.control.get("faults") == []


@pytest.mark.parametrize(
    "rule",
    [
        {"operation": "create", "fault": "no_such_fault"},
        {"operation": "no_such_operation", "fault": "hang"},
        {"operation": "notify_payment", "fault": "hang"},
        {"operation": "create", "fault": "duplicates"},
        {"operation": "create", "fault": "hang", "params": {"no_such_parameter": 1}},
        {"operation": "create", "fault": "hang", "params": {"pause_s": "1"}},
        {"operation": "create", "fault": "hang", "params": {"executes": 1}},
        {"operation": "create", "fault": "error", "params": {"error": "NO_SUCH_ERROR"}},
        {"operation": "create", "fault": "hang", "times": "1"},
        {"operation": "create", "fault": "hang", "colour": "red"},
        {"fault": "hang"},
    ],
)
def test_a_rule_that_cannot_work_is_refused(caller: Caller, rule: dict[str, Any]) -> None:
    with pytest.raises(ControlRefused) as refusal:
        caller.sandbox.control.post("faults", rule)
    assert refusal.value.status == 400
    assert caller.sandbox.control.get("faults") == []
