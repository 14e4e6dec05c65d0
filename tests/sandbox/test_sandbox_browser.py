"""The phone in a real browser at phone size: it shows, pays, and gets back to the merchant under its strict policy."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import Caller

pytestmark = pytest.mark.browser
SHOP_PAGES: dict[str, str] = {}  # what the shop shows at a path, unless its title alone


@pytest.fixture(params=["zh-CN", "en-US"])
def screen(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale=request.param)
    yield context.new_page()
    context.close()


@pytest.fixture
def shop() -> Iterator[str]:
    """Another origin that the payer comes back to."""

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = SHOP_PAGES.get(self.path, "<title>shop</title>").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/back"
    server.shutdown()
    server.server_close()
    SHOP_PAGES.clear()


@pytest.mark.parametrize(("button", "outcome", "state"), [("pay", "ok", "SUCCESS"), ("cancel", "cancel", "NOTPAY")])
def test_the_payer_decides_and_returns_to_the_shop(
    caller: Caller, screen: Page, shop: str, button: str, outcome: str, state: str
) -> None:
    complaints: list[str] = []
    screen.on("console", lambda message: complaints.append(message.text))
    order = caller.order(description="一杯非常非常好喝但是名字特别长的拿铁咖啡加燕麦奶和双份浓缩" * 3)
    query = caller.page_parameters(caller.create(order).json()["prepay_id"]) | {"redirect": shop}
    screen.goto(f"{caller.sandbox.base_url}/phone/wechatpay/jsapi?{urlencode(query)}")
    assert screen.locator(".amount").inner_text().replace("\n", "") == "¥40.30"
    assert screen.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    screen.locator(f"button[value={button}]").click()
    screen.wait_for_url(f"{shop}?pay={outcome}")
    assert caller.query(order["out_trade_no"]).json()["trade_state"] == state
    assert complaints == []


def test_a_pasted_code_is_scanned_from_the_home_screen(caller: Caller, screen: Page) -> None:
    order = caller.order()
    code_url = caller.create(order, product="native").json()["code_url"]
    screen.goto(f"{caller.sandbox.base_url}/phone/")
    screen.locator("input[name=code]").fill(code_url)
    screen.locator("form.scan button").click()
    screen.locator("button[value=pay]").click()
    screen.locator(".outcome.ok").wait_for()
    assert caller.query(order["out_trade_no"]).json()["trade_state"] == "SUCCESS"


BRIDGED = """<title>shop</title><script src="{base}/phone/bridge.js"></script><button>pay</button><script>
const pays = {{
  wechat: () => WeixinJSBridge.invoke("getBrandWCPayRequest", {page}, (said) => document.title = said.err_msg),
  alipay: () => AlipayJSBridge.call("tradePay", {trade}, (said) => document.title = said.resultCode),
}};
document.querySelector("button").onclick = pays.{bridge};
</script>"""


@pytest.mark.parametrize(
    ("bridge", "button", "title"),
    [
        ("wechat", "pay", "get_brand_wcpay_request:ok"),
        ("wechat", "cancel", "get_brand_wcpay_request:cancel"),
        ("alipay", "pay", "9000"),
        ("alipay", "cancel", "6001"),
    ],
)
def test_a_page_that_includes_the_bridge_pays_as_in_the_real_apps(
    caller: Caller, alipay: AlipayCaller, screen: Page, shop: str, bridge: str, button: str, title: str
) -> None:
    parameters = json.dumps(caller.page_parameters(caller.create().json()["prepay_id"]))
    trade = json.dumps({"tradeNO": alipay.create()["trade_no"]})
    SHOP_PAGES["/back"] = BRIDGED.format(base=caller.sandbox.base_url, page=parameters, trade=trade, bridge=bridge)
    screen.goto(shop)
    with screen.expect_popup() as opened:
        screen.click("button")
    opened.value.locator(f"button[value={button}]").click()
    expect(screen).to_have_title(title)


def test_a_window_that_is_closed_by_hand_is_a_cancel(caller: Caller, screen: Page, shop: str) -> None:
    parameters = json.dumps(caller.page_parameters(caller.create().json()["prepay_id"]))
    SHOP_PAGES["/back"] = BRIDGED.format(base=caller.sandbox.base_url, page=parameters, trade="{}", bridge="wechat")
    screen.goto(shop)
    with screen.expect_popup() as opened:
        screen.click("button")
    opened.value.close()
    expect(screen).to_have_title("get_brand_wcpay_request:cancel")
