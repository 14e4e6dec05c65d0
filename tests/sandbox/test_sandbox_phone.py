"""The payer's phone: what it checks, what it shows, where it goes back to; and OAuth, which tells who the payer is."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.sandbox.callers import Caller, Receiver
from tests.sandboxes import wait_until

BACK = "http://127.0.0.1:8000/cashier/1?lang=zh"


class Browser:
    """A payer's browser without scripts: cookies, pages, forms; it does not follow redirects."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **query: str) -> requests.Response:
        headers = {"Accept-Language": "zh-CN,zh;q=0.9"}
        url = f"{self.base_url}{path}" + (f"?{urlencode(query)}" if query else "")
        return self.session.get(url, headers=headers, allow_redirects=False, timeout=10)

    def press(self, page: requests.Response, action: str) -> requests.Response:
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        target = re.findall(r'<form method="post" action="([^"]+)"', page.text)[0]
        form |= {"action": action}
        return self.session.post(f"{self.base_url}{target}", data=form, allow_redirects=False, timeout=10)


@pytest.fixture
def phone(caller: Caller) -> Iterator[Browser]:
    made = Browser(caller.sandbox.base_url)
    yield made
    made.session.close()


@pytest.fixture
def stranger(caller: Caller) -> Iterator[Browser]:
    made = Browser(caller.sandbox.base_url)
    yield made
    made.session.close()


def state(caller: Caller, order: dict[str, Any]) -> str:
    return caller.query(order["out_trade_no"]).json()["trade_state"]


def opened(caller: Caller, phone: Browser, *, redirect: str = BACK, **changes: str) -> tuple[Any, dict[str, Any]]:
    order = caller.order()
    prepay_id = caller.create(order).json()["prepay_id"]
    query = caller.page_parameters(prepay_id, **changes)
    return phone.get("/phone/wechatpay/jsapi", **query, **({"redirect": redirect} if redirect else {})), order


def test_the_sheet_shows_merchant_goods_and_yuan(caller: Caller, phone: Browser) -> None:
    page, order = opened(caller, phone)
    assert page.status_code == 200
    for text in ("付款给 沙箱演示商户", "一杯咖啡", "40.30", order["out_trade_no"], "确认支付"):
        assert text in page.text


def test_confirming_pays_and_goes_back_with_ok(caller: Caller, phone: Browser, receiver: Receiver) -> None:
    page, order = opened(caller, phone)
    answer = phone.press(page, "pay")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{BACK}&pay=ok")
    assert state(caller, order) == "SUCCESS"
    wait_until(lambda: receiver.got)


def test_cancelling_pays_nothing_and_goes_back_with_cancel(caller: Caller, phone: Browser) -> None:
    page, order = opened(caller, phone)
    answer = phone.press(page, "cancel")
    assert answer.headers["Location"] == f"{BACK}&pay=cancel"
    assert state(caller, order) == "NOTPAY"


def test_confirming_twice_pays_once(caller: Caller, phone: Browser, receiver: Receiver) -> None:
    page, order = opened(caller, phone)
    answers = [phone.press(page, "pay") for _ in range(2)]
    assert {answer.headers["Location"] for answer in answers} == {f"{BACK}&pay=ok"}
    assert len(caller.sandbox.control.notifications(number=order["out_trade_no"])) == 1


def test_an_order_closed_under_the_payers_finger_goes_back_with_fail(caller: Caller, phone: Browser) -> None:
    page, order = opened(caller, phone)
    caller.close_order(order["out_trade_no"])
    assert phone.press(page, "pay").headers["Location"] == f"{BACK}&pay=fail"
    assert state(caller, order) == "CLOSED"


def test_without_a_way_back_the_result_is_shown(caller: Caller, phone: Browser) -> None:
    page, order = opened(caller, phone, redirect="")
    shown = phone.press(page, "pay")
    assert shown.status_code == 200
    assert "支付成功" in shown.text
    assert state(caller, order) == "SUCCESS"


def test_an_earlier_answer_about_the_way_back_is_replaced(caller: Caller, phone: Browser) -> None:
    page, _ = opened(caller, phone, redirect="http://localhost:9/x?pay=cancel&a=1")
    assert phone.press(page, "pay").headers["Location"] == "http://localhost:9/x?a=1&pay=ok"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"paySign": "AAAA"}, "支付验证签名失败"),
        ({"timeStamp": "1700000000"}, "支付验证签名失败"),
        ({"appId": "wx0000000000000000"}, "未知的 appId"),
        ({"signType": "MD5"}, "支付参数不完整"),
        ({"package": "prepay_id="}, "支付参数不完整"),
        ({"nonceStr": ""}, "支付参数不完整"),
    ],
)
def test_wrong_parameters_are_refused_with_a_reason(
    caller: Caller, phone: Browser, changes: dict[str, str], reason: str
) -> None:
    page, order = opened(caller, phone, **changes)
    assert page.status_code == 400
    assert reason in page.text
    assert "name=&quot;ticket&quot;" not in page.text
    assert f"{BACK}&pay=fail".replace("&", "&amp;") in page.text
    assert state(caller, order) == "NOTPAY"


def test_an_unknown_prepay_id_is_refused(caller: Caller, phone: Browser) -> None:
    page = phone.get("/phone/wechatpay/jsapi", **caller.page_parameters("wx0000000000"))
    assert (page.status_code, "找不到这笔支付" in page.text) == (400, True)


def test_a_prepay_id_ends_after_two_hours(caller: Caller, phone: Browser) -> None:
    order = caller.order()
    parameters = caller.page_parameters(caller.create(order).json()["prepay_id"])
    caller.sandbox.control.advance(7100)
    assert phone.get("/phone/wechatpay/jsapi", **parameters).status_code == 200
    caller.sandbox.control.advance(101)
    expired = phone.get("/phone/wechatpay/jsapi", **parameters)
    assert (expired.status_code, "支付已过期" in expired.text) == (400, True)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example.com/",
        "//evil.example.com/",
        "javascript:alert(1)",
        "http://127.0.0.1@evil.example.com/",
        "http://127.0.0.1.evil.example.com/",
        "http://evil.example.com\\@127.0.0.1/",
        "http://[",
    ],
)
def test_the_phone_is_nobodys_open_redirect(caller: Caller, phone: Browser, address: str) -> None:
    page, _ = opened(caller, phone, redirect=address)
    assert page.status_code == 400
    assert "evil" not in page.text


def test_another_browser_cannot_press_the_button(caller: Caller, phone: Browser, stranger: Browser) -> None:
    page, order = opened(caller, phone)
    assert stranger.press(page, "pay").status_code == 400
    forged = phone.session.post(
        f"{caller.sandbox.base_url}/phone/confirm", data={"ticket": "x", "action": "pay"}, timeout=5
    )
    assert forged.status_code == 400
    assert state(caller, order) == "NOTPAY"


def test_a_native_code_is_scanned_and_paid_by_whoever_scans_it(caller: Caller, phone: Browser) -> None:
    order = caller.order()
    code_url = caller.create(order, product="native").json()["code_url"]
    page = phone.get("/phone/wechatpay/scan", code_url=code_url)
    assert "40.30" in page.text
    phone.press(page, "pay")
    paid = caller.query(order["out_trade_no"]).json()
    assert (paid["trade_state"], paid["trade_type"]) == ("SUCCESS", "NATIVE")
    assert paid["payer"]["openid"].startswith("oS")


@pytest.mark.parametrize("code", ["", "https://example.com", "weixin://wxpay/bizpayurl?pr=NOSUCH"])
def test_a_code_that_is_none_is_refused(phone: Browser, code: str) -> None:
    assert phone.get("/phone/wechatpay/scan", code_url=code).status_code == 400


def test_the_home_screen_lists_orders_and_offers_codes(caller: Caller, phone: Browser) -> None:
    assert "还没有订单" in phone.get("/phone/").text
    order = caller.order(description='"><b>x</b>')
    code_url = caller.create(order, product="native").json()["code_url"]
    page = phone.get("/phone/").text
    assert order["out_trade_no"] in page
    assert urlencode({"code": code_url}) in page
    assert "<b>x</b>" not in page


def test_pages_speak_the_language_that_is_asked_for(caller: Caller, phone: Browser) -> None:
    order = caller.order()
    code_url = caller.create(order, product="native").json()["code_url"]
    english = phone.get("/phone/wechatpay/scan", code_url=code_url, lang="en")
    assert "Confirm payment" in english.text
    assert "Payment successful" in phone.press(english, "pay").text
    assert "该订单已支付" in phone.get("/phone/wechatpay/scan", code_url=code_url, lang="zh-Hans").text


def test_pages_allow_nothing_from_elsewhere_and_no_script(caller: Caller, phone: Browser) -> None:
    page, _ = opened(caller, phone)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert policy.endswith("form-action 'self' http://127.0.0.1:8000")
    assert "<script" not in page.text
    assert " style=" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert all(link.startswith(("/", "data:")) for link in links)
    assert phone.get("/phone/phone.css").headers["Content-Type"].startswith("text/css")


def authorize(caller: Caller, phone: Browser, **changes: str) -> requests.Response:
    asked = {
        "appid": caller.identity["appid"],
        "redirect_uri": "http://127.0.0.1:8000/oauth?next=1",
        "response_type": "code",
        "scope": "snsapi_base",
        "state": "S T",
    } | changes
    return phone.get("/connect/oauth2/authorize", **asked)


def exchange(caller: Caller, code: str, **changes: str) -> dict[str, Any]:
    asked = {
        "appid": caller.identity["appid"],
        "secret": caller.identity["app_secret"],
        "code": code,
        "grant_type": "authorization_code",
    } | changes
    answer = caller.session.get(f"{caller.sandbox.base_url}/sns/oauth2/access_token", params=asked, timeout=5)
    assert answer.status_code == 200
    return answer.json()


def code_of(answer: requests.Response) -> str:
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def test_oauth_sends_the_browser_back_with_code_and_state(caller: Caller, phone: Browser) -> None:
    back = urlsplit(authorize(caller, phone).headers["Location"])
    assert (back.netloc, back.path) == ("127.0.0.1:8000", "/oauth")
    query = parse_qs(back.query)
    assert (query["next"], query["state"], len(query["code"])) == (["1"], ["S T"], 1)


def test_oauth_gives_one_browser_one_openid_and_another_another(
    caller: Caller, phone: Browser, stranger: Browser
) -> None:
    openids = [exchange(caller, code_of(authorize(caller, who)))["openid"] for who in (phone, phone, stranger)]
    assert openids[0] == openids[1] != openids[2]
    assert all(re.fullmatch(r"oS[0-9a-f]{26}", openid) for openid in openids)


def test_an_oauth_code_works_once(caller: Caller, phone: Browser) -> None:
    code = code_of(authorize(caller, phone))
    granted = exchange(caller, code)
    assert (granted["expires_in"], granted["scope"]) == (7200, "snsapi_base")
    assert exchange(caller, code) == {"errcode": 40163, "errmsg": "code been used"}


def test_an_oauth_code_ends_after_five_minutes(caller: Caller, phone: Browser) -> None:
    code = code_of(authorize(caller, phone))
    caller.sandbox.control.advance(301)
    assert exchange(caller, code) == {"errcode": 40029, "errmsg": "invalid code"}


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"code": "nonsense"}, 40029),
        ({"code": ""}, 41008),
        ({"appid": "wx0"}, 40013),
        ({"secret": "wrong"}, 40125),
        ({"grant_type": "password"}, 40002),
    ],
)
def test_oauth_failures_are_200_with_an_errcode(
    caller: Caller, phone: Browser, changes: dict[str, str], errcode: int
) -> None:
    code = code_of(authorize(caller, phone))
    assert exchange(caller, **({"code": code} | changes))["errcode"] == errcode
    assert "openid" in exchange(caller, code)


@pytest.mark.parametrize(
    "changes",
    [
        {"appid": "wx0"},
        {"redirect_uri": "https://evil.example.com/"},
        {"response_type": "token"},
        {"scope": "all"},
    ],
)
def test_oauth_refuses_what_it_does_not_know(caller: Caller, phone: Browser, changes: dict[str, str]) -> None:
    answer = authorize(caller, phone, **changes)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
