"""What WeChat Pay's refusals say of WeChat Pay itself: the breaker that all merchants share listens to that."""

import json

import pytest
from requests.structures import CaseInsensitiveDict

from openplatform import transport
from payments.channels.base import AccountConfig, PayRequest, Unknown
from payments.channels.wechatpay.channel import WechatpayChannel
from tests.factories import NOW, key_pair


@pytest.mark.parametrize(
    ("status", "code", "unwell"),
    [
        (500, "SYSTEM_ERROR", True),
        (502, "", True),
        (500, "BANK_ERROR", False),
        (500, "BANKERROR", False),
        (403, "NOT_ENOUGH", False),
    ],
)
def test_trouble_at_one_payers_bank_is_none_of_the_channels(monkeypatch, status, code, unwell):
    """Else a few cards of one bank would hold back everybody's payments and refunds."""
    body = json.dumps({"code": code, "message": "m"}).encode()
    reply = transport.Reply(status=status, headers=CaseInsensitiveDict(), body=body)
    monkeypatch.setattr(transport, "send", lambda **_request: reply)
    settings = {"mchid": "1900000001", "appid": "wx1", "merchant_serial_no": "A" * 40, "api_base": "http://127.0.0.1:9"}
    config = AccountConfig(
        account_id=1, settings=settings, secrets={"private_key_pem": key_pair()[0]}, deadline_s=1, connect_s=1
    )
    request = PayRequest(
        payment_no=1, method="barcode", amount_fen=1, subject="s", payer_id="", auth_code="130000000000000000",
        begun_at=NOW, expires_at=NOW, notify_url="https://pay.example/c", page_url="https://pay.example/cashier/x",
    )  # fmt: skip
    answer = WechatpayChannel(config).create(request, now=NOW)
    assert isinstance(answer, Unknown)
    assert answer.unwell is unwell
