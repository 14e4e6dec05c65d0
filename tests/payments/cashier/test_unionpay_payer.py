"""A payer of the UnionPay model at the cashier: who it is, what the order says, and the way to its app's cash desk."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from openplatform.models import App, Merchant
from payments.models import ChannelAccount, Order, PayCode, Payment
from payments.operations import payments
from payments.operations.demo import sandbox_account
from tests import factories
from tests.factories import the_payment
from tests.payments.cashier.phone import expect_look
from tests.sandbox.test_sandbox_phone import Browser
from tests.sandboxes import running_sandbox, session_sandbox

__all__ = ["running_sandbox", "session_sandbox"]
pytestmark = pytest.mark.django_db(transaction=True)
APP = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36 UnionPay/1.0 ICBCeLife"


@pytest.fixture
def account(transactional_db, running_sandbox, settings):
    settings.CASHIER_SANDBOX = True
    settings.CHANNEL_PRIVATE_HOSTS = [running_sandbox.host]
    values, secrets = sandbox_account("unionpay", running_sandbox.identity)
    return ChannelAccount.register(
        merchant=Merchant.register(name="Fen & Sons", now=timezone.now()), channel="unionpay", name="unionpay",
        settings=values, secrets=secrets, is_sandbox=True, now=timezone.now(),
    )  # fmt: skip


@pytest.fixture
def pay_code(account):
    app = App.register(merchant=account.merchant, name="shop", now=timezone.now())
    return PayCode.issue(app=app, channel="unionpay", label="Counter 1", now=timezone.now())


@pytest.fixture
def app_browser():
    """The browser in the payer's app."""
    return Client(headers={"User-Agent": APP, "Accept-Language": "zh-CN"})


@pytest.fixture
def there(running_sandbox):
    """The same browser, at UnionPay's."""
    made = Browser("")
    yield made
    made.session.close()


def way_back(browser, there, pay_code):
    """Through UnionPay's page and back: the address that the browser is sent to."""
    asked = browser.get(f"/pay/{pay_code.token}")
    assert asked.status_code == 302
    return there.get(asked["Location"]).headers["Location"]


def come_back(browser, url):
    where = urlsplit(url)
    return browser.get(f"{where.path}?{where.query}")


def test_the_payer_is_asked_by_a_one_time_code_and_the_apps_own_name(
    app_browser, there, pay_code, account, running_sandbox
):
    url = way_back(app_browser, there, pay_code)
    told = parse_qs(urlsplit(url).query)
    assert set(told) == {"state", "userAuthCode", "respCode"}
    answer = come_back(app_browser, url)
    assert (answer.status_code, answer["Location"]) == (302, f"/pay/{pay_code.token}")
    assert [cookie for cookie in answer.cookies if cookie == f"payer_{account.pk}"]
    asked = running_sandbox.control.calls(channel="unionpay", operation="oauth")
    assert ["UnionPay/1.0 ICBCeLife" in call["body"] for call in asked] == [True]
    page = app_browser.get(f"/pay/{pay_code.token}")
    assert (page.status_code, "Counter 1" in page.content.decode()) == (200, True)


def test_somebody_elses_code_and_a_used_one_name_nobody(app_browser, there, pay_code):
    url = way_back(app_browser, there, pay_code)
    stranger = Client(headers={"User-Agent": APP})
    assert come_back(stranger, url).status_code == 403, "made for another browser"
    assert come_back(app_browser, url).status_code == 302
    app_browser.cookies.clear()
    mine = urlsplit(way_back(app_browser, there, pay_code))
    used = parse_qs(urlsplit(url).query)["userAuthCode"][0]
    state = parse_qs(mine.query)["state"][0]
    answer = app_browser.get("/pay/oauth", {"state": state, "userAuthCode": used})
    assert (answer.status_code, "未能获取您的云闪付身份" in answer.content.decode()) == (502, True)
    assert app_browser.get("/pay/oauth", {"state": state, "respCode": "01"}).status_code == 502, "the payer declined"


def test_outside_the_app_a_real_code_asks_to_be_scanned_there(app_browser, pay_code, settings):
    settings.CASHIER_SANDBOX = False
    outside = Client(headers={"Accept-Language": "zh-CN"}).get(f"/pay/{pay_code.token}")
    assert (outside.status_code, "请在云闪付内打开" in outside.content.decode()) == (403, True)
    assert app_browser.get(f"/pay/{pay_code.token}").status_code == 302


def test_a_model_without_play_money_is_not_payable_by_a_printed_code(app_browser, pay_code, account):
    type(account).objects.filter(pk=account.pk).update(is_sandbox=False)
    assert app_browser.get(f"/pay/{pay_code.token}").status_code == 503


@pytest.mark.browser
def test_40_3_typed_in_the_app_is_paid_at_its_cash_desk_and_shown_as_paid(
    phone, pay_code, live_server, running_sandbox, settings
):
    settings.ALLOWED_HOSTS = ["*"]
    phone.hosts_allowed.append(running_sandbox.base_url)
    page = phone.open(f"/pay/{pay_code.token}", agent=APP)
    page.locator("#amount").fill("40.3")
    page.locator("#pay").click()
    expect_look(page, "preparing")
    payment = Payment.objects.get()
    assert (payment.amount_fen, payment.client_ip, payment.payer_id[:2]) == (4030, "127.0.0.1", "UP")
    payments.drive_payment(payment_no=payment.pk, clock=timezone.now)
    page.wait_for_url(f"{payment_desk()}**")  # the payer tapped pay already, so the page goes there by itself
    expect(page.get_by_text("40.30").first).to_be_visible()
    page.get_by_role("button", name="确认支付").click()
    page.wait_for_url(f"{live_server.url}/cashier/**")
    expect_look(page, "paid", timeout_ms=15_000)  # told by the callback: nobody asks here
    order = Order.objects.get()
    assert (order.status, order.channel) == ("SUCCEEDED", "unionpay")


def payment_desk():
    return the_payment(Order.objects.get()).prepay["pay_url"]


@pytest.mark.browser
def test_outside_the_app_the_page_of_an_order_says_where_to_open_it(phone, account, pay_code, settings):
    order = factories.a_submitting_order(
        app=pay_code.app, now=timezone.now(), channel="unionpay", client_ip="203.0.113.9",
        expires_at=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    payments.drive_payment(payment_no=the_payment(order).pk, clock=timezone.now)
    settings.CASHIER_SANDBOX = False
    expect_look(phone.open(f"/cashier/{order.cashier_token}"), "outside")
    expect_look(phone.open(f"/cashier/{order.cashier_token}", agent=APP), "ready")
