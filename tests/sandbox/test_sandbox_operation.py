"""What makes a failing test repeatable and an outage possible: seed, record, clock, key rotation, the backup host."""

import base64
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import Caller, Receiver, new_number
from tests.sandboxes import ControlRefused, wait_until


def run(caller: Caller, alipay: AlipayCaller, *, seed: int, numbers: list[str]) -> dict[str, Any]:
    """The same steps under a seed; returns all that chance has decided."""
    caller.sandbox.control.post("reset", {"seed": seed})
    caller.sandbox.control.add_fault("query", "unknown_but_done", probability=0.5, seed=3)
    prepaid = [caller.create(caller.order(out_trade_no=number)).json()["prepay_id"][16:] for number in numbers]
    codes = [
        alipay.precreate(alipay.order(out_trade_no=f"A{number}", buyer_open_id=None))["qr_code"] for number in numbers
    ]
    statuses = [caller.query(number).status_code for number in numbers * 4]
    calls = [call["request_id"] for call in caller.sandbox.control.calls()]
    return {"prepaid": prepaid, "codes": codes, "statuses": statuses, "calls": calls}


def test_a_seed_repeats_every_choice_and_another_makes_others(caller: Caller, alipay: AlipayCaller) -> None:
    numbers = [new_number() for _ in range(4)]
    first = run(caller, alipay, seed=7, numbers=numbers)
    assert set(first["statuses"]) == {200, 500}
    assert run(caller, alipay, seed=7, numbers=numbers) == first
    other = run(caller, alipay, seed=8, numbers=numbers)
    assert all(other[name] != first[name] for name in first)


def test_the_record_has_all_that_a_replay_needs(caller: Caller) -> None:
    caller.sandbox.control.post("reset", {"seed": 11})
    caller.sandbox.control.options(refund_s=9.0)
    rule = {"operation": "create", "fault": "unknown_not_done", "times": 1, "probability": 0.9}
    caller.sandbox.control.post("faults", rule)
    order = caller.order()
    caller.create(order)
    record = caller.sandbox.control.get("record")
    assert (record["seed"], record["options"]["refund_s"]) == (11, 9.0)
    assert {name: record["faults"][0][name] for name in rule} == rule
    assert record["calls"][0]["body"].startswith('{"appid"')
    caller.sandbox.control.post("reset", {"seed": record["seed"]})
    for again in record["faults"]:
        caller.sandbox.control.post("faults", again)
    caller.create(order)
    repeated = caller.sandbox.control.calls()[0]
    assert [repeated[name] for name in ("request_id", "fault", "status")] == [
        record["calls"][0][name] for name in ("request_id", "fault", "status")
    ]


@pytest.mark.parametrize("seed", [0, -1, "7", 2**31, True])
def test_a_seed_is_a_whole_number_above_zero(caller: Caller, seed: Any) -> None:
    with pytest.raises(ControlRefused) as refusal:
        caller.sandbox.control.post("reset", {"seed": seed})
    assert refusal.value.status == 400


def test_the_seed_can_be_given_at_the_start_and_a_restart_repeats_nothing(fresh_sandbox: Any) -> None:
    sandbox = fresh_sandbox("--seed", "5", "--allow-http-notify").start()
    assert sandbox.control.get("options")["seed"] == 5
    with Caller(sandbox, notify_url="http://127.0.0.1:9/x") as caller:
        first = caller.query("P404404").headers["Request-ID"]
        sandbox.stop()
        sandbox.start()
        assert caller.query("P404404").headers["Request-ID"] != first
    assert sandbox.control.get("options")["seed"] == 5


def test_the_clock_can_be_set_to_a_moment_and_only_forward(caller: Caller) -> None:
    now = datetime.fromisoformat(caller.sandbox.control.get("clock")["now"])
    moved = caller.sandbox.control.post("clock", {"to": (now + timedelta(days=3)).isoformat()})
    assert timedelta(0) <= datetime.fromisoformat(moved["now"]) - now - timedelta(days=3) < timedelta(seconds=30)
    for wrong in (now.isoformat(), "tomorrow", (now + timedelta(days=9)).replace(tzinfo=None).isoformat(), 5):
        with pytest.raises(ControlRefused):
            caller.sandbox.control.post("clock", {"to": wrong})


def test_notifications_move_to_the_public_key_by_a_share(caller: Caller, receiver: Receiver) -> None:
    caller.sandbox.control.post("reset", {"seed": 4})
    caller.sandbox.control.options(notify_key="certificate", notify_shift_key="public_key", notify_shift_percent=50.0)
    for _ in range(16):
        caller.paid_order()
    wait_until(lambda: len(receiver.got) == 16)
    seen = Counter(got.headers["Wechatpay-Serial"] for got in receiver.got)
    known = (caller.identity["platform_certificate_serial_no"], caller.identity["platform_public_key_id"])
    assert set(seen) == set(known)
    assert all(caller.genuine(got.headers, got.body) for got in receiver.got)


def test_answers_in_certificate_mode_move_to_the_next_certificate_by_a_share(caller: Caller) -> None:
    caller.sandbox.control.options(next_certificate_percent=50.0, publish_next_certificate=True)
    headers: dict[str, str | None] = {"Wechatpay-Serial": None}
    answers = [caller.send("GET", "/v3/certificates", headers=headers) for _ in range(24)]
    published = {entry["serial_no"] for entry in answers[0].json()["data"]}
    assert {answer.headers["Wechatpay-Serial"] for answer in answers} == published
    asked_by_name = caller.send("GET", "/v3/certificates")
    assert asked_by_name.headers["Wechatpay-Serial"] == caller.identity["platform_public_key_id"]


@pytest.mark.parametrize("value", ["nothing", "", 5])
def test_only_keys_that_exist_can_be_chosen(caller: Caller, value: Any) -> None:
    with pytest.raises(ControlRefused):
        caller.sandbox.control.options(notify_key=value)


def test_the_backup_host_serves_when_the_primary_does_not(caller: Caller) -> None:
    assert caller.identity["backup_api_base"] == caller.sandbox.backup_url
    caller.sandbox.control.add_fault("any", "connection_reset", host="primary")
    with pytest.raises(requests.ConnectionError):
        caller.query("P404404")
    target = f"/v3/pay/transactions/out-trade-no/P404404?mchid={caller.identity['mchid']}"
    headers = {"Authorization": caller.authorization("GET", target, b""), "User-Agent": "x"}
    answer = requests.get(caller.sandbox.backup_url + target, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (404, "ORDER_NOT_EXIST")
    assert [call["host"] for call in caller.sandbox.control.calls(operation="query")] == ["primary", "backup"]


def encrypted(caller: Caller, text: str) -> str:
    key = load_pem_public_key(caller.identity["platform_public_key_pem"].encode())
    scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    return base64.b64encode(key.encrypt(text.encode(), scheme)).decode()


def abnormal(caller: Caller) -> dict[str, Any]:
    caller.sandbox.control.add_fault("refund", "refund_abnormal", times=1)
    told = caller.refund(caller.paid_order(), 30).json()
    wait_until(lambda: caller.query_refund(told["out_refund_no"]).json()["status"] == "ABNORMAL")
    return dict(told)


def applied(caller: Caller, told: dict[str, Any], **changes: Any) -> requests.Response:
    body = {
        "out_refund_no": told["out_refund_no"],
        "type": "USER_BANK_CARD",
        "bank_type": "ICBC_DEBIT",
        "bank_account": encrypted(caller, "6222020000000000001"),
        "real_name": encrypted(caller, "张三"),
    } | changes
    body = {name: value for name, value in body.items() if value is not None}
    target = f"/v3/refund/domestic/refunds/{told['refund_id']}/apply-abnormal-refund"
    return caller.send("POST", target, body)


def test_an_abnormal_refund_goes_to_another_account_and_succeeds(caller: Caller, receiver: Receiver) -> None:
    told = abnormal(caller)
    answer = applied(caller, told)
    assert (answer.status_code, answer.json()["status"]) == (200, "PROCESSING")
    wait_until(lambda: caller.query_refund(told["out_refund_no"]).json()["status"] == "SUCCESS")
    wait_until(lambda: [got for got in receiver.got if got.envelope["event_type"] == "REFUND.SUCCESS"])
    assert applied(caller, told).json()["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "changes", [{"bank_account": "6222020000000000001"}, {"real_name": None}, {"type": "CASH"}, {"bank_type": None}]
)
def test_the_other_account_must_be_named_and_encrypted(caller: Caller, changes: dict[str, Any]) -> None:
    told = abnormal(caller)
    assert applied(caller, told, **changes).json()["code"] == "PARAM_ERROR"
    assert caller.query_refund(told["out_refund_no"]).json()["status"] == "ABNORMAL"


def test_the_merchants_own_card_needs_no_account(caller: Caller) -> None:
    changes = {"type": "MERCHANT_BANK_CARD", "bank_type": None, "bank_account": None, "real_name": None}
    assert applied(caller, abnormal(caller), **changes).status_code == 200


def test_a_payment_can_be_told_after_the_refund_that_followed_it(caller: Caller, receiver: Receiver) -> None:
    caller.sandbox.control.add_fault("notify_payment", "out_of_order")
    caller.refund(caller.paid_order(), 30)
    wait_until(lambda: len(receiver.got) == 2)
    assert [got.envelope["event_type"] for got in receiver.got] == ["REFUND.SUCCESS", "TRANSACTION.SUCCESS"]


def test_a_refused_signature_stands_in_the_log_with_what_should_have_been_signed(caller: Caller) -> None:
    caller.create(caller.order(out_trade_no="P12345678"), signature="AAAA", nonce_str="N")
    logged = caller.sandbox.control.calls(code="SIGN_ERROR")[-1]
    assert logged["canonical"].startswith("POST\n/v3/pay/transactions/jsapi\n")
    assert '"out_trade_no": "P12345678"' in logged["canonical"]
    assert caller.sandbox.control.calls(code="ORDER_NOT_EXIST") == []
