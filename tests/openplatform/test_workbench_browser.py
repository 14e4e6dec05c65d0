"""The workbench in a real browser: what an integrator sees, in both languages, and what never leaves the browser."""

import pytest
from playwright.sync_api import expect

from openplatform.workbench.mistakes import Parts
from tests.openplatform import harness
from tests.payments.cashier.phone import Phone

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
TARGET = "/openapi/v1/orders"
BODY = '{"subject":"<b>两杯</b>","amount":40.3}'
PRIVATE = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----"


@pytest.fixture
def desk(new_context, live_server, settings):
    """A browser that complains of script errors, policy violations and requests elsewhere; wide, unlike the phone."""
    settings.TEST_PLATFORM = True
    desk = Phone(new_context, base_url=live_server.url)
    yield desk
    assert desk.complaints == []


@pytest.fixture
def caller(transactional_db):
    return harness.Caller(harness.an_app())


def opened(desk, language="en"):
    return desk.open("/workbench/", language=language)


def fill(page, **fields):
    for name, value in fields.items():
        field = page.locator(f"[name={name}]")
        field.select_option(value) if name.endswith("_form") or name == "method" else field.fill(value)
    page.locator("#check").click()


@pytest.mark.parametrize(
    ("language", "right", "wrong"),
    [("en", "The signature is right", "The signature is wrong"), ("zh-CN", "签名正确", "签名错误")],
)
def test_a_right_and_a_wrong_signature_are_told_apart_in_both_languages(desk, caller, language, right, wrong):
    page = opened(desk, language)
    good = caller.authorization("POST", TARGET, BODY.encode())
    fill(page, method="POST", target=TARGET, authorization=f"Authorization: {good}", body=BODY)
    expect(page.locator("#verdict")).to_have_text(right)
    expect(page.locator("#checks [data-state=bad]")).to_have_count(0)
    expect(page.locator("#message b.lf")).to_have_count(5)
    expect(page.locator("#message")).to_contain_text("<b>两杯</b>")
    fill(page, body=BODY.replace("40.3", "40.4"))
    expect(page.locator("#verdict")).to_have_text(wrong)
    expect(page.locator("#checks [data-name=signature]")).to_have_attribute("data-state", "bad")


def test_the_first_differing_byte_is_marked_on_both_sides_and_its_cause_is_told(desk, caller):
    page = opened(desk)
    params = caller.params("POST", TARGET, BODY.encode())
    message = Parts(
        method="POST", target=TARGET, timestamp=params["timestamp"], nonce=params["nonce_str"], body=BODY.encode()
    ).message()
    fill(
        page, method="POST", target=TARGET, authorization=harness.header(params), body=BODY,
        own=message.replace(b"\n", b"\r\n").hex(), own_form="hex",
    )  # fmt: skip
    box = page.locator(".difference")
    expect(box.locator(".where")).to_have_text("First difference: byte 4, in line 1 (the method)")
    expect(box.locator(".cause")).to_contain_text("CR LF")
    expect(box.locator("[data-side=ours] .marked")).to_have_text("LF")
    expect(box.locator("[data-side=theirs] .marked")).to_have_text("CR")
    fill(page, own=message.decode(), own_form="text")
    expect(page.locator(".difference .where")).to_have_text("Your string is ours, byte for byte.")


def test_a_signature_of_a_string_that_people_sign_by_mistake_is_recognised(desk, caller):
    page = opened(desk)
    wrong = caller.authorization("GET", "/openapi/v1/notifications")
    fill(page, method="GET", target="/openapi/v1/notifications?limit=5", authorization=wrong, body="")
    expect(page.locator("#checks [data-name=signature]")).to_contain_text("another string")
    expect(page.locator(".cause")).to_contain_text("The query was not signed")
    expect(page.locator("[data-side=ours] mark")).to_have_text("?")


def test_a_private_key_does_not_leave_the_browser_and_is_cleared(desk):
    page = opened(desk)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    fill(page, target=TARGET, own=PRIVATE)
    expect(page.locator("#problem")).to_contain_text("PRIVATE key")
    expect(page.locator("[name=own]")).to_have_value("")
    assert [url for url in sent if "explain" in url] == []
    assert "MIIEvQ" not in page.content()


def test_markup_in_what_was_pasted_stays_text(desk):
    page = opened(desk)
    evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    page.locator("#parts summary").click()
    fill(
        page,
        target=f"/openapi/v1/{evil}",
        timestamp="1780000000",
        nonce="n" * 16,
        app_id=evil[:40],
        body=evil,
        own=evil,
    )
    expect(page.locator("#message")).to_contain_text("<script>")
    expect(page.locator("#result img, #result script")).to_have_count(0)
    assert "fenpay" in page.title()


def test_the_example_shows_a_mistake(desk):
    page = opened(desk)
    page.locator("#example").click()
    expect(page.locator(".cause")).to_contain_text("CR LF")


def test_the_language_can_be_switched(desk):
    page = opened(desk, "zh-CN")
    expect(page.locator("h1")).to_have_text("签名调试台")
    page.locator(".switch").click()
    expect(page.locator("h1")).to_have_text("Signature workbench")


def test_what_the_server_refuses_is_said(desk):
    page = opened(desk)
    fill(page, target=TARGET, body="zz", body_form="hex")
    expect(page.locator("#problem")).to_contain_text("is not hex")
