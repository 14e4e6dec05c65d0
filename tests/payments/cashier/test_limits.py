"""Payers' pages are limited per address, generously: a shop's payers share one. Channels are never limited."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from openplatform.caches import clear_all
from openplatform.models import RateRule
from openplatform.models.limits import RuleTerms
from payments.models import Order
from tests.payments.cashier import states
from tests.payments.cashier.test_pay_code import page_config, send

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def limit(transactional_db):
    """`limit(door, n)`: an address may come to that door n times a day."""
    RateRule.objects.all().delete()

    def limit(door, count):
        clear_all()
        terms = RuleTerms(scope="ip", route=door, algorithm="fixed", limit=count, period_s=86_400)
        RateRule.add(terms, by="tester", now=timezone.now())

    return limit


def test_a_page_is_refused_with_words_for_a_payer_and_a_time(limit):
    order = states.order_in("paid")
    limit("cashier", 1)
    browser = Client(headers={"Accept-Language": "en"})
    assert browser.get(f"/cashier/{order.cashier_token}").status_code == 200
    answer = browser.get(f"/cashier/{order.cashier_token}")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Cache-Control"] == "no-store"
    assert "One moment, please" in answer.content.decode()
    chinese = browser.get(f"/cashier/{order.cashier_token}", headers={"Accept-Language": "zh-CN"})
    assert "请稍候" in chinese.content.decode()
    elsewhere = browser.get(f"/cashier/{order.cashier_token}", REMOTE_ADDR="203.0.113.77")
    assert elsewhere.status_code == 200


@pytest.mark.parametrize("part", ["/state", "/qr.svg", ""])
def test_every_address_of_an_order_counts(limit, part):
    order = states.order_in("paid")
    limit("cashier", 2)
    seen = [Client().get(f"/cashier/{order.cashier_token}{part}").status_code for _ in range(3)]
    assert seen[2] == 429
    assert 429 not in seen[:2]


def test_polling_is_told_by_a_problem(limit):
    order = states.order_in("paid")
    limit("cashier", 1)
    Client().get(f"/cashier/{order.cashier_token}/state")
    answer = Client().get(f"/cashier/{order.cashier_token}/state", headers={"Accept-Language": "en"})
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert "Try again in a few seconds" in answer.json()["detail"]
    assert "charged" not in answer.json()["detail"], "this order is paid"
    assert int(answer.headers["Retry-After"]) >= 1


def test_orders_by_code_have_a_limit_of_their_own_and_one_that_is_refused_makes_no_order(
    limit, payers_browser, pay_code
):
    limit("cashier.orders", 1)
    for status in (201, 429):
        config = page_config(payers_browser, pay_code)
        answer = send(payers_browser, pay_code, config, {"amount": "1", "attempt": config["attempt"]})
        assert answer.status_code == status
    assert Order.objects.count() == 1
    assert json.loads(answer.content)["code"] == "RATE_LIMITED"


def test_asking_the_channel_who_a_payer_is_has_a_limit_of_its_own(limit, outside):
    limit("cashier.identify", 2)
    seen = [Client().get("/pay/oauth?code=guess&state=guess").status_code for _ in range(3)]
    assert seen == [403, 403, 429]


def test_a_callback_is_taken_whatever_the_limits_of_its_address_are(limit):
    from tests.payments.api.test_callbacks import tell_paid

    order = states.order_in("ready")
    for door in ("openapi", "cashier"):
        limit(door, 1)
    for path in ("/openapi/v1/orders/1", f"/cashier/{order.cashier_token}"):
        assert [Client().get(path).status_code for _ in range(2)][-1] == 429
    forged = [Client().post(f"/callbacks/wechatpay/{n}", b"{}", content_type="application/json") for n in range(1, 60)]
    assert 429 not in {answer.status_code for answer in forged}
    assert tell_paid(order).status_code in {200, 204}
    order.refresh_from_db()
    assert order.status == "SUCCEEDED"
