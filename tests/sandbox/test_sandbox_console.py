"""The control page in a real browser: signed in, it pays, refuses, resends, breaks, advances and resets."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import Caller, Receiver
from tests.sandboxes import RunningSandbox, wait_until


@pytest.fixture
def desk(browser: Browser, running_sandbox: RunningSandbox) -> Iterator[Page]:
    """Signed in. Whatever the browser complained about fails the test at its end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(f"{running_sandbox.base_url}/_sandbox/")
    page.fill("#token", running_sandbox.identity["control_token"])
    page.click("text=Sign in")
    yield page
    context.close()
    # A form that is refused is answered 400, which the browser mentions.
    assert [text for text in complaints if "status of 400" not in text] == []


def open_tab(page: Page, name: str) -> None:
    page.locator("nav").get_by_text(name, exact=True).click()


def state(caller: Caller, number: str) -> str:
    return str(caller.query(number).json()["trade_state"])


@pytest.mark.browser
def test_orders_of_both_channels_are_listed_paid_and_expired(desk: Page, caller: Caller, alipay: AlipayCaller) -> None:
    order, trade = caller.order(), alipay.order()
    caller.create(order, product="native")
    alipay.create(trade)
    open_tab(desk, "Orders")
    row = desk.locator("tr", has_text=order["out_trade_no"])
    expect(row).to_contain_text("¥40.30")
    row.get_by_text("Pay", exact=True).click()
    assert state(caller, order["out_trade_no"]) == "SUCCESS"
    desk.locator("tr", has_text=trade["out_trade_no"]).get_by_text("Expire").click()
    assert alipay.query(trade["out_trade_no"])["trade_status"] == "TRADE_CLOSED"
    desk.get_by_text(trade["out_trade_no"]).click()
    desk.get_by_text("Pay although it is closed").click()
    assert alipay.query(trade["out_trade_no"])["trade_status"] == "TRADE_SUCCESS"


@pytest.mark.browser
def test_a_notification_is_shown_with_its_attempts_and_sent_again(
    desk: Page, caller: Caller, receiver: Receiver
) -> None:
    number = caller.paid_order()["out_trade_no"]
    wait_until(lambda: caller.sandbox.control.notifications(number=number)[0]["state"] == "DELIVERED")
    open_tab(desk, "Notifications")
    card = desk.locator("article", has_text=number)
    expect(card).to_contain_text("204")
    card.get_by_text("Send again").click()
    wait_until(lambda: len(receiver.got) == 2)


@pytest.mark.browser
def test_faults_are_switched_on_and_off(desk: Page, caller: Caller) -> None:
    open_tab(desk, "Faults")
    desk.select_option("select[name=operation]", "query")
    desk.select_option("select[name=fault]", "unknown_but_done")
    desk.fill("input[name=params]", "{")
    desk.get_by_text("Add", exact=True).click()
    expect(desk.get_by_role("alert")).to_be_visible()
    desk.fill("input[name=params]", "")
    desk.get_by_text("Add", exact=True).click()
    assert caller.query("P404404").status_code == 500
    desk.get_by_text("Remove", exact=True).click()
    assert caller.query("P404404").status_code == 404


@pytest.mark.browser
def test_the_clock_advances_and_the_keys_rotate(desk: Page, caller: Caller) -> None:
    open_tab(desk, "Clock")
    desk.get_by_text("+ 2 hours").click()
    assert caller.sandbox.control.get("clock")["offset_s"] == 7200
    open_tab(desk, "Keys")
    expect(desk.locator("main")).to_contain_text(caller.identity["platform_public_key_id"])
    assert "PRIVATE" not in desk.content()
    desk.select_option("select[name=notify_key]", "certificate")
    desk.get_by_role("button", name="Save").click()  # the certificates beside it may spell anything
    assert caller.sandbox.control.get("options")["notify_key"] == "certificate"


@pytest.mark.browser
def test_a_refused_signature_shows_the_text_that_should_have_been_signed(desk: Page, caller: Caller) -> None:
    caller.create(caller.order(out_trade_no="P12345678"), signature="AAAA")
    open_tab(desk, "Calls")
    row = desk.locator("tr", has_text="SIGN_ERROR")
    row.locator("a").click()
    expect(desk.locator(".warn pre")).to_contain_text("POST")
    expect(desk.locator(".warn pre")).to_contain_text("P12345678")


@pytest.mark.browser
def test_a_reset_wants_its_box_ticked(desk: Page, caller: Caller) -> None:
    caller.paid_order()
    open_tab(desk, "Settings")
    desk.fill("input[name=seed]", "77")
    desk.locator(".danger button").click()
    assert len(caller.sandbox.control.get("orders")) == 1
    desk.goto(f"{caller.sandbox.base_url}/_sandbox/ui/settings?lang=zh")
    expect(desk.locator("h1")).to_have_text("设置")
    desk.fill("input[name=seed]", "77")
    desk.check("input[name=sure]")
    desk.locator(".danger button").click()
    wait_until(lambda: caller.sandbox.control.get("orders") == [])
    assert caller.sandbox.control.get("options")["seed"] == 77


PAGES = ("orders", "notifications", "calls", "faults", "clock", "keys", "settings")


@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_a_page_without_signing_in(running_sandbox: RunningSandbox, page: str) -> None:
    answer = requests.get(f"{running_sandbox.base_url}/_sandbox/ui/{page}", allow_redirects=False, timeout=5)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/_sandbox/login")


def signed_in(sandbox: RunningSandbox, token: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.post(f"{sandbox.base_url}/_sandbox/login", data={"token": token}, timeout=5)
    return session


def test_a_wrong_token_opens_nothing(running_sandbox: RunningSandbox) -> None:
    with signed_in(running_sandbox, "wrong") as session:
        assert session.cookies.get_dict() == {}


def test_a_form_from_another_site_changes_nothing(running_sandbox: RunningSandbox) -> None:
    base = f"{running_sandbox.base_url}/_sandbox/ui"
    with signed_in(running_sandbox, running_sandbox.identity["control_token"]) as session:
        assert session.get(f"{base}/clock", timeout=5).status_code == 200
        for form in ({}, {"form": "x"}):
            answer = session.post(f"{base}/clock", data={"step": "60", **form}, timeout=5)
            assert answer.status_code == 403
    assert running_sandbox.control.get("clock")["offset_s"] == 0
