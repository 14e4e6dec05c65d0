"""The client package `python-alipay-sdk`, which knows nothing of us, works against a running sandbox in both modes."""

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import alipay as package
import pytest
from alipay import AliPay, DCAliPay

from tests.sandbox.callers import Receiver, new_number
from tests.sandboxes import RunningSandbox, wait_until

BEIJING = timezone(timedelta(hours=8))
# It makes its certificates' serials with an interface of pyOpenSSL that warns about its age.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class BeijingClock(datetime):
    """The package writes the machine's own time and means Beijing's."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz or BEIJING)


@pytest.fixture(params=["key mode", "certificate mode"])
def client(
    running_sandbox: RunningSandbox, receiver: Receiver, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AliPay:
    monkeypatch.setattr(package, "datetime", BeijingClock)
    receiver.status, receiver.body = 200, b"success"
    identity = running_sandbox.identity["alipay"]
    common = {"appid": identity["app_id"], "app_notify_url": receiver.url}
    if request.param == "key mode":
        made = AliPay(
            **common,
            app_private_key_string=identity["app_private_key_pem"],
            alipay_public_key_string=identity["alipay_public_key_pem"],
        )
    else:
        made = DCAliPay(
            **common,
            app_private_key_string=identity["app_private_key_pem"],
            app_public_key_cert_string=identity["app_certificate_pem"],
            alipay_public_key_cert_string=identity["alipay_certificate_pem"],
            alipay_root_cert_string=identity["alipay_root_certificates_pem"],
        )
    made._gateway = identity["gateway_url"]
    return made


def create(client: AliPay, number: str) -> dict[str, Any]:
    biz = {"out_trade_no": number, "total_amount": "40.30", "subject": "一杯咖啡", "buyer_open_id": "0SandboxUser1"}
    return client.server_api("alipay.trade.create", biz)


def read(client: AliPay, body: bytes) -> dict[str, str]:
    told = dict(parse_qsl(body.decode()))
    sign = told.pop("sign")
    assert client.verify(dict(told), sign)
    assert not client.verify(told | {"total_amount": "0.01"}, sign)
    return told


def test_it_pays_queries_and_reads_our_notification(
    client: AliPay, running_sandbox: RunningSandbox, receiver: Receiver
) -> None:
    number = new_number("A")
    created = create(client, number)
    assert (created["code"], created["out_trade_no"]) == ("10000", number)
    assert client.api_alipay_trade_query(out_trade_no=number)["trade_status"] == "WAIT_BUYER_PAY"
    running_sandbox.control.pay(number)
    told = read(client, wait_until(lambda: receiver.got)[0].body)
    assert (told["trade_status"], told["out_trade_no"], told["total_amount"]) == ("TRADE_SUCCESS", number, "40.30")
    queried = client.api_alipay_trade_query(trade_no=created["trade_no"])
    assert (queried["trade_status"], queried["trade_no"]) == ("TRADE_SUCCESS", told["trade_no"])
    wait_until(lambda: running_sandbox.control.notifications(number=number)[0]["state"] == "DELIVERED")


def test_it_precreates_a_code_and_pays_by_bar_code(client: AliPay, receiver: Receiver) -> None:
    coded = client.api_alipay_trade_precreate(subject="咖啡", out_trade_no=new_number("A"), total_amount="1.00")
    assert coded["qr_code"].startswith("https://qr.alipay.com/")
    paid = client.api_alipay_trade_pay(new_number("A"), "bar_code", "2812345678901234", "咖啡", total_amount="1.00")
    assert (paid["code"], paid["buyer_pay_amount"]) == ("10000", "1.00")
    assert read(client, wait_until(lambda: receiver.got)[0].body)["trade_no"] == paid["trade_no"]


def test_it_closes_and_cancels(client: AliPay) -> None:
    closed, cancelled = new_number("A"), new_number("A")
    for number in (closed, cancelled):
        create(client, number)
    assert client.api_alipay_trade_close(out_trade_no=closed)["code"] == "10000"
    assert client.api_alipay_trade_cancel(out_trade_no=cancelled)["action"] == "close"
    for number in (closed, cancelled):
        assert client.api_alipay_trade_query(out_trade_no=number)["trade_status"] == "TRADE_CLOSED"


def test_it_refunds_and_asks_for_the_refund(
    client: AliPay, running_sandbox: RunningSandbox, receiver: Receiver
) -> None:
    number = new_number("A")
    create(client, number)
    running_sandbox.control.pay(number)
    done = client.api_alipay_trade_refund("10.30", out_trade_no=number, out_request_no="R1")
    assert (done["fund_change"], done["refund_fee"]) == ("Y", "10.30")
    queried = client.api_alipay_trade_fastpay_refund_query("R1", out_trade_no=number)
    assert (queried["refund_status"], queried["refund_amount"]) == ("REFUND_SUCCESS", "10.30")
    wait_until(lambda: len(receiver.got) == 2)
    notices = [read(client, got.body) for got in receiver.got]  # they may overtake each other
    (refund_notice,) = (notice for notice in notices if "out_biz_no" in notice)
    assert (refund_notice["out_biz_no"], refund_notice["refund_fee"]) == ("R1", "10.30")


def test_an_error_of_the_business_is_a_verified_answer(client: AliPay) -> None:
    answer = client.api_alipay_trade_query(out_trade_no="A404404404")
    assert (answer["code"], answer["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")


def test_it_gets_the_address_of_a_bill(client: AliPay, running_sandbox: RunningSandbox) -> None:
    number = new_number("A")
    create(client, number)
    running_sandbox.control.pay(number)
    today = datetime.now(BEIJING)
    running_sandbox.control.advance(2 * 86_400)
    biz = {"bill_type": "trade", "bill_date": f"{today:%Y-%m-%d}"}
    answer = client.server_api("alipay.data.dataservice.bill.downloadurl.query", biz)
    assert answer["bill_download_url"].startswith(running_sandbox.base_url)
