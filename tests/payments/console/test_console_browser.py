"""The console in a real browser: it works under its own policy, asks nobody else for anything, and fits a phone."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from payments.models import Order, PayCode
from tests import factories
from tests.payments.console import stories
from tests.payments.console.conftest import PASSWORD, page_url
from tests.payments.console.test_console_bills import a_bill

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
# A policy may also be violated before the page's own scripts run: listen from the beginning.
WATCH_POLICY = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


class Desk:
    """An operator's browser that remembers everything it complained about."""

    def __init__(self, context: BrowserContext, *, base_url: str) -> None:
        self.base_url = base_url
        self.complaints: list[str] = []
        context.add_init_script(WATCH_POLICY)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base_url)
        self.page: Page = context.new_page()
        self.page.on("request", self._look_at_request)
        self.page.on("response", lambda answer: answer.status < 400 or self._complain(f"{answer.status} {answer.url}"))
        self.page.on("console", lambda said: said.type not in {"error", "warning"} or self._complain(said.text))
        self.page.on("pageerror", lambda error: self._complain(str(error)))

    def log_in(self, name: str) -> None:
        self.open("/console/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(f"{self.base_url}/console/")

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.base_url}{path}", wait_until="networkidle")
        return self.page

    def is_wider_than_its_window(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")

    def _look_at_request(self, request: object) -> None:
        if not request.url.startswith((self.base_url, "data:")):
            self._complain(f"asked {request.url}")

    def _complain(self, text: str) -> None:
        self.complaints.append(text)


@pytest.fixture
def desk(new_context: Callable[..., BrowserContext], live_server: LiveServer) -> Iterator[Callable[..., Desk]]:
    """`desk(language="en", size="phone")`: logged in as an operator. At the end there may be no complaint."""
    desks: list[Desk] = []

    def desk(*, language: str = "en", size: str = "desktop") -> Desk:
        user = User.objects.create_user("olga", password=PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name="operator"))
        context = new_context(locale=language, viewport=SIZES[size], timezone_id="UTC")
        desks.append(Desk(context, base_url=live_server.url))
        desks[-1].log_in("olga")
        return desks[-1]

    yield desk
    assert [complaint for one in desks for complaint in one.complaints] == []


def a_story_of_today() -> Order:
    return stories.a_long_story(now=timezone.now() - timedelta(minutes=5))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("language", "paid", "question"),
    [("zh-CN", "今日收款（元）", "付款了吗？"), ("en", "Paid today (yuan)", "Was it paid?")],
)
def test_from_the_first_page_to_an_orders_story(desk, language, size, paid, question):
    order = a_story_of_today()
    seat = desk(language=language, size=size)
    expect(seat.page.locator(".fen-card", has_text=paid).locator(".fen-value")).to_have_text("40.30")
    assert not seat.is_wider_than_its_window()
    seat.page.fill(".fen-find input", factories.the_payment(order).channel_trade_no)
    seat.page.click(".fen-find button")
    seat.page.wait_for_url(f"{seat.base_url}{page_url(order)}")
    expect(seat.page.locator(".fen-answer h2").first).to_have_text(question)
    expect(seat.page.locator(".fen-answer").first).to_be_in_viewport()
    expect(seat.page.locator(".fen-moment")).to_have_count(15)
    expect(seat.page.locator("[name=_save], a[href$='/delete/']")).to_have_count(0)
    assert not seat.is_wider_than_its_window()


def test_the_four_answers_are_on_the_first_screen(desk):
    order = a_story_of_today()
    page = desk().open(page_url(order))
    for number in range(4):
        expect(page.locator(".fen-answer").nth(number)).to_be_in_viewport(ratio=1)


def test_a_number_is_copied_whole(desk):
    order = a_story_of_today()
    page = desk().open("/console/payments/order/")
    page.locator(f'.fen-copy[data-copy="{order.pk}"]').click()
    expect(page.locator(".fen-copied")).to_have_count(1)
    assert page.evaluate("navigator.clipboard.readText()") == str(order.pk)


def test_amounts_stand_to_the_right(desk):
    a_story_of_today()
    page = desk().open("/console/payments/order/")
    assert page.locator("td.field-amount_fen").first.evaluate("cell => getComputedStyle(cell).textAlign") == "right"


def test_the_filter_sheet_narrows_by_yuan(desk):
    factories.a_submitting_order(amount_fen=4030)
    factories.a_submitting_order(amount_fen=4031)
    page = desk().open("/console/payments/order/")
    page.locator("#changelist a", has_text="Filters").first.click()
    page.fill("[name=amount_fen_from]", "40.31")
    page.get_by_role("button", name="Apply Filters").click()
    expect(page.locator("td.field-amount_fen")).to_have_text(["40.31"])


def test_the_language_is_switched_on_the_page_where_one_is(desk):
    seat = desk()
    page = seat.open("/console/payments/order/?status=PAYING")
    page.locator("nav >> text=olga").click()
    page.get_by_text("简体中文").click()
    page.wait_for_url(f"{seat.base_url}/console/payments/order/?status=PAYING")
    expect(page.locator("#nav-sidebar-inner")).to_contain_text("退款单")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("language", "sound", "kind"), [("zh-CN", "账目相符", "交易账单"), ("en", "adds up", "payments and refunds")]
)
def test_a_bill_is_read_from_the_list_down_to_a_row_and_taken_away(desk, language, size, sound, kind):
    bill = a_bill()
    seat = desk(language=language, size=size)
    page = seat.open("/console/payments/bill/?status=FETCHED")
    expect(page.locator("#result_list")).to_contain_text(kind)
    page.locator(f'a[href="{page_url(bill)}"]').first.click()
    page.locator(f'a[href="{page_url(bill.newest_file)}"]').click()
    expect(page.locator(".fen-badge", has_text=sound)).to_be_visible()
    assert not seat.is_wider_than_its_window()
    if page.viewport_size["width"] < 1024:  # there the page's actions are behind a button
        page.get_by_text("more_horiz", exact=True).click()
    with page.expect_download() as download:
        page.locator("a[href$='/download/']").first.click()
    assert download.value.suggested_filename.endswith("_trade_2026-03-02_v1.csv.gz")
    page.locator("a[href*='?file=']").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    assert not seat.is_wider_than_its_window()


def test_an_operator_issues_a_pay_code_and_puts_it_out_of_use(desk):
    app = factories.an_app()
    page = desk().open("/console/payments/paycode/add/")
    page.select_option("[name=app]", str(app.pk))
    page.fill("[name=label]", "Counter 3")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/console/payments/paycode/")
    pay_code = PayCode.objects.get()
    page.goto(page.url + f"{pay_code.pk}/change/")
    expect(page.locator(".fen-qr")).to_be_visible()
    page.get_by_role("link", name="Deactivate").click()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_text("“Counter 3” is deactivated.")).to_be_visible()
    assert not factories.again(pay_code).is_active
