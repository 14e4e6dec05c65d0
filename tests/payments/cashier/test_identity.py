"""Who pays: the way through the channel and back, for this browser and this account only."""

import re
import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from django.test import Client
from django.utils import timezone

from openplatform import store
from openplatform.models import App, Merchant
from payments.cashier import once, payer
from payments.models import PayCode
from payments.operations.cashier import PayerUnknown
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def leave_for_the_channel(browser: Client, pay_code: PayCode) -> dict[str, str]:
    """Open the pay code and return what the channel is told."""
    response = browser.get(f"/pay/{pay_code.token}")
    assert response.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}


def test_a_browser_that_has_not_said_who_it_is_is_sent_through_the_channel(stranger, pay_code, outside):
    response = stranger.get(f"/pay/{pay_code.token}")
    assert response.status_code == 302
    where = urlsplit(response["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{outside.base}/connect/oauth2/authorize"
    asked = parse_qs(where.query)
    assert asked["redirect_uri"] == ["http://127.0.0.1:8000/pay/oauth"]
    assert re.fullmatch(r"[0-9a-zA-Z]{1,128}", asked["state"][0]), "WeChat takes letters and digits only, at most 128"
    cookie = response.cookies["pay_browser"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"], cookie["path"]) == (True, "Lax", 600, "/pay/")


def test_the_cookies_are_for_https_only_where_the_site_is(stranger, pay_code, settings):
    settings.SESSION_COOKIE_SECURE = True
    assert stranger.get(f"/pay/{pay_code.token}").cookies["__Secure-pay_browser"]["secure"] is True


def test_where_the_site_is_https_a_cookie_that_plain_http_could_have_set_counts_as_none(
    stranger, pay_code, outside, account, settings
):
    settings.SESSION_COOKIE_SECURE = True
    outside.codes["c1"] = "o-payer-7"
    state = leave_for_the_channel(stranger, pay_code)["state"]
    cookies = stranger.get("/pay/oauth", {"code": "c1", "state": state}).cookies
    assert list(cookies) == [f"__Secure-payer_{account.pk}"]
    assert stranger.get(f"/pay/{pay_code.token}").status_code == 200
    planted = Client()
    planted.cookies[f"payer_{account.pk}"] = cookies[f"__Secure-payer_{account.pk}"].value
    planted.cookies["pay_browser"] = stranger.cookies["__Secure-pay_browser"].value
    assert planted.get(f"/pay/{pay_code.token}").status_code == 302
    assert planted.get("/pay/oauth", {"code": "c1", "state": state}).status_code == 403


def test_coming_back_with_a_code_leads_to_the_amount_and_leaves_no_code_behind(stranger, pay_code, outside, account):
    outside.codes["c1"] = "o-payer-7"
    state = leave_for_the_channel(stranger, pay_code)["state"]
    response = stranger.get("/pay/oauth", {"code": "c1", "state": state})
    assert (response.status_code, response["Location"]) == (302, f"/pay/{pay_code.token}")
    cookie = response.cookies[f"payer_{account.pk}"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"], cookie["path"]) == (True, "Lax", 43200, "/pay/")
    page = stranger.get(f"/pay/{pay_code.token}")
    assert page.status_code == 200
    assert "o-payer-7" not in page.content.decode(), "the payer's id is nobody's business, not even on its own screen"


def test_the_channel_may_send_the_browser_back_twice_with_one_code(stranger, pay_code, outside, account):
    outside.codes["c1"] = "o-payer-7"
    state = leave_for_the_channel(stranger, pay_code)["state"]
    stranger.get("/pay/oauth", {"code": "c1", "state": state})
    del stranger.cookies[f"payer_{account.pk}"]  # the first answer never reached the browser
    response = stranger.get("/pay/oauth", {"code": "c1", "state": state})
    assert response.status_code == 302
    assert stranger.get(f"/pay/{pay_code.token}").status_code == 200
    assert outside.asked == ["c1"]


def test_two_calls_at_once_with_one_code_both_learn_the_payer():
    calls, results = [], []
    barrier = threading.Barrier(2)

    def exchange() -> str:
        calls.append(1)
        threading.Event().wait(0.3)
        return "o-payer-7"

    def come_back() -> None:
        barrier.wait()
        results.append(once.exchange_once(code="c-at-once", scope="b", exchange=exchange))

    threads = [threading.Thread(target=come_back) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["o-payer-7", "o-payer-7"]
    assert len(calls) == 1


def test_a_kept_code_helps_no_other_browser():
    once.exchange_once(code="c-mine", scope="mine", exchange=lambda: "o-payer-7")

    def refused() -> str:
        raise PayerUnknown

    with pytest.raises(PayerUnknown):
        once.exchange_once(code="c-mine", scope="another", exchange=refused)


def test_a_failed_exchange_is_not_kept():
    answers = iter([PayerUnknown(), "o-payer-7"])

    def exchange() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(PayerUnknown):
        once.exchange_once(code="c-again", scope="b", exchange=exchange)
    assert once.exchange_once(code="c-again", scope="b", exchange=exchange) == "o-payer-7"


def test_without_the_store_the_payer_is_found_all_the_same(stranger, pay_code, outside, settings):
    settings.REDIS_URL = "unix:///nowhere/at-all.sock"
    outside.codes["c1"] = "o-payer-7"
    state = leave_for_the_channel(stranger, pay_code)["state"]
    try:
        assert stranger.get("/pay/oauth", {"code": "c1", "state": state}).status_code == 302
    finally:
        store.circuit.reset()


def test_a_state_made_for_another_browser_is_refused_and_its_code_is_not_touched(stranger, pay_code, outside):
    outside.codes["attackers"] = "o-attacker"
    state = leave_for_the_channel(stranger, pay_code)["state"]
    victim = Client()
    leave_for_the_channel(victim, pay_code)
    response = victim.get("/pay/oauth", {"code": "attackers", "state": state})
    assert response.status_code == 403
    assert f"http://127.0.0.1:8000/pay/{pay_code.token}" in response.content.decode(), "and a way to start again"
    assert not any(name.startswith("payer_") for name in response.cookies)
    assert outside.asked == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: "",
        lambda state: "0" * 90,
        lambda state: state[:-2],
        lambda state: state[:32] + "00000000" + state[40:],
        lambda state: ("1" if state[0] == "0" else "0") + state[1:],
        lambda state: state.upper(),
    ],
    ids=["none", "made up", "shorter", "other time", "other MAC", "upper case"],
)
def test_a_state_that_is_not_ours_is_refused(stranger, pay_code, outside, spoil):
    state = leave_for_the_channel(stranger, pay_code)["state"]
    assert stranger.get("/pay/oauth", {"code": "c1", "state": spoil(state)}).status_code == 403
    assert outside.asked == []


def test_a_state_is_good_for_ten_minutes():
    now = timezone.now()
    state = payer.make_state(pay_code_token="t" * 22, channel="alipay", browser="b" * 32, now=now)
    assert payer.read_state(state, browser="b" * 32, now=now + timedelta(minutes=10)) == ("t" * 22, "alipay")
    for wrong in (now + timedelta(minutes=10, seconds=2), now - timedelta(seconds=2)):
        with pytest.raises(payer.StateRefused):
            payer.read_state(state, browser="b" * 32, now=wrong)


def test_two_tabs_of_one_browser_do_not_disturb_each_other(stranger, pay_code, outside):
    outside.codes |= {"c1": "o-payer-7"}
    first = leave_for_the_channel(stranger, pay_code)["state"]
    leave_for_the_channel(stranger, pay_code)
    assert stranger.get("/pay/oauth", {"code": "c1", "state": first}).status_code == 302


def test_a_code_that_the_channel_refuses_says_so_and_how_to_go_on(stranger, pay_code):
    state = leave_for_the_channel(stranger, pay_code)["state"]
    response = stranger.get("/pay/oauth", {"code": "used-up", "state": state}, headers={"Accept-Language": "en"})
    assert response.status_code == 502
    assert "WeChat did not say who you are" in response.content.decode()
    assert f"/pay/{pay_code.token}" in response.content.decode()


def test_a_payer_who_declines_comes_back_without_a_code(stranger, pay_code, outside):
    state = leave_for_the_channel(stranger, pay_code)["state"]
    assert stranger.get("/pay/oauth", {"state": state}).status_code == 502
    assert outside.asked == []


@pytest.mark.parametrize("spoil", [lambda value: value[:-1], lambda value: "x" + value, lambda value: '"o-payer-2"'])
def test_a_payer_cookie_that_was_changed_counts_as_none(payers_browser, pay_code, account, spoil):
    name = f"payer_{account.pk}"
    assert payers_browser.get(f"/pay/{pay_code.token}").status_code == 200
    payers_browser.cookies[name] = spoil(payers_browser.cookies[name].value)
    assert payers_browser.get(f"/pay/{pay_code.token}").status_code == 302


def test_a_payer_cookie_of_another_account_counts_as_none(payers_browser, pay_code, account):
    other = factories.an_account(Merchant.register(name="other", now=timezone.now()))
    app = App.register(merchant=other.merchant, name="other", now=timezone.now())
    theirs = PayCode.issue(app=app, channel="wechatpay", label="theirs", now=timezone.now())
    payers_browser.cookies[f"payer_{other.pk}"] = payers_browser.cookies[f"payer_{account.pk}"].value
    assert payers_browser.get(f"/pay/{theirs.token}").status_code == 302


def test_a_payer_cookie_is_good_for_twelve_hours(payers_browser, pay_code, account, monkeypatch):
    name = f"payer_{account.pk}"
    with monkeypatch.context() as earlier:
        then = timezone.now().timestamp() - 12 * 3600 - 5
        earlier.setattr(signing.time, "time", lambda: then)
        old = signing.dumps("o-payer-1", salt=f"payments.cashier.payer.{account.pk}")
    payers_browser.cookies[name] = old
    assert payers_browser.get(f"/pay/{pay_code.token}").status_code == 302


def test_outside_wechat_a_real_code_asks_to_be_scanned_there(stranger, pay_code, settings):
    settings.CASHIER_SANDBOX = False
    outside = stranger.get(f"/pay/{pay_code.token}")
    assert (outside.status_code, "请在微信内打开" in outside.content.decode()) == (403, True)
    inside = stranger.get(f"/pay/{pay_code.token}", headers={"User-Agent": "Mozilla/5.0 MicroMessenger/8.0"})
    assert inside.status_code == 302
