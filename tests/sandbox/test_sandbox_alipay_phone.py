"""The payer's phone for Alipay: tradePay, scanned codes, payment codes; and OAuth, which tells who the payer is."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.test_sandbox_phone import BACK, Browser


@pytest.fixture
def phone(alipay: AlipayCaller) -> Iterator[Browser]:
    made = Browser(alipay.sandbox.base_url)
    yield made
    made.session.close()


def status(caller: AlipayCaller, number: str) -> str:
    told = caller.query(number)
    return told.get("trade_status", told.get("sub_code", ""))


@pytest.mark.parametrize(
    ("action", "pay", "result_code", "ends"),
    [("pay", "ok", "9000", "TRADE_SUCCESS"), ("cancel", "cancel", "6001", "WAIT_BUYER_PAY")],
)
def test_trade_pay_opens_the_sheet_and_goes_back_with_the_bridges_code(
    alipay: AlipayCaller, phone: Browser, action: str, pay: str, result_code: str, ends: str
) -> None:
    biz = alipay.order()
    trade_no = alipay.create(biz)["trade_no"]
    page = phone.get("/phone/alipay/trade", tradeNO=trade_no, redirect=BACK)
    for text in ("支付宝", "付款给 沙箱演示商户", "一杯咖啡", "40.30"):
        assert text in page.text
    answer = phone.press(page, action)
    assert answer.headers["Location"] == f"{BACK}&pay={pay}&resultCode={result_code}"
    assert status(alipay, biz["out_trade_no"]) == ends


def test_a_closed_or_unknown_trade_cannot_be_paid(alipay: AlipayCaller, phone: Browser) -> None:
    biz = alipay.order()
    trade_no = alipay.create(biz)["trade_no"]
    alipay.close(biz["out_trade_no"])
    closed = phone.get("/phone/alipay/trade", tradeNO=trade_no, redirect=BACK)
    assert (closed.status_code, "关闭" in closed.text, "resultCode=4000" in closed.text) == (400, True, True)
    assert phone.get("/phone/alipay/trade", tradeNO="2026").status_code == 400


def test_scanning_a_code_makes_the_trade_and_paying_it_ends_it(alipay: AlipayCaller, phone: Browser) -> None:
    biz = alipay.order(buyer_open_id=None)
    code = alipay.precreate(biz)["qr_code"]
    page = phone.get("/phone/scan", code=code)
    assert status(alipay, biz["out_trade_no"]) == "WAIT_BUYER_PAY"
    assert "支付成功" in phone.press(page, "pay").text
    assert status(alipay, biz["out_trade_no"]) == "TRADE_SUCCESS"


def test_a_code_ends_after_two_hours(alipay: AlipayCaller, phone: Browser) -> None:
    code = alipay.precreate()["qr_code"]
    alipay.sandbox.control.advance(7_201)
    assert "支付已过期" in phone.get("/phone/alipay/scan", qr_code=code).text


def test_the_phone_shows_a_code_that_the_merchant_scans_and_then_asks_for_the_password(
    alipay: AlipayCaller, phone: Browser
) -> None:
    digits = "".join(re.findall(r"<span>(\d+)</span>", phone.get("/phone/code/alipay").text))
    biz = alipay.code_order("1000.01", auth_code=digits)
    assert alipay.pay_by_code(biz)["code"] == "10003"
    assert "已使用" in phone.get("/phone/code/alipay").text
    waiting = re.findall(r'href="(/phone/waiting/\d+)"', phone.get("/phone/").text)
    phone.press(phone.get(waiting[0]), "cancel")
    assert status(alipay, biz["out_trade_no"]) == "TRADE_CLOSED"


def test_oauth_gives_the_same_buyer_that_pays(alipay: AlipayCaller, phone: Browser) -> None:
    asked = {"app_id": alipay.identity["app_id"], "scope": "auth_base", "redirect_uri": BACK, "state": "S1"}
    answer = phone.get("/oauth2/publicAppAuthorize.htm", **asked)
    told = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert (told["state"], told["app_id"], told["scope"]) == ("S1", asked["app_id"], "auth_base")
    token = alipay.call("alipay.system.oauth.token", grant_type="authorization_code", code=told["auth_code"])
    assert "code" not in token
    biz = alipay.order(buyer_open_id=None)
    phone.press(phone.get("/phone/scan", code=alipay.precreate(biz)["qr_code"]), "pay")
    assert alipay.query(biz["out_trade_no"])["buyer_open_id"] == token["open_id"]
    refreshed = alipay.call(
        "alipay.system.oauth.token", grant_type="refresh_token", refresh_token=token["refresh_token"]
    )
    assert refreshed["open_id"] == token["open_id"]


def test_an_auth_code_counts_once_and_its_failure_is_an_error_response(alipay: AlipayCaller, phone: Browser) -> None:
    asked = {"app_id": alipay.identity["app_id"], "scope": "auth_base", "redirect_uri": BACK}
    answer = phone.get("/oauth2/publicAppAuthorize.htm", **asked)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["auth_code"][0]
    wanted = {"grant_type": "authorization_code", "code": code}
    assert "open_id" in alipay.call("alipay.system.oauth.token", **wanted)
    text = alipay.send("alipay.system.oauth.token", **wanted).text
    assert text.startswith('{"error_response":{"code":"40002"')
    assert alipay.read(text)["sub_code"] == "isv.code-invalid"


@pytest.mark.parametrize(
    "changes", [{"app_id": "2021"}, {"scope": "all"}, {"redirect_uri": "https://evil.example.com/"}]
)
def test_oauth_refuses_strangers_and_is_no_open_redirect(
    alipay: AlipayCaller, phone: Browser, changes: dict[str, str]
) -> None:
    asked = {"app_id": alipay.identity["app_id"], "scope": "auth_base", "redirect_uri": BACK} | changes
    assert phone.get("/oauth2/publicAppAuthorize.htm", **asked).status_code == 400
