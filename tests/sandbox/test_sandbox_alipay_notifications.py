"""Alipay's notifications: a signed form until the answer is `success`; refunds in them; every way to get them wrong."""

import json
import time
from typing import Any

import pytest

from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import Receiver
from tests.sandboxes import wait_until


def row(caller: AlipayCaller, number: str) -> dict[str, Any]:
    return caller.sandbox.control.notifications(number=number)[0]


def test_a_payment_is_told_once_as_a_signed_form(alipay: AlipayCaller, receiver: Receiver) -> None:
    biz = alipay.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert got.headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert alipay.notice_is_genuine(got)
    told = alipay.told(got)
    expected = {
        "notify_type": "trade_status_sync",
        "trade_status": "TRADE_SUCCESS",
        "out_trade_no": biz["out_trade_no"],
        "total_amount": "40.30",
        "app_id": alipay.identity["app_id"],
        "seller_id": alipay.identity["seller_id"],
        "subject": "一杯咖啡",
        "sign_type": "RSA2",
    }
    assert told | expected == told
    assert json.loads(told["fund_bill_list"]) == [{"amount": "40.30", "fundChannel": "ALIPAYACCOUNT"}]
    wait_until(lambda: row(alipay, biz["out_trade_no"])["state"] == "DELIVERED")


def test_in_certificate_mode_it_names_the_certificate_under_the_sign(
    alipay_by_certificate: AlipayCaller, receiver: Receiver
) -> None:
    alipay_by_certificate.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert alipay_by_certificate.told(got)["alipay_cert_sn"] == alipay_by_certificate.identity["alipay_cert_sn"]
    assert alipay_by_certificate.notice_is_genuine(got)


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"SUCCESS"), (200, b" success"), (200, b""), (500, b"success"), (302, b"success")]
)
def test_only_the_seven_bytes_of_success_end_it(
    alipay: AlipayCaller, receiver: Receiver, status: int, body: bytes
) -> None:
    receiver.status, receiver.body = status, body
    number = alipay.paid_order()["out_trade_no"]
    wait_until(lambda: row(alipay, number)["attempts"])
    assert row(alipay, number)["state"] == "WAITING"
    receiver.status, receiver.body = 200, b"success"
    alipay.sandbox.control.advance(240 / 100)
    wait_until(lambda: row(alipay, number)["state"] == "DELIVERED")
    assert len({alipay.told(got)["notify_id"] for got in receiver.got}) == 1


def test_the_schedule_is_the_documented_one(alipay: AlipayCaller, receiver: Receiver) -> None:
    receiver.body = b"no"
    number = alipay.paid_order()["out_trade_no"]
    for done, after in enumerate((240, 600, 600, 3600, 7200, 21_600, 54_000), start=1):
        wait_until(lambda done=done: row(alipay, number)["attempt_count"] == done)
        waiting = row(alipay, number)
        assert waiting["state"] == "WAITING"
        alipay.sandbox.control.advance(after / 100)
    wait_until(lambda: row(alipay, number)["state"] == "EXHAUSTED")
    assert len(row(alipay, number)["attempts"]) == 8


def test_a_partial_refund_tells_of_the_same_success_once_more(alipay: AlipayCaller, receiver: Receiver) -> None:
    number = alipay.paid_order()["out_trade_no"]
    alipay.refund(number, "10.00", "R1")
    wait_until(lambda: len(receiver.got) == 2)
    told = [alipay.told(got) for got in receiver.got]  # they may overtake each other
    assert [one["trade_status"] for one in told] == ["TRADE_SUCCESS", "TRADE_SUCCESS"]
    (told,) = (one for one in told if "out_biz_no" in one)
    assert (told["out_biz_no"], told["refund_fee"], told["send_back_fee"]) == ("R1", "10.00", "10.00")


@pytest.mark.parametrize("subscribed", [False, True])
def test_closing_is_told_only_to_those_who_have_subscribed(
    alipay: AlipayCaller, receiver: Receiver, subscribed: bool
) -> None:
    alipay.sandbox.control.options(alipay_notify_closed=subscribed)
    biz = alipay.order()
    alipay.create(biz)
    alipay.close(biz["out_trade_no"])
    number = alipay.paid_order()["out_trade_no"]
    alipay.refund(number, "40.30")
    wanted = {"TRADE_SUCCESS": 1} | ({"TRADE_CLOSED": 2} if subscribed else {})
    wait_until(lambda: len(receiver.got) == sum(wanted.values()))
    time.sleep(0.1)
    seen = [alipay.told(got)["trade_status"] for got in receiver.got]
    assert {name: seen.count(name) for name in seen} == wanted


@pytest.mark.parametrize("fault", ["wrong_signature", "missing_signature"])
def test_a_flawed_signature_does_not_verify(alipay: AlipayCaller, receiver: Receiver, fault: str) -> None:
    alipay.sandbox.control.add_fault("notify_payment", fault, channel="alipay")
    alipay.paid_order()
    assert not alipay.notice_is_genuine(wait_until(lambda: receiver.got)[0])


def test_an_unknown_certificate_is_named_under_a_good_sign(
    alipay_by_certificate: AlipayCaller, receiver: Receiver
) -> None:
    caller = alipay_by_certificate
    caller.sandbox.control.add_fault("notify_payment", "unknown_serial", channel="alipay")
    caller.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert caller.told(got)["alipay_cert_sn"] not in {"", caller.identity["alipay_cert_sn"]}
    assert not caller.notice_is_genuine(got)


@pytest.mark.parametrize(
    ("fault", "field", "wrong"),
    [
        ("wrong_amount", "total_amount", "40.31"),
        ("wrong_mchid", "seller_id", "2088999999999999"),
        ("wrong_appid", "app_id", "2021999999999999"),
        ("unknown_order", "out_trade_no", "SANDBOXNOSUCHORDER"),
    ],
)
def test_a_wrong_content_is_properly_signed(
    alipay: AlipayCaller, receiver: Receiver, fault: str, field: str, wrong: str
) -> None:
    alipay.sandbox.control.add_fault("notify_payment", fault)
    alipay.paid_order()
    got = wait_until(lambda: receiver.got)[0]
    assert alipay.notice_is_genuine(got)
    assert alipay.told(got)[field] == wrong


def test_a_payment_can_be_told_after_the_refund_that_followed_it(alipay: AlipayCaller, receiver: Receiver) -> None:
    alipay.sandbox.control.add_fault("notify_payment", "out_of_order", channel="alipay")
    number = alipay.paid_order()["out_trade_no"]
    time.sleep(0.1)
    assert receiver.got == []
    alipay.refund(number, "10.00", "R1")
    first, second = wait_until(lambda: len(receiver.got) == 2 and receiver.got)
    assert "refund_fee" in alipay.told(first)
    assert "refund_fee" not in alipay.told(second)


def test_without_a_notify_url_nobody_is_told(alipay: AlipayCaller) -> None:
    biz = alipay.order()
    alipay.create(biz, notify_url=None)
    alipay.sandbox.control.pay(biz["out_trade_no"])
    assert alipay.sandbox.control.notifications(number=biz["out_trade_no"]) == []
