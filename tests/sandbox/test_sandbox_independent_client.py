"""The client package `wechatpayv3`, which knows nothing of us, works against a running sandbox unchanged."""

import json
from typing import Any

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType, core

from sandbox import crypto
from tests.sandbox.callers import Receiver, new_number
from tests.sandboxes import RunningSandbox, wait_until


def make_client(sandbox: RunningSandbox, **keys: str) -> WeChatPay:
    identity = sandbox.wechatpay
    return WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=identity["mchid"],
        private_key=identity["merchant_private_key_pem"],
        cert_serial_no=identity["merchant_serial_no"],
        apiv3_key=identity["apiv3_key"],
        appid=identity["appid"],
        notify_url="http://127.0.0.1:9/unused",
        timeout=(5, 10),
        **keys,
    )


@pytest.fixture
def client(running_sandbox: RunningSandbox) -> WeChatPay:
    """In public-key mode: it demands a valid signature by the PUB_KEY_ID_ key on every 2xx."""
    identity = running_sandbox.wechatpay
    made = make_client(
        running_sandbox,
        public_key=identity["platform_public_key_pem"],
        public_key_id=identity["platform_public_key_id"],
    )
    made._core._gate_way = running_sandbox.base_url
    return made


def pay(client: WeChatPay, receiver: Receiver, number: str, **more: Any) -> dict[str, Any]:
    status, text = client.pay(
        description="independent client",
        out_trade_no=number,
        amount={"total": 4030, "currency": "CNY"},
        notify_url=receiver.url,
        **more,
    )
    assert status == 200, text
    return json.loads(text)


def test_it_pays_by_native_code_and_reads_our_notification(
    client: WeChatPay, running_sandbox: RunningSandbox, receiver: Receiver
) -> None:
    number = new_number()
    assert pay(client, receiver, number)["code_url"].startswith("weixin://wxpay/bizpayurl?pr=")
    assert json.loads(client.query(out_trade_no=number)[1])["trade_state"] == "NOTPAY"
    running_sandbox.control.pay(number, openid="oSandboxUser0001")
    wait_until(lambda: receiver.got)
    notification = client.callback(receiver.got[0].headers, receiver.got[0].body)
    assert notification["event_type"] == "TRANSACTION.SUCCESS"
    assert notification["resource"]["out_trade_no"] == number
    assert notification["resource"]["amount"]["total"] == 4030
    queried = json.loads(client.query(out_trade_no=number)[1])
    assert queried == notification["resource"]
    assert json.loads(client.query(transaction_id=queried["transaction_id"])[1]) == queried


def test_it_pays_in_the_page_with_parameters_that_the_phone_accepts(
    client: WeChatPay, running_sandbox: RunningSandbox, receiver: Receiver
) -> None:
    number = new_number()
    prepay_id = pay(client, receiver, number, pay_type=WeChatPayType.JSAPI, payer={"openid": "oUser1"})["prepay_id"]
    data = [running_sandbox.wechatpay["appid"], "1700000000", "nonce", f"prepay_id={prepay_id}"]
    message = crypto.page_message(app_id=data[0], timestamp=data[1], nonce=data[2], package=data[3])
    key = crypto.certificate_key(running_sandbox.wechatpay["merchant_certificate_pem"])
    assert crypto.verify(message, client.sign(data), key=key)


def test_it_closes_an_order(client: WeChatPay, receiver: Receiver) -> None:
    number = new_number()
    pay(client, receiver, number)
    assert client.close(out_trade_no=number)[0] == 204
    assert json.loads(client.query(out_trade_no=number)[1])["trade_state"] == "CLOSED"


def test_it_refunds_asks_for_the_refund_and_reads_the_refund_notification(
    client: WeChatPay, running_sandbox: RunningSandbox, receiver: Receiver
) -> None:
    number, refund_number = new_number(), new_number("R")
    pay(client, receiver, number)
    running_sandbox.control.pay(number)
    status, text = client.refund(
        out_refund_no=refund_number,
        out_trade_no=number,
        amount={"refund": 1030, "total": 4030, "currency": "CNY"},
        notify_url=receiver.url,
    )
    assert status == 200, text
    assert json.loads(text)["status"] == "PROCESSING"
    wait_until(lambda: json.loads(client.query_refund(out_refund_no=refund_number)[1])["status"] == "SUCCESS")
    notices = wait_until(lambda: [got for got in receiver.got if got.envelope["event_type"] == "REFUND.SUCCESS"])
    resource = client.callback(notices[0].headers, notices[0].body)["resource"]
    assert (resource["refund_status"], resource["out_refund_no"]) == ("SUCCESS", refund_number)
    assert resource["amount"] == {"total": 4030, "refund": 1030, "payer_total": 4030, "payer_refund": 1030}


def test_it_downloads_the_platform_certificates_in_certificate_mode(
    running_sandbox: RunningSandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    construct = core.Core.__init__

    def pointed(self: Any, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(core.Core, "_init_certificates", lambda self: None)
        construct(self, *args, **kwargs)
        self._gate_way = running_sandbox.base_url

    monkeypatch.setattr(core.Core, "__init__", pointed)
    client = make_client(running_sandbox)
    number = new_number()
    assert pay(client, receiver, number)["code_url"]  # verifying the answer makes it download first
    assert [f"{found.serial_number:X}" for found in client._core._certificates] == [
        running_sandbox.wechatpay["platform_certificate_serial_no"]
    ]
