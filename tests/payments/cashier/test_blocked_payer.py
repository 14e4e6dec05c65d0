"""A blocked payer meets a page that a person can read, and that does not say why."""

import pytest
from django.utils import timezone

from openplatform.blocks import lists
from openplatform.models import BlockEntry
from payments.cashier import wording
from payments.models import Order, PayCode
from tests.payments.cashier.test_pay_code import page_config, send

pytestmark = pytest.mark.django_db(transaction=True)


def block(kind, text):
    BlockEntry.block(kind=kind, text=text, reason="a secret reason", by="olga", now=timezone.now())
    lists.forget()


@pytest.mark.parametrize(
    ("language", "told"), [("en", "This payment is not possible"), ("zh-hans", "此付款无法进行")], ids=["en", "zh"]
)
def test_a_blocked_payer_is_told_before_typing_anything(payers_browser, known_as, pay_code, language, told):
    block("payer_hash", "o-payer-1")
    response = payers_browser.get(f"/pay/{pay_code.token}", headers={"Accept-Language": language})
    page = response.content.decode()
    assert response.status_code == 403
    assert told in page
    for word in ("secret", "BLACKLISTED", "blacklist", "黑名单"):
        assert word not in page
    assert known_as("o-payer-2").get(f"/pay/{pay_code.token}").status_code == 200


def test_a_payer_who_is_blocked_while_typing_gets_no_order(payers_browser, pay_code):
    config = page_config(payers_browser, pay_code)
    block("payer_hash", "o-payer-1")
    response = send(payers_browser, pay_code, config, {"amount": "40.3", "attempt": config["attempt"]})
    assert (response.status_code, response.json()["code"]) == (403, "BLACKLISTED")
    assert response.json()["detail"] == str(wording.REFUSED.title)
    assert not Order.objects.exists()


def test_nobody_pays_by_a_code_whose_host_is_blocked(known_as, pay_code):
    told = PayCode.issue(
        app=pay_code.app, channel="wechatpay", label="x", notify_url="https://shop.example.com/n", now=timezone.now()
    )
    browser = known_as("o-payer-2")
    assert browser.get(f"/pay/{told.token}").status_code == 200
    block("notify_host", "shop.example.com")
    assert browser.get(f"/pay/{told.token}").status_code == 403
    assert browser.get(f"/pay/{pay_code.token}").status_code == 200
