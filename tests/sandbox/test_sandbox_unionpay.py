"""The model of a UnionPay provider: signed JSON, an order to its end, refunds, the callback, faults and test values."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.certificates import private_key
from tests.sandbox.callers import Receiver, new_number
from tests.sandbox.test_sandbox_phone import BACK, Browser
from tests.sandboxes import RunningSandbox, wait_until


def digest(params: dict[str, Any]) -> bytes:
    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))

    joined = "&".join(f"{name}={text(params[name])}" for name in sorted(params) if name != "signature")
    return hashlib.sha256(joined.encode()).hexdigest().encode()


class UnionPayCaller:
    def __init__(self, sandbox: RunningSandbox, *, notify_url: str) -> None:
        self.sandbox, self.identity, self.notify_url = sandbox, sandbox.identity["unionpay"], notify_url
        self.key = private_key(self.identity["merchant_private_key_pem"])

    def genuine(self, params: dict[str, Any]) -> bool:
        key = load_pem_public_key(self.identity["platform_public_key_pem"].encode())
        try:
            signature = base64.b64decode(params.get("signature", ""))
            key.verify(signature, digest(params), padding.PKCS1v15(), hashes.SHA256())
        except Exception:  # noqa: BLE001 - any failure is the answer "no"
            return False
        return True

    def call(self, name: str, *, timeout: float = 10, **params: Any) -> dict[str, Any]:
        known = {"serProvId": self.identity["serv_prov_id"], "merId": self.identity["mer_id"]}
        params = known | params
        signature = base64.b64encode(self.key.sign(digest(params), padding.PKCS1v15(), hashes.SHA256())).decode()
        url = f"{self.identity['api_base']}/gateway/api/pay/{name}"
        answer = requests.post(url, json={"signature": signature} | params, timeout=timeout).json()
        assert self.genuine(answer)
        return dict(answer)

    def order(self, fen: int = 4030, **changes: Any) -> dict[str, Any]:
        return {
            "orderNo": new_number("U"),
            "orderTime": "20260102103456",
            "txnAmt": str(fen),
            "currencyCode": "156",
            "orderInfo": "coffee",
            "orderType": "upJs",
            "backUrl": self.notify_url,
            "frontUrl": "",
            "customerIp": "203.0.113.9",
            "termInfo": {"ip": "203.0.113.9"},
            "userId": "UPuser1",
        } | changes

    def create(self, order: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self.call("unifiedorder", **order, **more)

    def state(self, number: str) -> str:
        told = self.call("queryOrder", orderNo=number)
        return str(told.get("origRespCode", told["respCode"]))


@pytest.fixture
def unionpay(running_sandbox: RunningSandbox, receiver: Receiver) -> UnionPayCaller:
    receiver.status, receiver.body = 200, b"success"
    return UnionPayCaller(running_sandbox, notify_url=receiver.url)


@pytest.fixture
def phone(unionpay: UnionPayCaller) -> Iterator[Browser]:
    made = Browser("")
    yield made
    made.session.close()


def test_an_order_is_paid_on_the_page_behind_pay_data_and_told(
    unionpay: UnionPayCaller, phone: Browser, receiver: Receiver
) -> None:
    order = unionpay.order()
    created = unionpay.create(order)
    assert (created["respCode"], unionpay.state(order["orderNo"])) == ("00", "02")
    page = phone.get(created["payData"], redirect=BACK)
    phone.base_url = unionpay.sandbox.base_url
    assert phone.press(page, "pay").headers["Location"] == f"{BACK}&pay=ok"
    assert unionpay.state(order["orderNo"]) == "00"
    told = json.loads(wait_until(lambda: receiver.got)[0].body)
    assert unionpay.genuine(told)
    assert (told["orderNo"], told["txnAmt"], told["origRespCode"]) == (order["orderNo"], "4030", "00")
    number = order["orderNo"]
    wait_until(lambda: unionpay.sandbox.control.notifications(number=number)[0]["state"] == "DELIVERED")


def test_a_callback_is_repeated_until_success(unionpay: UnionPayCaller, receiver: Receiver) -> None:
    receiver.body = b"OK"
    order = unionpay.order()
    unionpay.create(order)
    unionpay.sandbox.control.pay(order["orderNo"])
    # Not before the first is written down: until then the answer to it may still change.
    wait_until(lambda: unionpay.sandbox.control.notifications(number=order["orderNo"])[0]["attempts"])
    receiver.body = b"success"
    unionpay.sandbox.control.advance(60)
    wait_until(lambda: len(receiver.got) >= 2)


def test_orders_are_idempotent_closable_and_refundable(unionpay: UnionPayCaller) -> None:
    order = unionpay.order()
    first = unionpay.create(order)
    assert unionpay.create(order)["payData"] == first["payData"]
    assert unionpay.create(order | {"txnAmt": "1"})["respCode"] == "12"
    assert unionpay.call("close", orderNo=order["orderNo"])["respCode"] == "00"
    assert unionpay.state(order["orderNo"]) == "03"
    paid = unionpay.order()
    unionpay.create(paid)
    unionpay.sandbox.control.pay(paid["orderNo"])
    number = new_number("R")
    refund = {"orderNo": number, "origOrderNo": paid["orderNo"], "txnAmt": "1030"}
    assert unionpay.call("refund", **refund)["origRespCode"] == "02"
    wait_until(lambda: unionpay.call("refundQuery", orderNo=number)["origRespCode"] == "00")
    assert unionpay.call("refund", **refund)["origRespCode"] == "00"
    assert unionpay.call("refund", **(refund | {"txnAmt": "1"}))["respCode"] == "12"
    assert unionpay.call("refund", **(refund | {"orderNo": new_number("R"), "txnAmt": "4000"}))["respCode"] == "35"
    assert unionpay.state(paid["orderNo"]) == "01"


def test_the_cash_desk_goes_back_to_the_front_url(unionpay: UnionPayCaller, phone: Browser) -> None:
    created = unionpay.create(unionpay.order(frontUrl=BACK))
    page = phone.get(created["payData"])
    phone.base_url = unionpay.sandbox.base_url
    assert phone.press(page, "cancel").headers["Location"] == f"{BACK}&pay=cancel"
    stranger = unionpay.create(unionpay.order(frontUrl="https://stranger.example/"))
    assert phone.get(stranger["payData"].removeprefix(phone.base_url)).status_code == 200


def user_auth_code(unionpay: UnionPayCaller, phone: Browser) -> str:
    back = phone.get(unionpay.identity["user_auth_url"], version="1.0.0", redirectUrl=BACK).headers["Location"]
    told = parse_qs(urlsplit(back).query)
    assert (told["respCode"], told["lang"]) == (["00"], ["zh"]), "what was in the address is still there"
    return told["userAuthCode"][0]


def test_who_pays_is_told_for_a_code_once_and_within_five_minutes(unionpay: UnionPayCaller, phone: Browser) -> None:
    def ask(code: str, app: str = "UnionPay/1.0 CloudPay") -> dict[str, Any]:
        return unionpay.call("getUserId", userAuthCode=code, appUpIdentifier=app)

    code = user_auth_code(unionpay, phone)
    assert ask(code, app="MicroMessenger/8.0")["respCode"] == "10"
    first = ask(code)
    assert (first["respCode"], first["userId"][:2]) == ("00", "UP")
    assert ask(code)["respCode"] == "36"
    assert ask(user_auth_code(unionpay, phone))["userId"] == first["userId"], "the same phone is the same payer"
    late = user_auth_code(unionpay, phone)
    unionpay.sandbox.control.advance(301)
    assert ask(late)["respCode"] == "36"


def test_who_pays_is_told_to_known_addresses_only(unionpay: UnionPayCaller, phone: Browser) -> None:
    url = unionpay.identity["user_auth_url"]
    assert phone.get(url, version="1.0.0", redirectUrl="https://stranger.example/").status_code == 400
    assert phone.get(url, redirectUrl=BACK).status_code == 400


def test_a_bar_code_pays_or_asks_the_payer(unionpay: UnionPayCaller) -> None:
    code = unionpay.sandbox.control.post("codes", {"channel": "unionpay"})["code"]
    base = {name: unionpay.order()[name] for name in ("orderNo", "orderTime", "txnAmt", "currencyCode")}
    assert unionpay.call("micropay", **base, authCode=code)["origRespCode"] == "00"
    asked = base | {"orderNo": new_number("U"), "txnAmt": "100001", "authCode": f"62{10**16:017d}"}
    assert unionpay.call("micropay", **asked)["respCode"] == "02"
    assert unionpay.state(asked["orderNo"]) == "05"
    unionpay.sandbox.control.post(f"orders/{asked['orderNo']}/refuse")
    assert unionpay.state(asked["orderNo"]) == "06"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": "AAAA"}, "11"),
        ({"merId": "898000000000000"}, "03"),
        ({"txnAmt ": "1"}, "10"),
        ({"txnAmt": "40.30"}, "10"),
        ({"userId": ""}, "10"),
        ({"currencyCode": "840"}, "10"),
    ],
)
def test_a_bad_request_is_refused(unionpay: UnionPayCaller, changes: dict[str, str], code: str) -> None:
    order = unionpay.order()
    assert unionpay.create(order | changes)["respCode"] == code
    assert unionpay.sandbox.control.get("orders") == []


def test_faults_and_test_values_hold_here_too(unionpay: UnionPayCaller) -> None:
    unionpay.sandbox.control.add_fault("create", "unknown_but_done", channel="unionpay", times=1)
    order = unionpay.order()
    assert unionpay.create(order)["respCode"] == "99"
    assert unionpay.state(order["orderNo"]) == "02"
    assert unionpay.create(unionpay.order(4002))["respCode"] == "61"
    paid = unionpay.order(4001)
    unionpay.create(paid)
    wait_until(lambda: unionpay.state(paid["orderNo"]) == "00")
    with pytest.raises(requests.ReadTimeout):
        unionpay.create(unionpay.order(4016), timeout=0.3)
