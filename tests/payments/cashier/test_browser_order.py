"""The page of one order in a real browser: with WeChat's bridge, with the sandbox's phone, and with neither."""

import re

import pytest
from playwright.sync_api import expect

from tests.payments.cashier import states
from tests.payments.cashier.phone import expect_look, expect_sheets, leave_sheet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

TITLES = {
    "preparing": ("正在准备付款", "Preparing your payment"),
    "ready": ("待付款", "Waiting for your payment"),
    "scan": ("请用微信扫码付款", "Scan with WeChat to pay"),
    "stale": ("已无法发起付款", "This payment can no longer be started"),
    "unknown": ("结果尚未确定", "Result not known yet"),
    "failed": ("此订单无法付款", "This order cannot be paid"),
    "closing": ("订单正在关闭", "This order is being closed"),
    "closed": ("订单已关闭", "This order is closed"),
    "expired": ("订单已过期", "This order has expired"),
    "paid": ("付款成功", "Paid"),
    "late": ("付款已收到，但晚于订单关闭", "Payment received late"),
}


def open_order(phone, order, *, query="", **options):
    return phone.open(f"/cashier/{order.cashier_token}{query}", **options)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_each_state_is_shown_in_both_languages(phone, language):
    for look, titles in TITLES.items():
        page = open_order(phone, states.order_in(look), language=language, bridge_after_ms=0)
        expect(page.locator("h1")).to_have_text(titles[language == "en"])
        expect(page.locator(".amount")).to_contain_text("40.30")
        expect(page.locator("#pay")).to_be_visible(visible=look == "ready")
        expect(page.locator("[role=status][aria-live=polite] h1")).to_have_count(1)
        page.context.close()


@pytest.mark.parametrize(("wechat", "after_ms"), [(False, 0), (True, 0), (True, 700), (False, 700)])
def test_a_payment_through_the_bridge_is_confirming_until_the_server_knows(phone, wechat, after_ms):
    order = states.order_in("ready")
    page = open_order(phone, order, wechat=wechat, bridge_after_ms=after_ms)
    page.locator("#pay").click()
    expect_sheets(page, 1)
    expect_look(page, "paying")
    opened = page.evaluate("window.sheet[0]")
    assert opened["name"] == "getBrandWCPayRequest"
    assert opened["parameters"]["package"] == "prepay_id=wx-prepay-1"
    assert all(isinstance(value, str) for value in opened["parameters"].values())
    leave_sheet(page, "ok")
    expect_look(page, "confirming")
    page.wait_for_timeout(2_500)
    expect_look(page, "confirming")
    expect(page.locator("#pay")).to_be_hidden()
    states.pay(order)
    expect_look(page, "paid")
    expect(page.locator("#paid-at")).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d$"))
    assert page.title().startswith("付款成功")


def test_ok_survives_a_reload_and_still_waits_for_the_server(phone):
    order = states.order_in("ready")
    page = open_order(phone, order, bridge_after_ms=0)
    page.locator("#pay").click()
    expect_sheets(page, 1)
    leave_sheet(page, "ok")
    expect_look(page, "confirming")
    page.reload()
    expect_look(page, "confirming")
    expect(page.locator("#pay")).to_be_hidden()
    states.pay(order)
    expect_look(page, "paid")
    page.reload()
    expect_look(page, "paid")


def test_somebody_who_types_pay_ok_into_the_address_has_paid_nothing(phone):
    page = open_order(phone, states.order_in("ready"), query="?pay=ok", bridge_after_ms=0)
    page.wait_for_timeout(1_500)
    expect_look(page, "confirming")


@pytest.mark.parametrize(("outcome", "look"), [("cancel", "cancelled"), ("fail", "declined"), ("fail:no", "declined")])
def test_after_a_cancelled_or_failed_sheet_the_payer_can_pay_again_with_fresh_parameters(phone, outcome, look):
    order = states.order_in("ready")
    page = open_order(phone, order, bridge_after_ms=0)
    page.locator("#pay").click()
    expect_sheets(page, 1)
    leave_sheet(page, outcome)
    expect_look(page, look)
    page.locator("#pay").click()
    expect_sheets(page, 2)
    first, second = page.evaluate("window.sheet.map((each) => each.parameters)")
    assert first["nonceStr"] != second["nonceStr"]
    assert first["paySign"] != second["paySign"]
    leave_sheet(page, "ok")
    states.pay(order)
    expect_look(page, "paid")


def test_a_tap_on_pay_after_somebody_else_has_paid_opens_no_sheet(phone):
    order = states.order_in("ready")
    page = open_order(phone, order, bridge_after_ms=0)
    expect_look(page, "ready")
    states.pay(order)
    page.locator("#pay").click()
    expect_look(page, "paid")
    assert page.evaluate("window.sheet.length") == 0


def test_an_unknown_result_asks_the_payer_to_wait_and_resolves_by_itself(phone):
    order = states.order_in("unknown")
    page = open_order(phone, order, language="en", bridge_after_ms=0)
    expect(page.locator("#detail")).to_contain_text("Do not pay again")
    expect(page.locator("#pay")).to_be_hidden()
    page.reload()
    expect_look(page, "unknown")
    states.accept(order)
    expect_look(page, "ready")
    expect(page.locator("#pay")).to_be_visible()


def test_money_reported_for_an_order_that_was_closed_is_said_plainly(phone):
    order = states.order_in("closed")
    page = open_order(phone, order, query="?pay=ok", language="en", bridge_after_ms=0)
    expect_look(page, "contradicted")
    expect(page.locator("h1")).to_have_text("Please do not pay again")
    states.pay(order)
    expect_look(page, "late", timeout_ms=10_000)


def test_without_wechat_and_without_the_sandbox_the_page_asks_to_be_opened_in_wechat(phone):
    page = open_order(phone, states.order_in("ready"))
    expect_look(page, "outside")
    expect(page.locator("h1")).to_have_text("请在微信内打开")
    expect(page.locator("#pay")).to_be_hidden()


def test_in_wechat_a_bridge_that_never_comes_ends_in_the_same_advice(phone):
    page = open_order(phone, states.order_in("ready"), wechat=True)
    page.locator("#pay").click()
    expect_look(page, "outside", timeout_ms=8_000)


@pytest.mark.parametrize(("outcome", "look"), [("ok", "confirming"), ("cancel", "cancelled"), ("fail", "declined")])
def test_the_sandboxs_phone_leads_back_to_the_page(phone, account, outside, outcome, look):
    outside.outcome = outcome
    phone.hosts_allowed.append(outside.base)
    order = states.order_in("ready", app=states.factories.an_app(merchant=account.merchant))
    page = open_order(phone, order, language="en")
    page.locator("#pay").click()
    expect_look(page, look)
    assert outside.phoned[0]["package"] == "prepay_id=wx-prepay-1"
    assert outside.phoned[0]["lang"] == "en"
    states.pay(order)
    expect_look(page, "paid", timeout_ms=8_000)


def test_a_code_to_scan_is_a_picture_and_the_result_comes_by_itself(phone):
    order = states.order_in("scan")
    page = open_order(phone, order)
    expect(page.locator("#qr")).to_be_visible()
    assert page.locator("#qr").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100
    states.pay(order)
    expect_look(page, "paid")
    expect(page.locator("#qr")).to_be_hidden()


def test_a_page_that_nobody_looks_at_asks_nothing_and_wakes_up_at_once(phone):
    order = states.order_in("unknown")
    page = open_order(phone, order)
    expect_look(page, "unknown")
    show = "(hidden) => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
    show += " document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(show, True)
    page.wait_for_timeout(500)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3_000)
    assert asked == []
    states.pay(order)
    page.evaluate(show, False)
    expect_look(page, "paid", timeout_ms=1_500)


def test_a_page_out_of_the_browsers_history_shows_the_newest_state(phone):
    order = states.order_in("ready")
    page = open_order(phone, order, bridge_after_ms=0)
    page.goto(f"{phone.base_url}/healthz")
    states.pay(order)
    page.go_back()
    expect_look(page, "paid")


def test_a_lost_connection_is_said_and_the_page_goes_on_when_it_is_back(phone):
    order = states.order_in("unknown")
    page = open_order(phone, order, language="en")
    page.context.set_offline(offline=True)
    expect(page.locator("#notice")).to_contain_text("No connection")
    states.pay(order)
    page.context.set_offline(offline=False)
    expect_look(page, "paid")
    expect(page.locator("#notice")).to_be_empty()


def test_an_old_answer_that_comes_late_does_not_undo_a_newer_one(phone):
    order = states.order_in("ready")
    page = open_order(phone, order, bridge_after_ms=0)
    old = page.evaluate("fetch(`${location.pathname}/state`).then((each) => each.text())")
    states.pay(order)
    held = []
    page.route("**/state", lambda route: held.append(route) if not held else route.continue_())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(200)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect_look(page, "paid")
    held[0].fulfill(body=old, content_type="application/json")
    page.wait_for_timeout(500)
    expect_look(page, "paid")


def test_the_language_can_be_switched_without_losing_what_the_sheet_said(phone):
    page = open_order(phone, states.order_in("ready"), bridge_after_ms=0)
    page.locator("#pay").click()
    expect_sheets(page, 1)
    leave_sheet(page, "cancel")
    expect(page.locator("h1")).to_have_text("您已取消付款")
    page.locator("#switch").click()
    expect(page.locator("h1")).to_have_text("You cancelled the payment")
    page.reload()
    expect(page.locator("h1")).to_have_text("You cancelled the payment")


def test_a_page_that_is_not_there_looks_like_the_others(phone):
    page = phone.open("/cashier/nothing", language="en")
    expect(page.locator("h1")).to_have_text("Page not found")
