"""WeChat Pay's other products: H5, app, bar code with its reversal, and everything once more for service providers."""

import secrets
import time
from typing import Any

import pytest
import requests

from tests.sandbox.callers import Caller, Receiver, new_number
from tests.sandbox.test_sandbox_phone import BACK, Browser
from tests.sandboxes import wait_until

H5_SCENE = {"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}}


def state(caller: Caller, number: str) -> str:
    answer = caller.query(number)
    return answer.json()["trade_state"] if answer.status_code == 200 else answer.json()["code"]


def test_an_h5_address_opens_the_sheet_pays_and_goes_back(caller: Caller) -> None:
    order = caller.order(payer=None, scene_info=H5_SCENE)
    url = caller.create(order, product="h5").json()["h5_url"]
    phone = Browser("")
    page = phone.get(url + "&redirect_url=" + requests.utils.quote(BACK, safe=""))
    answer = requests.post(
        f"{caller.sandbox.base_url}/phone/confirm",
        data={"ticket": page.text.split('name="ticket" value="')[1].split('"')[0], "action": "pay"},
        cookies=phone.session.cookies.get_dict(),
        allow_redirects=False,
        timeout=5,
    )
    phone.session.close()
    assert answer.headers["Location"] == f"{BACK}&pay=ok"
    told = caller.query(order["out_trade_no"]).json()
    assert (told["trade_state"], told["trade_type"]) == ("SUCCESS", "MWEB")


def test_an_h5_address_ends_after_five_minutes_and_is_made_again_for_the_same_number(caller: Caller) -> None:
    order = caller.order(payer=None, scene_info=H5_SCENE)
    first = caller.create(order, product="h5").json()["h5_url"]
    assert requests.get(first, timeout=5).status_code == 200
    caller.sandbox.control.advance(301)
    assert requests.get(first, timeout=5).status_code == 400
    second = caller.create(order, product="h5").json()["h5_url"]
    assert second != first
    assert requests.get(second, timeout=5).status_code == 200


@pytest.mark.parametrize("scene", [None, {"payer_client_ip": "1.2.3.4"}, {"h5_info": {"type": "Wap"}}])
def test_h5_wants_to_know_the_scene(caller: Caller, scene: Any) -> None:
    answer = caller.create(caller.order(payer=None, scene_info=scene), product="h5")
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")


@pytest.mark.parametrize(("package", "status"), [("Sign=WXPay", 200), ("Sign=Other", 400)])
def test_an_apps_seven_parameters_open_the_sheet(caller: Caller, package: str, status: int) -> None:
    prepay_id = caller.create(caller.order(payer=None), product="app").json()["prepay_id"]
    timestamp, nonce = str(int(time.time())), secrets.token_hex(8)
    message = f"{caller.identity['appid']}\n{timestamp}\n{nonce}\n{prepay_id}\n".encode()
    asked = {
        "appid": caller.identity["appid"],
        "partnerid": caller.identity["mchid"],
        "prepayid": prepay_id,
        "package": package,
        "noncestr": nonce,
        "timestamp": timestamp,
        "sign": caller.sign(message),
    }
    page = requests.get(f"{caller.sandbox.base_url}/phone/wechatpay/app", params=asked, timeout=5)
    assert page.status_code == status


def test_a_bar_code_pays_at_once_tells_nobody_and_each_code_once(caller: Caller, receiver: Receiver) -> None:
    order = caller.code_order()
    answer = caller.pay_by_code(order)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["trade_state"], told["trade_type"], told["amount"]["total"]) == ("SUCCESS", "MICROPAY", 4030)
    assert caller.pay_by_code(order).json()["code"] == "ORDER_PAID"
    other = caller.code_order(payer=order["payer"])
    assert caller.pay_by_code(other).json()["code"] == "AUTH_CODE_INVALID"
    assert caller.sandbox.control.notifications() == []


@pytest.mark.parametrize("code", ["1", "16345678901234567", "283456789012345678"])
def test_only_codes_of_this_channel_are_taken(caller: Caller, code: str) -> None:
    answer = caller.pay_by_code(caller.code_order(payer={"auth_code": code}))
    assert (answer.status_code, answer.json()["code"]) == (400, "AUTH_CODE_INVALID")


def test_the_code_of_a_phone_ends_after_a_minute(caller: Caller) -> None:
    code = caller.sandbox.control.post("codes", {"channel": "wechatpay"})["code"]
    caller.sandbox.control.advance(61)
    answer = caller.pay_by_code(caller.code_order(payer={"auth_code": code}))
    assert answer.json()["code"] == "AUTH_CODE_EXPIRE"


@pytest.mark.parametrize(("act", "ends"), [("pay", "SUCCESS"), ("refuse", "PAYERROR"), ("expire", "REVOKED")])
def test_above_a_thousand_yuan_the_payer_is_asked_and_decides(caller: Caller, act: str, ends: str) -> None:
    order = caller.code_order(100_030)
    answer = caller.pay_by_code(order)
    assert (answer.status_code, answer.json()["code"]) == (202, "USERPAYING")
    assert state(caller, order["out_trade_no"]) == "USERPAYING"
    assert caller.pay_by_code(order).json()["code"] == "USERPAYING"
    caller.sandbox.control.post(f"orders/{order['out_trade_no']}/{act}")
    assert state(caller, order["out_trade_no"]) == ends


def test_what_nobody_confirms_is_reversed_after_forty_five_seconds(caller: Caller) -> None:
    order = caller.code_order(100_030)
    caller.pay_by_code(order)
    caller.sandbox.control.advance(44)
    assert state(caller, order["out_trade_no"]) == "USERPAYING"
    caller.sandbox.control.advance(2)
    assert state(caller, order["out_trade_no"]) == "REVOKED"


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        ("userpaying_then_paid", "SUCCESS"),
        ("userpaying_then_failed", "PAYERROR"),
        ("userpaying_then_revoked", "REVOKED"),
    ],
)
def test_a_rule_lets_the_payer_take_some_queries(caller: Caller, fault: str, ends: str) -> None:
    caller.sandbox.control.add_fault("barcode", fault, params={"asks": 2})
    order = caller.code_order()
    assert caller.pay_by_code(order).status_code == 202
    assert [state(caller, order["out_trade_no"]) for _ in range(4)] == ["USERPAYING"] * 2 + [ends] * 2


def test_a_reversal_undoes_what_is_paid_or_waits_and_can_be_repeated(caller: Caller) -> None:
    paid, waiting = caller.code_order(), caller.code_order(100_030)
    caller.pay_by_code(paid)
    caller.pay_by_code(waiting)
    for order in (paid, waiting):
        for _ in range(2):
            answer = caller.reverse(order["out_trade_no"])
            assert (answer.status_code, answer.json()["out_trade_no"]) == (200, order["out_trade_no"])
        assert state(caller, order["out_trade_no"]) == "REVOKED"
    assert caller.pay_by_code(paid).json()["code"] == "ORDER_REVERSED"
    assert caller.refund(paid, 30).json()["code"] == "INVALID_REQUEST"


def test_only_bar_code_payments_can_be_reversed(caller: Caller) -> None:
    assert caller.reverse(caller.paid_order()["out_trade_no"]).json()["code"] == "INVALID_REQUEST"
    assert caller.reverse("P404404").json()["code"] == "ORDER_NOT_EXIST"


@pytest.mark.parametrize(("value", "code"), [(2, "RULE_LIMIT"), (18, "SYSTEM_ERROR")])
def test_test_values_hold_for_bar_codes_too(caller: Caller, value: int, code: str) -> None:
    order = caller.code_order(4000 + value)
    assert caller.pay_by_code(order).json()["code"] == code
    assert state(caller, order["out_trade_no"]) == ("SUCCESS" if value == 18 else "ORDER_NOT_EXIST")


class Provider:
    """A service provider that acts for its one sub-merchant."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        sub = caller.identity["sub_merchants"][0]
        self.ids = {"sp_mchid": caller.identity["mchid"], "sub_mchid": sub["sub_mchid"]}
        self.query_ids = f"sp_mchid={self.ids['sp_mchid']}&sub_mchid={self.ids['sub_mchid']}"
        self.sub_appid = sub["sub_appid"]

    def order(self, **changes: Any) -> dict[str, Any]:
        body = self.caller.order(appid=None, mchid=None, payer=None)
        ids = {"sp_appid": self.caller.identity["appid"], "payer": {"sp_openid": "oUser1"}}
        return {name: value for name, value in (body | ids | self.ids | changes).items() if value is not None}

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self.caller.send(method, f"/v3/pay/partner/transactions/{path}", body)

    def query(self, number: str) -> requests.Response:
        return self.send("GET", f"out-trade-no/{number}?{self.query_ids}")


@pytest.fixture
def provider(caller: Caller) -> Provider:
    return Provider(caller)


def test_a_provider_creates_is_told_and_queries_with_four_numbers(provider: Provider, receiver: Receiver) -> None:
    order = provider.order(sub_appid=provider.sub_appid, payer={"sub_openid": "oSubUser"})
    assert provider.send("POST", "jsapi", order).status_code == 200
    provider.caller.sandbox.control.pay(order["out_trade_no"])
    told = provider.caller.opened(wait_until(lambda: receiver.got)[0].body)
    assert told == provider.query(order["out_trade_no"]).json()
    expected = provider.ids | {"sp_appid": order["sp_appid"], "sub_appid": provider.sub_appid}
    assert told | expected == told
    assert told["payer"] == {"sub_openid": "oSubUser"}
    assert not {"appid", "mchid"} & set(told)


@pytest.mark.parametrize("product", ["native", "app"])
def test_a_provider_has_all_products(provider: Provider, product: str) -> None:
    assert provider.send("POST", product, provider.order(payer=None)).status_code == 200


def test_a_provider_pays_by_code_and_reverses(provider: Provider) -> None:
    code = provider.caller.code_order()["payer"]
    order = provider.order(payer=code, scene_info={}, notify_url=None)
    assert provider.send("POST", "codepay", order).json()["trade_state"] == "SUCCESS"
    body = provider.ids | {"sp_appid": order["sp_appid"]}
    assert provider.send("POST", f"out-trade-no/{order['out_trade_no']}/reverse", body).status_code == 200
    assert provider.query(order["out_trade_no"]).json()["trade_state"] == "REVOKED"


def test_a_provider_closes_and_refunds(provider: Provider, receiver: Receiver) -> None:
    closed, paid = provider.order(), provider.order()
    for order in (closed, paid):
        provider.send("POST", "jsapi", order)
    assert provider.send("POST", f"out-trade-no/{closed['out_trade_no']}/close", provider.ids).status_code == 204
    assert provider.query(closed["out_trade_no"]).json()["trade_state"] == "CLOSED"
    provider.caller.sandbox.control.pay(paid["out_trade_no"])
    number = new_number("R")
    assert provider.caller.refund(paid, 30, out_refund_no=number).json()["code"] == "RESOURCE_NOT_EXISTS"
    sub_mchid = provider.ids["sub_mchid"]
    assert provider.caller.refund(paid, 30, out_refund_no=number, sub_mchid=sub_mchid).status_code == 200
    target = f"/v3/refund/domestic/refunds/{number}"
    assert provider.caller.send("GET", f"{target}?sub_mchid={sub_mchid}").status_code == 200
    assert provider.caller.send("GET", target).status_code == 404
    notices = wait_until(lambda: [got for got in receiver.got if got.envelope["event_type"] == "REFUND.SUCCESS"])
    told = provider.caller.opened(notices[0].body)
    assert told | provider.ids == told
    assert "mchid" not in told


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sub_mchid": "1600999999"}, "NO_AUTH"),
        ({"sub_mchid": None}, "PARAM_ERROR"),
        ({"sub_appid": "wx0000000000000000"}, "APPID_MCHID_NOT_MATCH"),
        ({"sp_appid": "wx0000000000000000"}, "APPID_MCHID_NOT_MATCH"),
        ({"sp_mchid": "1900000000"}, "PARAM_ERROR"),
        ({"payer": {"sub_openid": "o1"}}, "PARAM_ERROR"),
        ({"payer": {}}, "PARAM_ERROR"),
        ({"appid": "wx1"}, "PARAM_ERROR"),
    ],
)
def test_a_provider_is_held_to_its_numbers(provider: Provider, changes: dict[str, Any], code: str) -> None:
    assert provider.send("POST", "jsapi", provider.order(**changes)).json()["code"] == code


def test_direct_and_partner_orders_do_not_see_each_other(provider: Provider) -> None:
    order = provider.order()
    provider.send("POST", "jsapi", order)
    assert provider.caller.query(order["out_trade_no"]).json()["code"] == "ORDER_NOT_EXIST"
    same = provider.caller.order(out_trade_no=order["out_trade_no"])
    assert provider.caller.create(same).json()["code"] == "OUT_TRADE_NO_USED"
