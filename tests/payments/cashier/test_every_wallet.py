"""One printed code for every wallet: the app that scans it decides which of the merchant's channels is paid."""

import json
import re
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from openplatform.models import App
from payments.models import Order, PayCode
from tests import factories
from tests.payments.cashier.conftest import payer_cookie

pytestmark = pytest.mark.django_db(transaction=True)
WECHAT, ALIPAY = "Mozilla/5.0 MicroMessenger/8.0.49", "Mozilla/5.0 AlipayClient/10.5.96"


@pytest.fixture
def alipay(account):
    return factories.an_alipay_account(account.merchant)


@pytest.fixture
def every_wallet(account, alipay):
    app = App.register(merchant=account.merchant, name="shop", now=timezone.now())
    return PayCode.issue(app=app, channel="", label="Counter 1", now=timezone.now())


def config_of(page):
    return json.loads(re.search(r'<script id="config" type="application/json">(.*?)</script>', page)[1])


@pytest.mark.parametrize(("agent", "where"), [(WECHAT, "/connect/oauth2/authorize"), (ALIPAY, "/oauth")])
def test_the_app_that_scans_it_decides_who_is_asked(stranger, every_wallet, agent, where):
    response = stranger.get(f"/pay/{every_wallet.token}", headers={"User-Agent": agent})
    assert (response.status_code, urlsplit(response["Location"]).path) == (302, where)


def test_who_is_in_one_app_cannot_choose_another(stranger, every_wallet):
    response = stranger.get(f"/pay/{every_wallet.token}?wallet=alipay", headers={"User-Agent": WECHAT})
    assert urlsplit(response["Location"]).path == "/connect/oauth2/authorize"


def test_the_order_is_made_at_the_channel_of_the_app(stranger, every_wallet, alipay):
    stranger.cookies.load({name: morsel.value for name, morsel in payer_cookie(alipay, "2088-buyer").cookies.items()})
    page = stranger.get(f"/pay/{every_wallet.token}", headers={"User-Agent": ALIPAY}).content.decode()
    config = config_of(page)
    assert config["orders_url"] == f"/pay/{every_wallet.token}/orders?wallet=alipay"
    body = json.dumps({"amount": "40.3", "attempt": config["attempt"]})
    answer = stranger.post(
        config["orders_url"], data=body, content_type="application/json",
        headers={"X-CSRFToken": config["csrf_token"]},
    )  # fmt: skip
    assert answer.status_code == 201
    order = Order.objects.get()
    assert (order.channel, order.amount_fen, order.pay_code_id) == ("alipay", 4030, every_wallet.token)


@pytest.mark.parametrize("wallet", ["wechatpay", "unionpay", "nonsense", ""])
def test_no_order_is_made_at_a_channel_where_nobody_said_who_pays(stranger, every_wallet, alipay, wallet):
    stranger.cookies.load({name: morsel.value for name, morsel in payer_cookie(alipay, "2088-buyer").cookies.items()})
    config = config_of(stranger.get(f"/pay/{every_wallet.token}?wallet=alipay").content.decode())
    answer = stranger.post(
        f"/pay/{every_wallet.token}/orders?wallet={wallet}",
        data=json.dumps({"amount": "40.3", "attempt": config["attempt"]}), content_type="application/json",
        headers={"X-CSRFToken": config["csrf_token"]},
    )  # fmt: skip
    assert answer.status_code in {401, 503}
    assert not Order.objects.exists()


def test_the_way_back_from_the_channel_keeps_the_choice(stranger, every_wallet, outside):
    asked = stranger.get(f"/pay/{every_wallet.token}?wallet=wechatpay")
    state = re.search(r"[?&]state=([0-9a-f]+)", asked["Location"])[1]
    outside.codes["c1"] = "o-payer-1"
    back = stranger.get("/pay/oauth", {"code": "c1", "state": state})
    assert back["Location"] == f"/pay/{every_wallet.token}?wallet=wechatpay"
    assert 'inputmode="decimal"' in stranger.get(back["Location"]).content.decode()


def test_outside_every_app_a_real_code_says_in_which_ones_it_is_to_be_opened(stranger, every_wallet, settings):
    settings.CASHIER_SANDBOX = False
    page = stranger.get(f"/pay/{every_wallet.token}", headers={"Accept-Language": "en"})
    assert page.status_code == 403
    assert "WeChat / Alipay" in page.content.decode()


def test_a_code_of_one_channel_takes_no_other(stranger, account, alipay):
    app = App.register(merchant=account.merchant, name="shop", now=timezone.now())
    pay_code = PayCode.issue(app=app, channel="wechatpay", label="Counter 1", now=timezone.now())
    response = stranger.get(f"/pay/{pay_code.token}?wallet=alipay", headers={"User-Agent": ALIPAY})
    assert urlsplit(response["Location"]).path == "/connect/oauth2/authorize"


def test_in_the_sandbox_a_person_chooses(phone, every_wallet):
    page = phone.open(f"/pay/{every_wallet.token}", language="en")
    expect(page.get_by_role("link", name="WeChat Pay", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Alipay", exact=True)).to_be_visible()
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("link", name="支付宝")).to_be_visible()
