"""Trouble with a channel's keys or with a clock calls a person, says what it is, and fails nothing."""

import logging
import time
from datetime import timedelta

import pytest
import requests

from openplatform.models import Alarm
from payments.models import ChannelCertificate
from payments.operations import channel_certificates
from payments.states import OrderStatus
from tests.certificates import make
from tests.factories import again
from tests.faults.test_channel_certificates import FORGED, by_certificate, fetch, fetch_again, open_shop, wechatpay
from tests.sandboxes import wait_until

__all__ = ["open_shop", "wechatpay"]


def test_a_download_that_fails_for_a_day_calls_a_person_until_it_succeeds(wechatpay, settings):
    settings.CHANNEL_PRIVATE_HOSTS = []
    fetch(wechatpay)
    assert not Alarm.objects.exists()
    wechatpay.offset = timedelta(days=1)
    fetch(wechatpay)
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.key) == ("channel_keys", f"{wechatpay.account.pk} fetch")
    wechatpay.offset = timedelta(0)
    settings.CHANNEL_PRIVATE_HOSTS = [wechatpay.sandbox.host]
    assert fetch(wechatpay), "an attempt that lies in the future was written by a wrong clock and keeps nobody away"
    assert again(alarm).closed_at is not None


def test_the_last_certificate_calls_a_person_ten_days_before_its_end(wechatpay, settings):
    settings.CHANNEL_PRIVATE_HOSTS = []

    def keep(days: int) -> None:
        made = make("platform", now=wechatpay.now(), lifetime=timedelta(days=days))
        ChannelCertificate.keep(
            account_id=wechatpay.account.pk, serial=made.serial, pem=made.pem, now=wechatpay.now(),
            not_before=made.certificate.not_valid_before_utc, not_after=made.certificate.not_valid_after_utc,
        )  # fmt: skip

    keep(11)
    fetch(wechatpay)
    assert not Alarm.objects.exists()
    wechatpay.offset = timedelta(days=2)
    fetch_again(wechatpay)
    alarm = Alarm.objects.get(key=f"{wechatpay.account.pk} end")
    assert alarm.closed_at is None
    wechatpay.offset = timedelta(days=30)
    fetch_again(wechatpay)
    assert again(alarm).closed_at is None, "it has run out, which is no better"
    keep(400)
    fetch_again(wechatpay)
    assert again(alarm).closed_at is not None


def test_the_sweep_finds_who_was_never_asked_who_wants_one_and_who_is_due(open_shop, monkeypatch):
    woken: list[int] = []
    monkeypatch.setattr(
        channel_certificates, "send_now", lambda name, *, queue, account_id: woken.append(account_id) or True
    )
    shop, other = open_shop("wechatpay"), by_certificate(open_shop("alipay"))

    def swept(after: timedelta) -> set[int]:
        woken.clear()
        channel_certificates.sweep_certificates(now=shop.now() + after)
        return set(woken)

    assert swept(timedelta(0)) == {shop.account.pk}
    fetch(shop)
    assert swept(timedelta(hours=5)) == set()
    assert swept(timedelta(hours=7)) == {shop.account.pk}, "in less than twelve hours"
    channel_certificates.want_certificate(account_id=other.account.pk, serial="e" * 32, is_answer=False)
    assert swept(timedelta(0)) == {other.account.pk}
    shop.account.deactivate()
    assert swept(timedelta(hours=7)) == {other.account.pk}


def test_a_public_key_that_was_not_entered_calls_a_person_once_and_is_not_asked_for(wechatpay, called_back):
    fetch(wechatpay)
    url = f"{called_back}/callbacks/wechatpay/{wechatpay.account.pk}"
    named = {"Wechatpay-Serial": "PUB_KEY_ID_0123456789", "Wechatpay-Timestamp": str(int(time.time()))}
    for _ in range(3):
        assert requests.post(url, data=b"{}", headers=FORGED | named, timeout=20).status_code == 500
    assert again(wechatpay.account).certificate_wanted == ""
    alarm = Alarm.objects.get()
    assert alarm.key == f"{wechatpay.account.pk} callbacks"
    assert "PUB_KEY_ID_0123456789" in alarm.text


def test_what_a_proxy_has_dropped_is_named(wechatpay, called_back, caplog):
    """E#25: without it, somebody looks for the wrong key for hours."""
    url = f"{called_back}/callbacks/wechatpay/{wechatpay.account.pk}"
    headers = {name: value for name, value in FORGED.items() if name != "Wechatpay-Nonce"}
    with caplog.at_level(logging.WARNING):
        requests.post(url, data=b"{}", headers=headers, timeout=20)
        wait_until(lambda: "callback refused" in caplog.text)
    assert "signature headers missing: Wechatpay-Timestamp, Wechatpay-Nonce" in caplog.text


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_wrong_fails_nothing_and_calls_a_person(open_shop, channel, minutes):
    """E#45: every request is refused; which is said in words, and over when the clock is right again."""
    shop = open_shop(channel)
    shop.offset = timedelta(minutes=minutes)
    order = shop.drive(shop.order())
    assert order.status == OrderStatus.UNKNOWN
    alarm = Alarm.objects.get()
    assert alarm.kind == "channel_clock"
    assert f"its clock is {abs(minutes) * 60 - 1} s" in alarm.text or f"{abs(minutes) * 60} s" in alarm.text
    assert ("behind" if minutes > 0 else "ahead of") in alarm.text
    shop.offset = timedelta(0)
    assert shop.drive_until(order, "PAYING").status == OrderStatus.PAYING
    assert again(alarm).closed_at is not None
