"""An unmodified WeChat Pay client pays, queries, closes and refunds through us, with only its base URL changed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from wechatpayv3 import WeChatPay, WeChatPayType

from openplatform.keys import live_platform_keys
from payments.models import Order
from sandbox import crypto
from tests.factories import the_payment
from tests.faults.conftest import Shop, open_shop, shop
from tests.payments.api.face import Program, web_process, workers
from tests.sandbox.callers import Receiver, new_number
from tests.sandboxes import running_sandbox, session_sandbox, wait_until

__all__ = ["open_shop", "running_sandbox", "session_sandbox", "shop"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def program(shop: Shop, receiver: Receiver, settings: Any) -> Iterator[Program]:
    settings.NOTIFICATION_ALLOW_HTTP = True
    settings.NOTIFICATION_PRIVATE_HOSTS = [receiver.url.split("/")[2]]
    with web_process(shop) as base_url:
        settings.PUBLIC_BASE_URL = base_url
        with workers():
            yield Program(shop, base_url, notify_url=receiver.url)


def pay(client: WeChatPay, number: str, **more: Any) -> dict[str, Any]:
    status, text = client.pay(
        description="两杯咖啡", out_trade_no=number, amount={"total": 4030, "currency": "CNY"}, **more
    )
    assert status == 200, text
    answer: dict[str, Any] = json.loads(text)
    return answer


def queried(client: WeChatPay, **named: str) -> dict[str, Any]:
    status, text = client.query(**named)
    assert status == 200, text
    answer: dict[str, Any] = json.loads(text)
    return answer


def payment_no(number: str) -> str:
    return str(the_payment(Order.objects.get(out_trade_no=number)).pk)


def told(client: WeChatPay, receiver: Receiver, event_type: str) -> dict[str, Any]:
    """What the client makes of the notification of that type; None would mean that it does not believe it."""
    got = wait_until(
        lambda: [got for got in receiver.got if got.envelope["event_type"] == event_type], within_s=20, what=event_type
    )[0]
    told = client.callback(got.headers, got.body)
    assert told is not None
    resource: dict[str, Any] = told["resource"]
    return resource


def test_it_pays_by_code_reads_our_notification_refunds_and_reads_that(
    program: Program, shop: Shop, receiver: Receiver
) -> None:
    client, number, refund_number = program.in_public_key_mode(), new_number(), new_number("R")
    assert pay(client, number, attach="table 7")["code_url"].startswith("weixin://wxpay/bizpayurl?pr=")
    assert queried(client, out_trade_no=number)["trade_state"] == "NOTPAY"

    shop.control.pay(payment_no(number), openid="oSandboxUser0001")
    notified = told(client, receiver, "TRANSACTION.SUCCESS")
    assert (notified["trade_state"], notified["amount"]["total"], notified["attach"]) == ("SUCCESS", 4030, "table 7")
    paid = queried(client, out_trade_no=number)
    assert paid == notified
    assert queried(client, transaction_id=paid["transaction_id"]) == paid
    assert paid["transaction_id"] == shop.control.order(payment_no(number))["transaction_id"]

    status, text = client.refund(
        out_refund_no=refund_number, transaction_id=paid["transaction_id"], reason="洒了",
        amount={"refund": 1030, "total": 4030, "currency": "CNY"},
    )  # fmt: skip
    assert status == 200, text
    assert json.loads(text)["status"] in {"PROCESSING", "SUCCESS"}  # a worker may have been quick
    returned = told(client, receiver, "REFUND.SUCCESS")
    assert (returned["refund_status"], returned["out_refund_no"]) == ("SUCCESS", refund_number)
    assert returned["amount"] == {"total": 4030, "refund": 1030, "payer_total": 4030, "payer_refund": 1030}
    assert "status" not in returned
    refund = json.loads(client.query_refund(out_refund_no=refund_number)[1])
    assert (refund["status"], refund["refund_id"]) == ("SUCCESS", returned["refund_id"])
    assert queried(client, out_trade_no=number)["trade_state"] == "REFUND"


def test_it_refuses_our_notification_when_one_byte_is_changed(program: Program, shop: Shop, receiver: Receiver) -> None:
    client, number = program.in_public_key_mode(), new_number()
    pay(client, number)
    shop.control.pay(payment_no(number))
    told(client, receiver, "TRANSACTION.SUCCESS")
    got = receiver.got[0]
    for before, after in ((b"TRANSACTION.SUCCESS", b"TRANSACTION.SUCCEST"), (b'"ciphertext":"', b'"ciphertext":"AAAA')):
        assert before in got.body
        assert client.callback(got.headers, got.body.replace(before, after)) is None


def test_it_pays_in_the_page_with_the_parameters_that_we_sign(program: Program, shop: Shop) -> None:
    client, number = program.in_public_key_mode(), new_number()
    answer = pay(client, number, pay_type=WeChatPayType.JSAPI, payer={"openid": "oUser1"})
    page = answer["fenpay"]["jsapi"]
    assert page["package"] == f"prepay_id={answer['prepay_id']}"
    assert answer["prepay_id"] == the_payment(Order.objects.get(out_trade_no=number)).prepay["prepay_id"]
    again = pay(client, number, pay_type=WeChatPayType.JSAPI, payer={"openid": "oUser1"})
    assert again["prepay_id"] == answer["prepay_id"]

    # The channel knows one key of this merchant, and it is not the one that this program signs with.
    message = [page["appId"], page["timeStamp"], page["nonceStr"], page["package"]]
    lines = crypto.page_message(**dict(zip(("app_id", "timestamp", "nonce", "package"), message, strict=True)))
    known_there = crypto.certificate_key(shop.sandbox.wechatpay["merchant_certificate_pem"])
    assert crypto.verify(lines, page["paySign"], key=known_there)
    assert not crypto.verify(lines, client.sign(message), key=known_there)


def test_it_closes_an_order_and_verifies_an_answer_without_a_body(program: Program, shop: Shop) -> None:
    client, number = program.in_public_key_mode(), new_number()
    pay(client, number)
    assert client.close(out_trade_no=number)[0] == 204
    assert queried(client, out_trade_no=number)["trade_state"] == "CLOSED"
    assert shop.control.order(payment_no(number))["state"] == "CLOSED"
    assert client.close(out_trade_no=number)[0] == 204
    status, text = client.pay(description="两杯咖啡", out_trade_no=number, amount={"total": 4030, "currency": "CNY"})
    assert (status, json.loads(text)["code"]) == (400, "ORDER_CLOSED")


def test_it_downloads_our_certificates_and_verifies_by_them(
    program: Program, shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, number = program.in_certificate_mode(monkeypatch), new_number()
    keys = live_platform_keys(now=timezone.now())
    # As their clients print the number: without a leading zero that would be lost.
    assert [hex(found.serial_number)[2:].upper() for found in client._core._certificates] == [
        key.serial_no for key in keys
    ]
    pay(client, number)
    shop.control.pay(payment_no(number))
    assert told(client, receiver, "TRANSACTION.SUCCESS")["out_trade_no"] == number
    assert queried(client, out_trade_no=number)["trade_state"] == "SUCCESS"


@pytest.mark.parametrize("fault", ["unknown_but_done", "timeout_done", "bad_gateway_html"])
def test_what_the_channel_left_open_is_a_system_error_and_the_same_request_again_succeeds(
    program: Program, shop: Shop, fault: str
) -> None:
    client, number = program.in_public_key_mode(), new_number()
    shop.control.add_fault("create", fault, times=1)
    order = {"description": "coffee", "out_trade_no": number, "amount": {"total": 4030, "currency": "CNY"}}
    status, text = client.pay(**order)
    assert (status, json.loads(text)["code"]) == (500, "SYSTEM_ERROR")
    assert queried(client, out_trade_no=number)["trade_state"] == "NOTPAY"
    assert wait_until(lambda: client.pay(**order)[0] == 200, within_s=20)
    assert queried(client, out_trade_no=number)["trade_state"] == "NOTPAY"
    shop.control.pay(payment_no(number))
    wait_until(lambda: queried(client, out_trade_no=number)["trade_state"] == "SUCCESS", within_s=20)
