"""A printed code in a real browser: an amount is typed, and the literal text becomes an order."""

import json

import pytest
from playwright.sync_api import expect

from payments.models import Order
from payments.money import AmountError, fen_from_literal
from tests.payments.cashier import states
from tests.payments.cashier.phone import expect_look, expect_sheets, leave_sheet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

LITERALS = [
    "40.3", "40.30", "0.01", "0.1", "19.99", "1.005", "4.35", "007", "00.10", "1", "10000000", "10000000.00",
    "10000000.01", "999999999999", "9999999999999", "0", "0.00", "0.001", "0.009", "1.100", "1.10000000", "-1", "-0",
    "-0.00", "-0.001", "", " ", "1 ", ".", "1.", ".5", "1,5", "1.2.3", "４０", "四十", "1e3", "-1E-3", "1.5e+2", "NaN",
    "-Infinity", "inf", "+1", "0x10", "1_000", "1" * 40, "1" * 41, "1." + "0" * 38, "1." + "0" * 39, "--1", "1\n",
]  # fmt: skip


@pytest.fixture
def at_the_counter(phone, pay_code, outside):
    """Scans the code and comes to the amount, by way of the channel."""
    phone.hosts_allowed.append(outside.base)

    def scan(**options):
        page = phone.open(f"/pay/{pay_code.token}", **options)
        expect(page.locator("#amount")).to_be_visible()
        return page

    return scan


def press(page, keys):
    for key in keys:
        page.locator(f"[data-key='{key}']").click()


def test_forty_point_three_typed_on_the_keypad_is_4030_fen_and_is_paid(at_the_counter):
    page = at_the_counter(wechat=True, bridge_after_ms=0)
    press(page, ["4", "0", ".", "3"])
    expect(page.locator("#amount")).to_have_value("40.3")
    with page.expect_request("**/orders") as sent:
        page.locator("#pay").click()
    assert json.loads(sent.value.post_data)["amount"] == "40.3", "as text, as it was typed"
    expect_look(page, "preparing")
    order = Order.objects.get()
    assert order.amount_fen == 4030
    expect(page.locator(".amount")).to_contain_text("40.30")
    states.accept(order)
    expect_sheets(page, 1)  # the payer has tapped pay once already
    leave_sheet(page, "ok")
    expect_look(page, "confirming")
    states.pay(order)
    expect_look(page, "paid")


def test_the_sheet_opens_by_itself_only_once(at_the_counter):
    page = at_the_counter(bridge_after_ms=0)
    press(page, ["5"])
    page.locator("#pay").click()
    expect_look(page, "preparing")
    states.accept(Order.objects.get())
    expect_sheets(page, 1)
    page.reload()
    expect_look(page, "ready")
    page.wait_for_timeout(500)
    assert page.evaluate("window.sheet.length") == 0


def test_the_keypad_makes_no_nonsense(at_the_counter):
    page = at_the_counter()
    press(page, [".", ".", "0", "5", "7"])
    expect(page.locator("#amount")).to_have_value("0.05")
    press(page, ["back"] * 4 + ["0", "0", "7", "."])
    expect(page.locator("#amount")).to_have_value("7.")
    press(page, ["back"] * 3)
    expect(page.locator("#amount")).to_have_value("")


def test_typing_on_a_keyboard_and_enter_work_too(at_the_counter):
    page = at_the_counter(language="en")
    page.locator("#amount").press_sequentially("19.99")
    page.locator("#amount").press("Enter")
    expect_look(page, "preparing")
    assert Order.objects.get().amount_fen == 1999


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "金额至少为 0.01 元。"),
        ("1.005", "小数点后最多两位。"),
        ("４０", "请用半角数字输入金额（元），例如 40.3"),
        ("", "请用半角数字输入金额（元），例如 40.3"),
    ],
)
def test_a_wrong_amount_is_said_in_words_and_read_out_and_nothing_is_sent(at_the_counter, text, words):
    page = at_the_counter()
    page.locator("#amount").fill(text)
    page.locator("#pay").click()
    expect(page.get_by_role("alert")).to_have_text(words)
    expect(page.locator("#amount")).to_have_attribute("aria-invalid", "true")
    assert not Order.objects.exists()


def test_the_page_checks_amounts_as_the_server_does(at_the_counter, settings):
    page = at_the_counter()
    limit = settings.ORDER_AMOUNT_MAX_FEN
    check = """([literals, limit]) => import("/static/cashier/amount.js")
        .then((module) => literals.map((each) => module.amountProblem(each, limit)))"""
    found = dict(zip(LITERALS, page.evaluate(check, [LITERALS, limit]), strict=True))

    def servers(literal):
        try:
            fen_from_literal(literal, max_fen=limit)
        except AmountError as error:
            return error.reason
        return ""

    assert found == {literal: servers(literal) for literal in LITERALS}


def test_the_server_decides_even_when_the_page_is_content(at_the_counter, settings):
    page = at_the_counter(language="en")
    settings.ORDER_AMOUNT_MAX_FEN = 1_000
    page.locator("#amount").fill("40.3")
    page.locator("#pay").click()
    expect(page.get_by_role("alert")).to_have_text("The amount can be at most 10.00 yuan.")
    assert not Order.objects.exists()


def test_two_quick_taps_are_one_order(at_the_counter):
    page = at_the_counter()
    press(page, ["5"])
    page.locator("#pay").dblclick()
    expect_look(page, "preparing")
    assert Order.objects.count() == 1


def test_a_tap_after_a_lost_answer_finds_the_same_order(at_the_counter):
    page = at_the_counter(language="en")
    press(page, ["5"])

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/orders", lose, times=1)
    page.locator("#pay").click()
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    assert Order.objects.count() == 1
    page.locator("#pay").click()
    expect_look(page, "preparing")
    assert Order.objects.count() == 1


def test_another_amount_after_a_lost_answer_asks_for_one_more_tap(at_the_counter):
    page = at_the_counter(language="en")
    page.locator("#amount").fill("40.3")

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/orders", lose, times=1)
    page.locator("#pay").click()
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    page.locator("#amount").fill("4.03")
    page.locator("#pay").click()
    expect(page.get_by_role("alert")).to_contain_text("You changed the amount")
    page.locator("#pay").click()
    expect_look(page, "preparing")
    expect(page.locator(".amount")).to_contain_text("4.03")


def test_going_back_from_the_order_begins_a_new_attempt(at_the_counter):
    page = at_the_counter()
    press(page, ["5"])
    page.locator("#pay").click()
    expect_look(page, "preparing")
    page.go_back()
    expect(page.locator("#amount")).to_be_visible()
    page.wait_for_load_state()
    page.locator("#amount").fill("5")
    page.locator("#pay").click()
    expect_look(page, "preparing")
    assert Order.objects.count() == 2


def test_a_page_whose_payer_was_forgotten_says_so_and_leads_on(at_the_counter):
    page = at_the_counter(language="en")
    page.locator("#amount").fill("5")
    page.context.clear_cookies()
    page.locator("#pay").click()
    expect(page.get_by_role("alert")).to_contain_text("Open it again to pay")
    page.get_by_role("link", name="Open again").click()
    expect(page.locator("#amount")).to_be_visible()
    page.locator("#amount").fill("5")
    page.locator("#pay").click()
    expect_look(page, "preparing")


@pytest.mark.parametrize(("language", "words"), [("zh-CN", "付款金额"), ("en", "Amount to pay")])
def test_the_amount_page_speaks_both_languages(at_the_counter, language, words):
    page = at_the_counter(language=language)
    expect(page.locator("label")).to_have_text(words)
    expect(page.locator("header")).to_contain_text("Fen & Sons")
    expect(page.locator("header")).to_contain_text("Counter <1>")
