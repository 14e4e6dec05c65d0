"""The page of one order shows what the server knows, to whoever has its token, and nothing else."""

import json
import re

import pytest
from django.test import Client
from django.utils import timezone

from payments.cashier import orders, wording
from payments.cashier.wording import Look
from payments.states import OrderStatus
from tests.payments.cashier import states

pytestmark = pytest.mark.django_db(transaction=True)

SERVER_LOOKS = [
    "preparing",
    "ready",
    "scan",
    "stale",
    "unknown",
    "failed",
    "closing",
    "closed",
    "expired",
    "paid",
    "late",
]
MAY_CHANGE = {"preparing", "ready", "scan", "stale", "unknown", "closing"}


@pytest.fixture
def reader(settings) -> Client:
    settings.CASHIER_SANDBOX = True
    return Client(headers={"Accept-Language": "en"})


@pytest.mark.parametrize("look", SERVER_LOOKS)
def test_each_state_has_its_look_its_words_and_its_answer_to_polling(reader, look):
    order = states.order_in(look)
    page = reader.get(f"/cashier/{order.cashier_token}").content.decode()
    assert f'data-look="{look}"' in page
    assert wording.named(wording.ORDER_WORDS[Look(look)], channel="wechatpay").title in page
    assert "40.30" in page
    answer = reader.get(f"/cashier/{order.cashier_token}/state").json()
    assert (answer["status"], answer["look"], answer["may_change"]) == (order.status, look, look in MAY_CHANGE)
    assert (answer["pay"] is not None) == (look in {"ready", "scan"}), "only what can be paid has parameters"
    assert bool(answer["sandbox_url"]) == (look in {"ready", "scan"})
    assert bool(answer["paid_at"]) == (look in {"paid", "late"})


def test_every_status_has_a_look_and_every_look_has_words():
    assert set(orders.LOOKS) == set(OrderStatus) - {OrderStatus.PAYING}
    assert set(wording.ORDER_WORDS) == set(Look)


def test_an_order_whose_time_is_over_cannot_be_paid_before_the_sweep_has_come_by(reader):
    now = timezone.now()
    order = states.order_in("ready", expires_at=now)
    answer = reader.get(f"/cashier/{order.cashier_token}/state").json()
    assert (answer["status"], answer["look"], answer["pay"]) == ("PAYING", "closing", None)


def test_the_parameters_are_signed_for_each_question(reader):
    order = states.order_in("ready")
    first, second = (reader.get(f"/cashier/{order.cashier_token}/state").json()["pay"] for _ in range(2))
    assert set(first) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert all(isinstance(value, str) for value in first.values())
    assert first["paySign"] != second["paySign"]


def test_nothing_signed_is_in_the_page(reader):
    page = reader.get(f"/cashier/{states.order_in('ready').cashier_token}").content.decode()
    assert '"paySign":' not in page
    assert "wx-prepay-1" not in page


def test_nothing_of_the_payer_or_of_the_merchants_secrets_is_shown(reader):
    for look in SERVER_LOOKS:
        order = states.order_in(look, **({} if look == "scan" else {"payer_id": "o-secret-payer"}))
        for path in ("", "/state"):
            said = reader.get(f"/cashier/{order.cashier_token}{path}").content.decode()
            for secret in ("o-secret-payer", "s" * 32, "k" * 32, "PRIVATE KEY", order.content_digest):
                assert secret not in said, look


@pytest.mark.parametrize("path", ["", "/state", "/qr.svg"])
def test_an_unknown_token_leads_nowhere(reader, path):
    order = states.order_in("ready")
    for token in ("x" * 43, str(order.order_no), order.out_trade_no, order.cashier_token[:-1]):
        response = reader.get(f"/cashier/{token}{path}")
        assert response.status_code == 404
        if path == "/state":
            assert response.json()["code"] == "NOT_FOUND"
        else:
            assert "Page not found" in response.content.decode()


def test_outside_the_sandbox_there_is_no_stand_in_phone(reader, settings):
    settings.CASHIER_SANDBOX = False
    order = states.order_in("ready")
    assert reader.get(f"/cashier/{order.cashier_token}/state").json()["sandbox_url"] == ""
    assert "Sandbox" not in reader.get(f"/cashier/{order.cashier_token}").content.decode()


def test_the_stand_in_phone_comes_back_to_the_public_address(reader, settings):
    settings.PUBLIC_BASE_URL = "https://pay.example"
    order = states.order_in("ready")
    url = reader.get(f"/cashier/{order.cashier_token}/state").json()["sandbox_url"]
    assert f"redirect=https%3A%2F%2Fpay.example%2Fcashier%2F{order.cashier_token}&lang=en" in url


def test_an_order_to_be_scanned_has_a_picture(reader):
    order = states.order_in("scan")
    response = reader.get(f"/cashier/{order.cashier_token}/qr.svg")
    assert (response.status_code, response["Content-Type"]) == (200, "image/svg+xml")
    assert response.content.startswith(b'<svg xmlns="http://www.w3.org/2000/svg"')
    assert b"style" not in response.content, "the policy allows none"


@pytest.mark.parametrize("look", ["ready", "paid", "closed"])
def test_an_order_not_to_be_scanned_has_no_picture(reader, look):
    assert reader.get(f"/cashier/{states.order_in(look).cashier_token}/qr.svg").status_code == 404


def test_the_way_back_shows_its_host_and_tells_the_merchant_nothing(reader):
    order = states.order_in("paid", return_url="https://shop.example:8443/thanks?o=1&x=<b>")
    page = reader.get(f"/cashier/{order.cashier_token}").content.decode()
    link = re.search(r'<a class="quiet"[^>]*>', page)[0]
    assert 'href="https://shop.example:8443/thanks?o=1&amp;x=&lt;b&gt;"' in link
    assert 'rel="noreferrer noopener"' in link
    assert '<span class="host">shop.example:8443</span>' in page


@pytest.mark.parametrize(
    "url",
    ["", "javascript:alert(1)", "data:text/html,x", "//evil.example", "https://shop.example@evil.example/",
     "https://evil.example\\@shop.example", "https://[", "https://", "https://shop.example:99999/",
     "https://:pw@evil.example/", "https://@evil.example/", "https://a b.example/", "https://a\uff0fb.c/"],
)  # fmt: skip
def test_an_address_that_is_not_a_plain_web_address_is_no_way_back(url):
    assert orders.way_back(url) is None


def test_a_paid_order_is_not_left_by_itself(reader):
    order = states.order_in("paid", return_url="https://shop.example/")
    response = reader.get(f"/cashier/{order.cashier_token}?pay=ok&redirect=https://evil.example&next=//evil.example")
    assert response.status_code == 200
    assert "evil.example/" not in response.content.decode().replace("evil.example&amp;", "")


@pytest.mark.parametrize(("look", "hidden"), [("ready", " hidden"), ("expired", "")])
def test_an_order_from_a_pay_code_can_be_started_again_when_it_is_over(reader, pay_code, look, hidden):
    order = states.order_in(look, app=pay_code.app, pay_code=pay_code)
    page = reader.get(f"/cashier/{order.cashier_token}").content.decode()
    assert f'<a id="again" class="primary" href="/pay/{pay_code.token}"{hidden}>' in page
    assert order.out_trade_no not in page, "a number that only the machine knows helps nobody"
    assert str(order.order_no) in page


def test_an_order_of_the_api_shows_the_number_that_the_merchant_knows(reader):
    order = states.order_in("ready")
    assert order.out_trade_no in reader.get(f"/cashier/{order.cashier_token}").content.decode()


def test_a_refund_is_shown(reader):
    order = states.order_in("paid")
    assert "Refunded" not in reader.get(f"/cashier/{order.cashier_token}").content.decode()
    type(order).objects.filter(pk=order.pk).update(refunded_fen=1_000)
    page = reader.get(f"/cashier/{order.cashier_token}").content.decode()
    assert "<dt>Refunded</dt><dd>¥10.00</dd>" in page


def test_text_of_the_merchant_cannot_break_out_of_the_page(reader):
    order = states.order_in("ready", subject="</script><script>alert(1)</script>")
    page = reader.get(f"/cashier/{order.cashier_token}").content.decode()
    assert "<script>alert" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page


def test_only_reading_is_possible(reader):
    order = states.order_in("ready")
    for path in ("", "/state", "/qr.svg"):
        assert reader.post(f"/cashier/{order.cashier_token}{path}").status_code in {403, 405}


@pytest.mark.parametrize(
    "path", ["/cashier/{order}", "/cashier/{order}/state", "/cashier/nothing", "/cashier/nothing/state"]
)
def test_no_page_is_stored_framed_or_lets_anything_in_from_elsewhere(reader, path):
    response = reader.get(path.format(order=states.order_in("ready").cashier_token))
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["X-Content-Type-Options"] == "nosniff"
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_the_pages_hold_no_inline_script_or_style_and_nothing_from_elsewhere(reader, payers_browser, pay_code):
    order = states.order_in("ready")
    pages = [
        reader.get(f"/cashier/{order.cashier_token}"), payers_browser.get(f"/pay/{pay_code.token}"),
        reader.get("/cashier/nothing"),
    ]  # fmt: skip
    for page in (response.content.decode() for response in pages):
        assert not re.search(r'<script(?! type="module" src="/static/| id="config" type="application/json")', page)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)
        assert not re.search(r'(src|href)="(https?:)?//', page)


def test_the_page_is_read_with_few_queries(reader, django_assert_max_num_queries):
    order = states.order_in("ready")
    reader.get(f"/cashier/{order.cashier_token}/state")  # reads the rate rules, as somebody does once in five seconds
    with django_assert_max_num_queries(2):
        reader.get(f"/cashier/{order.cashier_token}/state")


def test_the_config_of_the_page_is_complete_json(reader):
    page = reader.get(f"/cashier/{states.order_in('unknown').cashier_token}").content.decode()
    config = json.loads(re.search(r'<script id="config" type="application/json">(.*?)</script>', page)[1])
    assert set(config["words"]) == {look.value for look in Look}
    assert config["known"]["look"] == "unknown"
