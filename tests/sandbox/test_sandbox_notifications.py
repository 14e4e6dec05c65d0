"""Notifications: signed, encrypted, repeated with the same id until they are taken; and every way to get them wrong."""

from itertools import pairwise
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from tests.sandbox.callers import Caller, Got, Receiver
from tests.sandboxes import wait_until


def payment_notices(receiver: Receiver) -> list[Got]:
    return [got for got in receiver.got if got.envelope["event_type"].startswith("TRANSACTION.")]


def refund_notices(receiver: Receiver) -> list[Got]:
    return [got for got in receiver.got if got.envelope["event_type"].startswith("REFUND.")]


def settled(caller: Caller, number: str) -> dict[str, Any]:
    """The first notification about `number`, once its attempts have come to an end or a pause."""

    def found() -> Any:
        rows = caller.sandbox.control.notifications(number=number)
        return rows and rows[0]["state"] != "SENDING" and rows[0]["attempts"] and rows[0]

    return wait_until(found)


def test_a_payment_is_told_signed_encrypted_and_once(caller: Caller, receiver: Receiver) -> None:
    order = caller.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert caller.genuine(got.headers, got.body)
    assert got.headers["Wechatpay-Serial"] == caller.identity["platform_public_key_id"]
    assert got.headers["Content-Type"] == "application/json"
    envelope = got.envelope
    assert {name: envelope[name] for name in ("event_type", "resource_type", "summary")} == {
        "event_type": "TRANSACTION.SUCCESS",
        "resource_type": "encrypt-resource",
        "summary": "支付成功",
    }
    assert len(envelope["id"]) <= 36
    assert envelope["resource"]["original_type"] == "transaction"
    assert caller.opened(got.body) == caller.query(order["out_trade_no"]).json()
    assert settled(caller, order["out_trade_no"])["state"] == "DELIVERED"
    caller.sandbox.control.advance(86_400)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", ["SUCCESS", "ABNORMAL", "CLOSED"])
def test_the_end_of_a_refund_is_told(caller: Caller, receiver: Receiver, status: str) -> None:
    caller.sandbox.control.options(refund_s=1000.0)
    order = caller.paid_order()
    number = caller.refund(order, 30).json()["out_refund_no"]
    caller.sandbox.control.settle(number, status)
    got = wait_until(lambda: refund_notices(receiver))[0]
    assert caller.genuine(got.headers, got.body)
    assert got.envelope["event_type"] == f"REFUND.{status}"
    assert got.envelope["resource"]["original_type"] == "refund"
    plain = caller.opened(got.body)
    assert plain["refund_status"] == status
    assert plain["amount"] == {"total": 4030, "refund": 30, "payer_total": 4030, "payer_refund": 30}
    assert not {"status", "channel", "create_time"} & set(plain)
    assert ("success_time" in plain) is (status == "SUCCESS")


def test_without_a_notify_url_in_the_refund_nothing_is_sent(caller: Caller, receiver: Receiver) -> None:
    order = caller.paid_order()
    number = caller.refund(order, 30, notify_url=None).json()["out_refund_no"]
    wait_until(lambda: caller.query_refund(number).json()["status"] == "SUCCESS")
    assert caller.sandbox.control.notifications(number=number) == []


def test_a_notification_that_is_not_taken_comes_again_with_the_same_id_and_a_fresh_signature(
    caller: Caller, receiver: Receiver
) -> None:
    receiver.statuses = [500, 404]
    order = caller.paid_order()
    wait_until(lambda: len(receiver.got) == 3)
    notification = settled(caller, order["out_trade_no"])
    wait_until(lambda: settled(caller, order["out_trade_no"])["state"] == "DELIVERED")
    notification = settled(caller, order["out_trade_no"])
    assert [attempt["status"] for attempt in notification["attempts"]] == [500, 404, 204]
    assert {got.envelope["id"] for got in receiver.got} == {notification["event_id"]}
    assert len({got.headers["Wechatpay-Nonce"] for got in receiver.got}) == 3
    assert len({got.headers["Wechatpay-Signature"] for got in receiver.got}) == 3
    assert all(caller.genuine(got.headers, got.body) for got in receiver.got)
    waited = [later.at - earlier.at for earlier, later in pairwise(receiver.got)]
    assert all(0.13 <= seconds < 3 for seconds in waited)  # 15 s, compressed by 100


def test_the_schedule_is_the_documented_one_and_ends_after_fifteen_repeats(caller: Caller, receiver: Receiver) -> None:
    receiver.status = 500
    number = caller.paid_order()["out_trade_no"]
    schedule = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600]
    for done in range(1, 16):
        wait_until(lambda done=done: settled(caller, number)["attempt_count"] >= done)
        caller.sandbox.control.advance(21600 / 100)
    wait_until(lambda: settled(caller, number)["state"] == "EXHAUSTED")
    attempts = settled(caller, number)["attempts"]
    assert len(attempts) == 1 + len(schedule)
    assert all(earlier["at"] <= later["at"] for earlier, later in pairwise(attempts))
    caller.sandbox.control.advance(86_400)
    assert len(settled(caller, number)["attempts"]) == 16


@pytest.mark.parametrize("status", [301, 302, 400, 401, 500, 201])
def test_only_200_and_204_are_success_and_a_redirect_is_not_followed(
    caller: Caller, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    number = caller.paid_order()["out_trade_no"]
    first = wait_until(lambda: settled(caller, number)["attempts"])[0]
    assert (first["status"], settled(caller, number)["state"] == "DELIVERED") == (status, False)


def test_nobody_at_home_is_recorded_as_an_attempt_without_an_answer(caller: Caller) -> None:
    caller.notify_url = "http://127.0.0.1:1/nobody"
    attempt = settled(caller, caller.paid_order()["out_trade_no"])["attempts"][0]
    assert (attempt["status"], attempt["error"]) == (0, "ConnectionError")


def test_an_answer_after_five_seconds_is_too_late(caller: Caller, receiver: Receiver) -> None:
    receiver.delay_s = 5.5
    attempt = wait_until(lambda: settled(caller, caller.paid_order()["out_trade_no"])["attempts"], within_s=15)[0]
    assert (attempt["status"], attempt["error"]) == (0, "ReadTimeout")
    assert 4900 <= attempt["latency_ms"] < 5500


def test_a_delivered_notification_can_be_sent_again(caller: Caller, receiver: Receiver) -> None:
    number = caller.paid_order()["out_trade_no"]
    wait_until(lambda: settled(caller, number)["state"] == "DELIVERED")
    caller.sandbox.control.post(f"notifications/{settled(caller, number)['id']}/resend")
    wait_until(lambda: len(receiver.got) == 2)
    assert receiver.got[0].envelope == receiver.got[1].envelope


@pytest.mark.parametrize(("key", "same"), [("certificate", True), ("next_certificate", False)])
def test_the_signing_key_of_notifications_can_be_rotated(
    caller: Caller, receiver: Receiver, key: str, same: bool
) -> None:
    caller.sandbox.control.options(notify_key=key)
    caller.paid_order()
    serial = wait_until(lambda: receiver.got)[0].headers["Wechatpay-Serial"]
    assert (serial == caller.identity["platform_certificate_serial_no"]) is same
    assert len(serial) == 40


@pytest.mark.parametrize(
    "fault", ["wrong_signature", "missing_signature", "stale_timestamp", "unknown_serial", "signtest_probe"]
)
def test_a_flawed_signature_does_not_verify(caller: Caller, receiver: Receiver, fault: str) -> None:
    caller.sandbox.control.add_fault("notify_payment", fault)
    caller.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert not caller.genuine(got.headers, got.body)
    if fault == "signtest_probe":
        assert got.headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")


def test_after_a_refused_probe_the_repeat_is_properly_signed(caller: Caller, receiver: Receiver) -> None:
    caller.sandbox.control.add_fault("notify_payment", "signtest_probe")
    receiver.statuses = [401]
    caller.paid_order()
    probe, genuine = wait_until(lambda: len(receiver.got) == 2 and receiver.got)
    assert not caller.genuine(probe.headers, probe.body)
    assert caller.genuine(genuine.headers, genuine.body)
    assert probe.envelope["id"] == genuine.envelope["id"]


@pytest.mark.parametrize(
    ("fault", "field", "wrong"),
    [
        ("wrong_mchid", "mchid", "1900999999"),
        ("wrong_appid", "appid", "wxffffffffffffffff"),
        ("unknown_order", "out_trade_no", "SANDBOXNOSUCHORDER"),
    ],
)
def test_a_wrong_content_is_properly_signed(
    caller: Caller, receiver: Receiver, fault: str, field: str, wrong: str
) -> None:
    caller.sandbox.control.add_fault("notify_payment", fault)
    order = caller.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert caller.genuine(got.headers, got.body)
    truth = caller.query(order["out_trade_no"]).json()
    assert caller.opened(got.body) == truth | {field: wrong}


def test_a_wrong_amount_is_one_fen_off_and_the_query_tells_the_truth(caller: Caller, receiver: Receiver) -> None:
    caller.sandbox.control.add_fault("notify_payment", "wrong_amount")
    order = caller.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert caller.opened(got.body)["amount"]["total"] == 4031
    assert caller.query(order["out_trade_no"]).json()["amount"]["total"] == 4030


@pytest.mark.parametrize("fault", ["tampered_ciphertext", "tampered_aad"])
def test_a_tampered_resource_is_signed_but_does_not_decrypt(caller: Caller, receiver: Receiver, fault: str) -> None:
    caller.sandbox.control.add_fault("notify_payment", fault)
    caller.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert caller.genuine(got.headers, got.body)
    with pytest.raises(InvalidTag):
        caller.opened(got.body)


def test_duplicates_arrive_at_the_same_time_with_one_id(caller: Caller, receiver: Receiver) -> None:
    receiver.delay_s = 1.0
    caller.sandbox.control.add_fault("notify_payment", "duplicates", params={"copies": 4})
    caller.paid_order()
    wait_until(lambda: len(receiver.got) == 4)
    assert receiver.got[-1].at - receiver.got[0].at < 1.0  # before the first one was answered
    assert len({got.envelope["id"] for got in receiver.got}) == 1
    assert len({got.headers["Wechatpay-Nonce"] for got in receiver.got}) == 4


def test_a_late_notification_waits_for_its_time(caller: Caller, receiver: Receiver) -> None:
    caller.sandbox.control.add_fault("notify_payment", "late", params={"delay_s": 360_000})
    number = caller.paid_order()["out_trade_no"]
    assert caller.sandbox.control.notifications(number=number)[0]["state"] == "WAITING"
    assert receiver.got == []
    caller.sandbox.control.advance(3_600)
    assert wait_until(lambda: receiver.got)


def test_a_notification_that_never_comes_can_still_be_sent_by_hand(caller: Caller, receiver: Receiver) -> None:
    caller.sandbox.control.add_fault("notify_payment", "never")
    order = caller.paid_order()
    held = caller.sandbox.control.notifications(number=order["out_trade_no"])[0]
    assert (held["state"], held["next_at"]) == ("HELD", None)
    assert caller.query(order["out_trade_no"]).json()["trade_state"] == "SUCCESS"
    caller.sandbox.control.post(f"notifications/{held['id']}/resend")
    assert wait_until(lambda: payment_notices(receiver))


def test_refund_notifications_have_rules_of_their_own(caller: Caller, receiver: Receiver) -> None:
    caller.sandbox.control.add_fault("notify_refund", "wrong_amount")
    order = caller.paid_order()
    caller.refund(order, 30)
    got = wait_until(lambda: refund_notices(receiver))[0]
    assert caller.opened(got.body)["amount"]["refund"] == 31
    assert caller.opened(payment_notices(receiver)[0].body)["amount"]["total"] == 4030
