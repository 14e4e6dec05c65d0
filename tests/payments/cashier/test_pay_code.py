"""What was typed becomes an order: the literal text, checked by the server, once an attempt."""

import json
import re

import pytest
from django.conf import settings as django_settings

from payments.cashier import wording
from payments.models import Order, Payment
from payments.money import AmountError

pytestmark = pytest.mark.django_db(transaction=True)

# Every reason, with something that a payer could type and what the page then says.
AMOUNTS = {
    "AMOUNT_MALFORMED": ("４０．３", "Enter the amount in yuan, in plain digits, for example 40.3"),
    "AMOUNT_HAS_EXPONENT": ("4e1", "Write the amount out in full, without an exponent."),
    "AMOUNT_NOT_FINITE": ("NaN", "The amount must be a number."),
    "AMOUNT_NEGATIVE": ("-1", "The amount cannot be negative."),
    "AMOUNT_NEGATIVE_ZERO": ("-0", "The amount cannot be negative."),
    "AMOUNT_ZERO": ("0.00", "The amount must be at least 0.01 yuan."),
    "AMOUNT_TOO_LARGE": ("10000000.01", "The amount can be at most 10000000.00 yuan."),
    "AMOUNT_HAS_PART_OF_FEN": ("40.305", "At most two digits after the decimal point."),
}


def page_config(browser, pay_code) -> dict:
    """What the page's script is told."""
    page = browser.get(f"/pay/{pay_code.token}").content.decode()
    return json.loads(re.search(r'<script id="config" type="application/json">(.*?)</script>', page)[1])


def send(browser, pay_code, config, fields, **headers):
    return browser.post(
        f"/pay/{pay_code.token}/orders", data=json.dumps(fields), content_type="application/json",
        headers={"X-CSRFToken": config["csrf_token"], "Accept-Language": "en"} | headers,
    )  # fmt: skip


@pytest.fixture
def config(payers_browser, pay_code) -> dict:
    return page_config(payers_browser, pay_code)


def test_the_page_names_the_merchant_and_the_counter_and_escapes_both(payers_browser, pay_code):
    page = payers_browser.get(f"/pay/{pay_code.token}").content.decode()
    assert "Fen &amp; Sons" in page
    assert "Counter &lt;1&gt;" in page
    assert 'inputmode="decimal"' in page


def test_what_was_typed_becomes_an_order_of_this_payer(payers_browser, pay_code, config):
    response = send(payers_browser, pay_code, config, {"amount": "40.3", "attempt": config["attempt"]})
    order = Order.objects.get()
    assert response.status_code == 201
    assert response.json() == {"cashier_url": f"/cashier/{order.cashier_token}"}
    assert (order.amount_fen, order.subject, order.pay_code_id) == (4030, "Counter <1>", pay_code.token)
    assert Payment.objects.get(order=order).payer_id == "o-payer-1"


def test_a_second_tap_is_the_same_order(payers_browser, pay_code, config):
    fields = {"amount": "40.3", "attempt": config["attempt"]}
    first, second = (send(payers_browser, pay_code, config, fields).json() for _ in range(2))
    assert first == second
    assert Order.objects.count() == 1


def test_the_same_amount_written_otherwise_is_the_same_order(payers_browser, pay_code, config):
    for amount in ("40.3", "40.30"):
        assert (
            send(payers_browser, pay_code, config, {"amount": amount, "attempt": config["attempt"]}).status_code == 201
        )
    assert Order.objects.count() == 1


def test_another_amount_in_the_same_attempt_is_refused_with_a_new_attempt_to_go_on_with(
    payers_browser, pay_code, config
):
    send(payers_browser, pay_code, config, {"amount": "40.3", "attempt": config["attempt"]})
    response = send(payers_browser, pay_code, config, {"amount": "4.03", "attempt": config["attempt"]})
    problem = response.json()
    assert (response.status_code, problem["code"]) == (409, "ATTEMPT_USED")
    assert problem["detail"] == "You changed the amount after tapping pay. Check it and tap once more."
    again = send(payers_browser, pay_code, config, {"amount": "4.03", "attempt": problem["attempt"]})
    assert again.status_code == 201
    assert sorted(Order.objects.values_list("amount_fen", flat=True)) == [403, 4030]


def test_each_page_has_an_attempt_of_its_own(payers_browser, pay_code):
    first, second = (page_config(payers_browser, pay_code)["attempt"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("reason", AMOUNTS)
def test_each_wrong_amount_is_refused_by_its_name_and_in_words(payers_browser, pay_code, config, reason):
    amount, words = AMOUNTS[reason]
    response = send(payers_browser, pay_code, config, {"amount": amount, "attempt": config["attempt"]})
    problem = response.json()
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert (problem["code"], problem["reason"], problem["detail"]) == ("PARAM_ERROR", reason, words)
    assert not Order.objects.exists()


def test_no_reason_is_without_words():
    reasons = {AmountError.reason} | {error.reason for error in AmountError.__subclasses__()}
    assert set(wording.AMOUNT_WORDS) == reasons == set(AMOUNTS)


def test_the_words_are_in_the_payers_language(payers_browser, pay_code, config):
    fields = {"amount": "0", "attempt": config["attempt"]}
    response = send(payers_browser, pay_code, config, fields, **{"Accept-Language": "zh-CN"})
    assert response.json()["detail"] == "金额至少为 0.01 元。"


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": 40.3},
        {"amount": None},
        {},
        {"amount": "40.3", "attempt": "short"},
        {"amount": "40.3", "attempt": "A" * 24},
        {"amount": "40.3", "attempt": "0" * 25},
        {"amount": "40.3", "payer": "o-other"},
        {"amount": "1" * 2_000},
    ],
    ids=["a float", "null", "nothing", "short attempt", "odd attempt", "long attempt", "one field more", "too long"],
)
def test_what_our_page_would_not_send_is_refused(payers_browser, pay_code, config, fields):
    response = send(payers_browser, pay_code, config, {"attempt": config["attempt"]} | fields if fields else {})
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")
    assert not Order.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 1_000, b"\xff"])
def test_what_is_not_json_is_refused(payers_browser, pay_code, config, body):
    response = payers_browser.post(
        f"/pay/{pay_code.token}/orders", data=body, content_type="application/json",
        headers={"X-CSRFToken": config["csrf_token"]},
    )  # fmt: skip
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("token", ["", "x" * 64])
def test_without_the_csrf_token_nothing_happens_and_the_refusal_is_a_problem(payers_browser, pay_code, config, token):
    fields = {"amount": "40.3", "attempt": config["attempt"]}
    response = send(payers_browser, pay_code, config | {"csrf_token": token}, fields)
    assert (response.status_code, response.json()["code"]) == (403, "CSRF_FAILED")
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("origin", "status"), [("https://testserver", 201), ("https://evil.example", 403), ("null", 403)]
)
def test_over_https_only_our_own_page_can_order(payers_browser, pay_code, config, origin, status):
    response = payers_browser.post(
        f"/pay/{pay_code.token}/orders", data=json.dumps({"amount": "40.3", "attempt": config["attempt"]}),
        content_type="application/json", secure=True, headers={"X-CSRFToken": config["csrf_token"], "Origin": origin},
    )  # fmt: skip
    assert response.status_code == status
    assert Order.objects.exists() == (status == 201)


def test_behind_a_proxy_that_ends_tls_the_public_origin_is_ours(payers_browser, pay_code, config):
    assert django_settings.CSRF_TRUSTED_ORIGINS == [django_settings.PUBLIC_BASE_URL]
    fields = {"amount": "40.3", "attempt": config["attempt"]}
    assert send(payers_browser, pay_code, config, fields, Origin=django_settings.PUBLIC_BASE_URL).status_code == 201


def test_a_browser_that_has_not_said_who_it_is_cannot_order(payers_browser, pay_code, account, config):
    del payers_browser.cookies[f"payer_{account.pk}"]
    response = send(payers_browser, pay_code, config, {"amount": "40.3", "attempt": config["attempt"]})
    assert (response.status_code, response.json()["code"]) == (401, "PAYER_UNKNOWN")
    assert not Order.objects.exists()


def test_somebody_elses_attempt_does_not_lead_to_their_order(payers_browser, pay_code, config, known_as):
    send(payers_browser, pay_code, config, {"amount": "40.3", "attempt": config["attempt"]})
    other = known_as("o-payer-2")
    theirs = page_config(other, pay_code)
    response = send(other, pay_code, theirs, {"amount": "40.3", "attempt": config["attempt"]})
    assert response.status_code == 409
    assert "cashier_url" not in response.json()


def test_a_code_that_was_taken_back_is_a_page_that_says_so(payers_browser, pay_code, config):
    type(pay_code).objects.filter(pk=pay_code.pk).update(is_active=False)
    page = payers_browser.get(f"/pay/{pay_code.token}", headers={"Accept-Language": "en"})
    assert (page.status_code, "Page not found" in page.content.decode()) == (404, True)
    response = send(payers_browser, pay_code, config, {"amount": "40.3", "attempt": config["attempt"]})
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


def test_a_merchant_without_an_active_account_cannot_be_paid(payers_browser, pay_code, account, config):
    type(account).objects.filter(pk=account.pk).update(is_active=False)
    page = payers_browser.get(f"/pay/{pay_code.token}", headers={"Accept-Language": "en"})
    assert (page.status_code, "Payment is not possible at the moment" in page.content.decode()) == (503, True)
    response = send(payers_browser, pay_code, config, {"amount": "40.3", "attempt": config["attempt"]})
    assert (response.status_code, response.json()["code"]) == (503, "CHANNEL_NOT_AVAILABLE")


@pytest.mark.parametrize("missing", ["oauth_authorize_url", "oauth_api_base"])
def test_an_account_that_cannot_ask_who_pays_is_not_offered(stranger, pay_code, account, missing):
    del account.settings[missing]
    type(account).objects.filter(pk=account.pk).update(settings=account.settings)
    page = stranger.get(f"/pay/{pay_code.token}", headers={"Accept-Language": "en"})
    assert (page.status_code, "Payment is not possible at the moment" in page.content.decode()) == (503, True)


def test_an_order_is_placed_by_post_only(payers_browser, pay_code):
    assert payers_browser.get(f"/pay/{pay_code.token}/orders").status_code == 405


def test_the_sandbox_says_that_it_is_one(payers_browser, pay_code, settings):
    assert "沙箱" in payers_browser.get(f"/pay/{pay_code.token}").content.decode()
    settings.CASHIER_SANDBOX = False
    assert "沙箱" not in payers_browser.get(f"/pay/{pay_code.token}").content.decode()
