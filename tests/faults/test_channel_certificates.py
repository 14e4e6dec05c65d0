"""Both channels change their keys while money is under way: what is unknown is fetched once, and nothing is lost."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import requests
from django.db import connection

from openplatform.models import Alarm
from payments.models import Callback, ChannelAccount, ChannelCertificate, LedgerEntry
from payments.operations import channel_certificates
from payments.operations.channel_certificates import GAP, fetch_certificates
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.certificates import make
from tests.factories import again, the_payment
from tests.faults.conftest import Shop
from tests.payments.api.face import web_process
from tests.sandboxes import wait_until

FORGED = {
    "Wechatpay-Nonce": "n", "Wechatpay-Serial": "E" * 40, "Wechatpay-Signature": "QUFBQQ==",
    "Content-Type": "application/json",
}  # fmt: skip


def replace(shop: Shop, **changes: object) -> None:
    """The account with other settings; None takes one away."""
    settings = {name: value for name, value in (shop.account.settings | changes).items() if value is not None}
    shop.account.replace_settings(settings=settings, secrets=shop.account.secrets())


def by_certificate(shop: Shop) -> Shop:
    """The account as of a merchant that has certificates, and nothing entered."""
    if shop.channel == "wechatpay":
        replace(shop, platform_keys=None, answer_key_serial=None)
    else:
        said = shop.sandbox.identity["alipay"]
        replace(
            shop, alipay_keys=None, app_cert_sn=said["app_cert_sn"], alipay_root_cert_sn=said["alipay_root_cert_sn"],
            alipay_root_certificates=said["alipay_root_certificates_pem"],
        )  # fmt: skip
    return shop


def fetch(shop: Shop) -> bool:
    """What a worker does with the hint."""
    return fetch_certificates(account_id=shop.account.pk, clock=shop.now)


def fetch_again(shop: Shop) -> bool:
    """The same when GAP is over, and the six hours as well."""
    rested = {"certificates_asked_at": shop.now() - GAP, "certificates_fetched_at": None}
    ChannelAccount.objects.filter(pk=shop.account.pk).update(**rested)
    return fetch(shop)


def downloads(shop: Shop) -> int:
    return len(shop.control.calls(operation="certificates"))


def serials(shop: Shop) -> set[str]:
    return set(ChannelCertificate.objects.filter(account=shop.account).values_list("serial", flat=True))


@pytest.fixture
def open_shop(open_shop: Callable[[str], Shop], settings) -> Callable[[str], Shop]:
    """Nothing here is about time-outs, and the machine may be busy."""

    def opened(channel: str) -> Shop:
        shop = open_shop(channel)
        settings.CHANNEL_DEADLINE_S, settings.CHANNEL_CONNECT_S = 20.0, 10.0
        return shop

    return opened


@pytest.fixture
def shop(open_shop: Callable[[str], Shop], channel: str) -> Shop:
    return by_certificate(open_shop(channel))


@pytest.fixture
def wechatpay(open_shop: Callable[[str], Shop]) -> Shop:
    return by_certificate(open_shop("wechatpay"))


@pytest.fixture
def alipay(open_shop: Callable[[str], Shop]) -> Shop:
    return by_certificate(open_shop("alipay"))


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
def test_an_account_by_certificate_begins_with_no_key_and_learns_them_from_the_channel(shop):
    order = shop.drive(shop.order())
    assert order.status == OrderStatus.UNKNOWN
    wanted = again(shop.account).certificate_wanted
    assert wanted in {
        shop.sandbox.wechatpay["platform_certificate_serial_no"], shop.sandbox.identity["alipay"]["alipay_cert_sn"],
    }  # fmt: skip
    assert fetch(shop)
    assert serials(shop) == {wanted}
    account = again(shop.account)
    assert (account.certificate_wanted, account.certificates_failing_since) == ("", None)
    order = shop.drive_until(order, "PAYING")
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED
    assert order.payments.count() == 1


@pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
def test_keys_change_in_mid_traffic_and_every_payment_and_refund_ends_where_the_money_is(shop, called_back):
    """E#19: callbacks and then answers come under the next certificate, which we have not fetched yet."""
    shop.drive(shop.order())
    fetch(shop)
    paying = [shop.drive_until(shop.order(), "PAYING") for _ in range(3)]
    refund = factories.a_submitting_refund(order=shop.paid_order(), now=shop.now())
    shop.control.options(
        publish_next_certificate=True, notify_key="next_certificate", alipay_next_percent=100.0
    )  # fmt: skip
    for order in paying:
        shop.control.pay(str(the_payment(order).pk))

    def work() -> None:
        """What a worker does that was woken. The channel by itself tells again what was not accepted."""
        if again(shop.account).certificate_wanted:
            fetch_again(shop)

    def all_paid() -> bool:
        work()
        return {again(order).status for order in paying} == {OrderStatus.SUCCEEDED}

    wait_until(all_paid, within_s=60, what="the callbacks under the next certificate")
    assert len(serials(shop)) == 2
    assert LedgerEntry.objects.filter(order__in=paying).count() == len(paying)
    assert Callback.objects.filter(order__in=paying).count() == len(paying)
    shop.control.options(next_certificate_percent=100.0)
    for _ in range(6):
        work()
        refund = shop.drive_refund(refund)
    assert refund.status == RefundStatus.SUCCEEDED
    assert shop.paid_order().status == OrderStatus.SUCCEEDED


def test_fifty_forged_callbacks_at_two_processes_cost_one_download(wechatpay, settings):
    """E#20: whoever posts an unknown number may not make us ask the channel each time."""
    fetch(wechatpay)
    assert downloads(wechatpay) == 1
    ChannelAccount.objects.filter(pk=wechatpay.account.pk).update(certificates_asked_at=wechatpay.now() - GAP)
    stop, statuses = threading.Event(), []

    def work() -> None:
        """A worker that is woken far more often than it would be."""
        try:
            while not stop.wait(0.05):
                fetch(wechatpay)
        finally:
            connection.close()

    def forge(base_url: str) -> None:
        url = f"{base_url}/callbacks/wechatpay/{wechatpay.account.pk}"
        for _ in range(25):
            headers = FORGED | {"Wechatpay-Timestamp": str(int(time.time()))}
            statuses.append(requests.post(url, data=b"{}", headers=headers, timeout=20).status_code)

    with ExitStack() as stack:
        urls = [stack.enter_context(web_process(wechatpay)) for _ in range(2)]
        forgers = [threading.Thread(target=forge, args=[url]) for url in urls]
        workers = [threading.Thread(target=work) for _ in range(4)]
        for thread in (*workers, *forgers):
            thread.start()
        for thread in forgers:
            thread.join()
        wait_until(lambda: downloads(wechatpay) == 2, what="the one download")
        stop.set()
        for thread in workers:
            thread.join()
    assert statuses == [500] * 50
    assert downloads(wechatpay) == 2
    fetch(wechatpay)
    assert downloads(wechatpay) == 2, "not even when a worker is woken once more"


def test_what_a_callback_wants_cannot_keep_us_from_what_an_answer_names(alipay, called_back):
    """At Alipay a certificate is fetched by its number: strangers could fill the one place with numbers of theirs."""
    url = f"{called_back}/callbacks/alipay/{alipay.account.pk}"
    forged = {"alipay_cert_sn": "e" * 32, "sign": "QUFBQQ==", "notify_id": "1", "app_id": "1"}
    assert requests.post(url, data=forged, timeout=20).status_code == 500
    assert again(alipay.account).certificate_wanted == "e" * 32
    order = alipay.drive(alipay.order())
    assert again(alipay.account).certificate_wanted == alipay.sandbox.identity["alipay"]["alipay_cert_sn"]
    requests.post(url, data=forged, timeout=20)
    assert fetch(alipay)
    assert alipay.drive_until(order, "PAYING").status == OrderStatus.PAYING


def test_a_certificate_that_nobody_knows_is_none_and_no_failure(alipay):
    alipay.drive(alipay.order())
    fetch(alipay)
    before = serials(alipay)
    channel_certificates.want_certificate(account_id=alipay.account.pk, serial="e" * 32, is_answer=False)
    assert fetch_again(alipay)
    account = again(alipay.account)
    assert (account.certificate_wanted, account.certificates_failing_since, serials(alipay)) == ("", None, before)


def test_asked_for_one_that_nobody_knows_the_answer_names_the_one_to_begin_with(alipay):
    channel_certificates.want_certificate(account_id=alipay.account.pk, serial="e" * 32, is_answer=False)
    for _ in range(2):
        fetch_again(alipay)
    assert serials(alipay) == {alipay.sandbox.identity["alipay"]["alipay_cert_sn"]}


def test_a_certificate_under_roots_that_are_not_ours_is_not_believed(alipay):
    """Alipay's answer is signed under it, and it may be what it says: we cannot know."""
    other = make("Other Root", now=alipay.now(), is_authority=True).pem
    replace(alipay, alipay_root_certificates=other)
    order = alipay.drive(alipay.order())
    assert fetch(alipay)
    assert serials(alipay) == set()
    assert alipay.drive(order).status == OrderStatus.UNKNOWN
    replace(alipay, alipay_root_certificates=alipay.sandbox.identity["alipay"]["alipay_root_certificates_pem"])
    assert fetch_again(alipay)
    assert alipay.drive_until(order, "PAYING").status == OrderStatus.PAYING


def test_roots_that_were_replaced_take_the_certificates_below_them_along(alipay):
    alipay.drive(alipay.order())
    fetch(alipay)
    order = alipay.drive_until(alipay.order(), "PAYING")
    replace(alipay, alipay_root_certificates=make("Other Root", now=alipay.now(), is_authority=True).pem)
    alipay.control.pay(str(the_payment(order).pk))
    assert alipay.drive(order).status == OrderStatus.PAYING
    assert "unknown key serial" in the_payment(order).last_answer


def test_a_merchant_with_the_public_key_alone_has_no_certificates_and_that_is_no_failure(open_shop):
    shop = open_shop("wechatpay")
    shop.control.options(public_key_only=True)
    assert fetch(shop)
    account = again(shop.account)
    assert account.certificates_fetched_at is not None
    assert (account.certificates_failing_since, serials(shop)) == (None, set())
    assert not Alarm.objects.exists()
    assert shop.paid_order().status == OrderStatus.SUCCEEDED


def test_a_merchant_moves_from_certificates_to_the_public_key_by_shares_and_misses_nothing(wechatpay, called_back):
    """A.3: answers follow what we name, callbacks move by a share: both kinds of key count at the same time."""
    shop = wechatpay
    fetch(shop)
    said = shop.sandbox.wechatpay
    for share in (1.0, 50.0, 100.0):
        if share == 50.0:  # the public key is named in requests somewhere on the way
            replace(shop, answer_key_serial=said["platform_public_key_id"])
        replace(shop, platform_keys={said["platform_public_key_id"]: said["platform_public_key_pem"]})
        shop.control.options(notify_key="certificate", notify_shift_key="public_key", notify_shift_percent=share)
        orders = [shop.drive_until(shop.order(), "PAYING") for _ in range(4)]
        for order in orders:
            shop.control.pay(str(the_payment(order).pk))
        wait_until(
            lambda: {again(order).status for order in orders} == {OrderStatus.SUCCEEDED},  # noqa: B023 - asked at once
            within_s=30, what="the callbacks",
        )  # fmt: skip
    assert Callback.objects.count() == 12
    keys = {note["attempts"][-1]["status"] for note in shop.control.notifications()}
    assert keys == {200}


@pytest.mark.parametrize("fault", ["wrong_signature", "missing_signature", "unknown_serial", "bad_json", "half_body"])
def test_at_the_first_start_the_answer_must_be_signed_under_what_it_brings(wechatpay, fault):
    wechatpay.control.add_fault("certificates", fault, times=1)
    assert fetch(wechatpay)
    assert serials(wechatpay) == set()
    assert again(wechatpay.account).certificates_failing_since is not None
    assert fetch_again(wechatpay)
    assert len(serials(wechatpay)) == 1
    assert again(wechatpay.account).certificates_failing_since is None


def test_afterwards_the_answer_must_be_signed_under_a_key_that_we_had_and_a_person_is_called(wechatpay):
    """Whoever has got hold of the APIv3 key alone must not be able to bring in a key of theirs."""
    fetch(wechatpay)
    before = serials(wechatpay)
    wechatpay.control.options(publish_next_certificate=True, next_certificate_percent=100.0)
    channel_certificates.want_certificate(account_id=wechatpay.account.pk, serial="A" * 40, is_answer=True)
    fetch_again(wechatpay)
    assert serials(wechatpay) == before
    assert Alarm.objects.get(closed_at=None).key == f"{wechatpay.account.pk} fetch"
    wechatpay.control.options(next_certificate_percent=0.0)
    fetch_again(wechatpay)
    assert len(serials(wechatpay)) == 2
    assert not Alarm.objects.filter(closed_at=None).exists()


def test_under_another_apiv3_key_nothing_is_believed(wechatpay):
    secrets = wechatpay.account.secrets() | {"apiv3_key": "x" * 32}
    wechatpay.account.replace_settings(settings=wechatpay.account.settings, secrets=secrets)
    fetch(wechatpay)
    assert serials(wechatpay) == set()
