"""The main job, end to end: a merchant's first order, on real parts, as the README tells it."""

import json
import re
import time
from dataclasses import replace

import pytest
import requests
from playwright.sync_api import Page, expect

from openplatform.client import SANDBOX_PREFIX, Client, Config
from openplatform.client.signing import request_headers
from tests.journeys.conftest import World
from tests.sandboxes import wait_until

pytestmark = pytest.mark.browser


def create(world: World, *more: str) -> dict:
    return world.client(
        "create-order", "--amount", "40.3", "--subject", "两杯咖啡", "--openid", "o-demo-payer",
        "--notify-url", f"{world.demo}/notify", "--return-url", f"{world.demo}/return", *more,
    )  # fmt: skip


def told(world: World, order_no: str) -> list[dict]:
    """What the demo merchant has verified about one order."""
    return [event for event in world.received() if event["data"]["order_no"] == order_no]


def confirm_on_the_phone(page: Page) -> None:
    """The stand-in phone page shows the amount; the payer confirms."""
    expect(page.get_by_text("40.30").first).to_be_visible()
    page.get_by_role("button", name="确认支付").click()


def test_an_order_for_40_3_yuan_is_created_paid_on_the_cashier_and_told_to_the_merchant(world: World, phone: Page):
    order = create(world)
    assert (order["status"], order["amount"], order["amount_fen"]) == ("PAYING", "40.30", 4030)
    assert order["jsapi"]["package"].startswith("prepay_id=")

    phone.goto(order["cashier_url"])
    expect(phone.get_by_text("40.30").first).to_be_visible()
    phone.get_by_role("button", name=re.compile("支付|付款")).first.click()
    phone.wait_for_url(re.compile(f"^{world.sandbox}/"))
    confirm_on_the_phone(phone)
    phone.wait_for_url(re.compile(f"^{world.web}/cashier/"))
    expect(phone.get_by_text(re.compile("付款成功")).first).to_be_visible(timeout=15_000)

    paid = world.order(order["order_no"])
    assert (paid["status"], paid["amount_fen"]) == ("SUCCEEDED", 4030)
    assert paid["channel_trade_no"]
    events = wait_until(lambda: told(world, order["order_no"]), within_s=20, what="the notification")
    assert [event["type"] for event in events] == ["order.succeeded"]
    assert "notification verified: order.succeeded" in world.said()

    phone.reload()
    expect(phone.get_by_text(re.compile("付款成功")).first).to_be_visible()


def test_the_same_at_alipay(world: World, phone: Page):
    order = create(world, "--channel", "alipay")
    assert (order["status"], order["amount_fen"], set(order["jsapi"])) == ("PAYING", 4030, {"tradeNO"})

    phone.goto(order["cashier_url"])
    phone.get_by_role("button", name=re.compile("支付|付款")).first.click()
    phone.wait_for_url(re.compile(f"^{world.sandbox}/phone/alipay/"))
    confirm_on_the_phone(phone)
    phone.wait_for_url(re.compile(f"^{world.web}/cashier/"))
    expect(phone.get_by_text(re.compile("付款成功")).first).to_be_visible(timeout=15_000)

    assert world.order(order["order_no"])["channel_trade_no"] == order["jsapi"]["tradeNO"]
    events = wait_until(lambda: told(world, order["order_no"]), within_s=20, what="the notification")
    assert [event["type"] for event in events] == ["order.succeeded"]


def test_the_same_at_unionpay_which_has_an_address_instead_of_a_bridge(world: World, phone: Page):
    order = create(world, "--channel", "unionpay", "--client-ip", "203.0.113.9")
    assert (order["status"], order["amount_fen"], order["jsapi"]) == ("PAYING", 4030, None)
    assert order["pay_url"].startswith(f"{world.sandbox}/phone/unionpay/")

    phone.goto(order["cashier_url"])
    phone.get_by_role("button", name=re.compile("支付|付款")).first.click()
    phone.wait_for_url(re.compile(f"^{world.sandbox}/phone/unionpay/"))
    confirm_on_the_phone(phone)
    phone.wait_for_url(re.compile(f"^{world.web}/cashier/"))
    expect(phone.get_by_text(re.compile("付款成功")).first).to_be_visible(timeout=15_000)

    assert world.order(order["order_no"])["status"] == "SUCCEEDED"
    events = wait_until(lambda: told(world, order["order_no"]), within_s=20, what="the notification")
    assert [event["type"] for event in events] == ["order.succeeded"]


@pytest.mark.parametrize("channel", ["wechatpay", "alipay", "unionpay"])
def test_a_payer_types_40_3_on_a_printed_code_and_pays(channel: str, world: World, phone: Page):
    phone.goto(world.pay_code_url(channel))
    for key in "40.3":
        phone.get_by_role("button", name=key, exact=True).first.click()
    phone.get_by_role("button", name=re.compile("支付|付款")).first.click()
    phone.wait_for_url(re.compile("/phone/"))  # the order's page goes on by itself
    confirm_on_the_phone(phone)
    phone.wait_for_url(re.compile(f"^{world.web}/cashier/"))
    expect(phone.get_by_text(re.compile("付款成功")).first).to_be_visible(timeout=15_000)


def test_the_console_shows_the_timeline_of_the_order(world: World, phone: Page):
    order = create(world)
    login = world.console_login()
    phone.set_viewport_size({"width": 1280, "height": 900})
    phone.goto(f"{world.web}/console/")
    phone.fill("input[name=username]", login["username"])
    phone.fill("input[name=password]", login["password"])
    phone.locator("button[type=submit], input[type=submit]").first.click()
    phone.goto(f"{world.web}/console/payments/order/?q={order['order_no']}")
    phone.locator(f"a:has-text('{order['order_no']}')").first.click()
    expect(phone.get_by_text("SUBMITTING").or_(phone.get_by_text("提交中")).first).to_be_visible()
    expect(phone.get_by_text("40.30").first).to_be_visible()


def test_a_refund_goes_back_and_is_told(world: World):
    order = create(world)
    control = {"Sandbox-Token": _control_token(world)}
    payment_no = requests.get(f"{world.sandbox}/_sandbox/orders", headers=control, timeout=5).json()[-1]["out_trade_no"]
    requests.post(f"{world.sandbox}/_sandbox/orders/{payment_no}/pay", json={}, headers=control, timeout=5)
    wait_until(lambda: world.order(order["order_no"])["status"] == "SUCCEEDED", within_s=20)
    refund = world.client(
        "post", "/openapi/v1/refunds",
        f'{{"out_refund_no": "R{order["order_no"]}", "order_no": "{order["order_no"]}", "amount": "10.3"}}',
    )  # fmt: skip
    assert (refund["status"] in {"PROCESSING", "SUCCEEDED"}, refund["amount_fen"]) == (True, 1030)
    path = f"/openapi/v1/refunds/{refund['refund_no']}"
    wait_until(lambda: world.client("get", path)["status"] == "SUCCEEDED", within_s=30, what="the refund")
    assert world.order(order["order_no"])["refunded"] == "10.30"
    types = wait_until(
        lambda: {event["type"] for event in told(world, order["order_no"])} >= {"order.succeeded", "refund.succeeded"},
        within_s=20,
    )
    assert types


def test_an_integrator_signs_for_the_test_platform_with_the_typed_client_and_asks_the_workbench_why(world: World):
    config = Config.from_file(world.directory / "local" / "demo" / "client.json")
    with Client(replace(config, prefix=SANDBOX_PREFIX)) as client:
        number = f"T{time.time_ns()}"
        order = client.create_order(
            out_trade_no=number, amount="40.3", subject="coffee", channel="wechatpay", method="native", wait_s=5
        )
        assert (order.amount_fen, order.is_paid) == (4030, False)
        assert client.get_order_by_out_trade_no(number).order_no == order.order_no
        assert [each.event_id for each in client.iter_notifications(object_no=order.order_no)] == []
        assert client.close_order(order.order_no, wait_s=5).status in {"CLOSING", "CLOSED"}
        assert client.wait_until_decided(order, timeout_s=30).status == "CLOSED"
    signed = request_headers(config, method="GET", target="/openapi/v1/orders", body=b"")["Authorization"]
    asked = {"method": "GET", "target": "/openapi/v1/notifications", "authorization": signed}
    answer = requests.post(f"{world.web}/workbench/explain", json=asked, timeout=10).json()
    assert answer["verdict"]["name"] == "wrong"
    assert f"{world.web}/workbench/" in world.said()


def _control_token(world: World) -> str:
    return json.loads((world.directory / "local" / "sandbox" / "identity.json").read_text())["control_token"]
