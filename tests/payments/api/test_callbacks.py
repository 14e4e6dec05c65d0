"""`POST /callbacks/wechatpay/<account>`: believed only when signed, applied once, acknowledged only when applied."""

import base64
import json
import secrets
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import OperationalError, connection
from django.test import Client

from openplatform.models import Notification
from payments.models import Callback, Case, LedgerEntry, Order, Refund
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.certificates import private_key
from tests.factories import again, the_payment

pytestmark = pytest.mark.django_db(transaction=True)
NOTIFY = {"notify_url": "https://shop.example/notify"}


def envelope(plain: dict, *, kind: str, event_type: str, callback_id: str, api_key: str = "k" * 32) -> bytes:
    nonce = secrets.token_hex(6)
    cipher = AESGCM(api_key.encode()).encrypt(nonce.encode(), json.dumps(plain).encode(), kind.encode())
    resource = {
        "algorithm": "AEAD_AES_256_GCM", "ciphertext": base64.b64encode(cipher).decode(), "nonce": nonce,
        "associated_data": kind, "original_type": kind,
    }  # fmt: skip
    return json.dumps(
        {"id": callback_id, "event_type": event_type, "resource_type": "encrypt-resource", "resource": resource}
    ).encode()


def signed(body: bytes, **changes: str) -> dict[str, str]:
    private = private_key(factories.key_pair()[0])
    timestamp, nonce = str(int(time.time()) - int(changes.get("late_by_s", "0"))), secrets.token_hex(8)
    signature = private.sign(f"{timestamp}\n{nonce}\n".encode() + body + b"\n", PKCS1v15(), hashes.SHA256())
    headers = {
        "Wechatpay-Timestamp": timestamp, "Wechatpay-Nonce": nonce, "Wechatpay-Serial": "PUB_KEY_ID_1",
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
    }  # fmt: skip
    return headers | {name: value for name, value in changes.items() if name.startswith("Wechatpay")}


def trade(order: Order, **changes: object) -> dict:
    payment = the_payment(order)
    fields = {
        "appid": payment.account.settings["appid"], "mchid": payment.account.settings["mchid"],
        "out_trade_no": str(payment.pk), "transaction_id": f"4200{payment.pk}", "trade_type": "JSAPI",
        "trade_state": "SUCCESS", "success_time": "2026-01-02T10:34:56+08:00",
        "amount": {"total": payment.amount_fen, "payer_total": payment.amount_fen, "currency": "CNY"},
    }  # fmt: skip
    return fields | changes


def returned(refund: Refund, **changes: object) -> dict:
    fields = {
        "mchid": refund.payment.account.settings["mchid"], "out_trade_no": str(refund.payment_id),
        "out_refund_no": str(refund.pk), "refund_id": f"5030{refund.pk}", "refund_status": "SUCCESS",
        "success_time": "2026-01-02T10:34:56+08:00",
        "amount": {"total": 4030, "refund": refund.amount_fen, "payer_total": 4030, "payer_refund": refund.amount_fen},
    }  # fmt: skip
    return fields | changes


def post(order: Order, body: bytes, headers: dict[str, str] | None = None):
    account = the_payment(order).account
    return Client().post(
        f"/callbacks/wechatpay/{account.pk}", body, content_type="application/json", headers=headers or signed(body)
    )


def tell_paid(order: Order, *, callback_id: str = "EV-1", **changes: object):
    body = envelope(
        trade(order, **changes), kind="transaction", event_type="TRANSACTION.SUCCESS", callback_id=callback_id
    )
    return post(order, body)


def tell_refunded(refund: Refund, *, callback_id: str = "EV-R1", **changes: object):
    body = envelope(returned(refund, **changes), kind="refund", event_type="REFUND.SUCCESS", callback_id=callback_id)
    return post(refund.order, body)


def test_a_callback_pays_the_order_and_is_acknowledged_in_the_channels_words():
    order = factories.a_paying_order(**NOTIFY)
    answer = tell_paid(order)
    assert (answer.status_code, answer.json()) == (200, {"code": "SUCCESS"})
    assert again(order).status == OrderStatus.SUCCEEDED
    assert the_payment(order).channel_trade_no == f"4200{the_payment(order).pk}"
    callback = Callback.objects.get()
    assert (callback.effect, callback.order_id) == ("paid", order.pk)


def tell_or_not_heard(order):
    """None when the row was in other hands for longer than we wait for a lock: on a busy machine."""
    try:
        return tell_paid(order)
    except OperationalError as error:
        if "lock timeout" not in str(error):
            raise
        return None


def test_fifty_copies_at_once_are_applied_once_and_all_acknowledged():
    order = factories.a_paying_order(**NOTIFY)
    barrier, statuses = threading.Barrier(10), []

    def tell():
        try:
            barrier.wait()
            for _ in range(5):
                while (answer := tell_or_not_heard(order)) is None:
                    pass  # not acknowledged: the channel tells again
                statuses.append(answer.status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=tell) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 50
    assert LedgerEntry.objects.count() == Notification.objects.count() == Callback.objects.count() == 1


def test_told_again_under_another_id_is_still_paid_once():
    order = factories.a_paying_order(**NOTIFY)
    for number in range(3):
        assert tell_paid(order, callback_id=f"EV-{number}").status_code == 200
    assert LedgerEntry.objects.count() == Notification.objects.count() == 1


def test_a_callback_before_the_answer_to_our_own_create_pays():
    order = factories.a_submitting_order()
    assert tell_paid(order).status_code == 200
    assert again(order).status == OrderStatus.SUCCEEDED


def test_a_callback_after_close_is_kept_as_late():
    order = factories.a_closed_order(**NOTIFY)
    assert tell_paid(order).status_code == 200
    assert again(order).status == OrderStatus.SUCCEEDED_LATE
    assert Case.objects.get().kind == Case.Kind.PAID_LATE


@pytest.mark.parametrize(
    "spoil",
    [
        {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + "A" * 300}, {"Wechatpay-Signature": "AAAA"},
        {"Wechatpay-Serial": "PUB_KEY_ID_2"}, {"Wechatpay-Nonce": "another"}, {"Wechatpay-Timestamp": "1"},
        {"Wechatpay-Timestamp": "soon"}, {"late_by_s": "400"},
        {"late_by_s": "-400"}, {"Wechatpay-Signature": ""},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_the_channels_is_refused_and_writes_nothing(spoil):
    order = factories.a_paying_order()
    body = envelope(trade(order), kind="transaction", event_type="TRANSACTION.SUCCESS", callback_id="EV-1")
    answer = post(order, body, signed(body, **spoil))
    assert (answer.status_code, answer.json()["code"]) == (500, "FAIL")
    assert again(order).status == OrderStatus.PAYING
    assert not Callback.objects.exists()
    assert not Case.objects.exists()


def test_a_body_that_was_changed_on_its_way_is_refused():
    order = factories.a_paying_order()
    body = envelope(trade(order), kind="transaction", event_type="TRANSACTION.SUCCESS", callback_id="EV-1")
    assert post(order, body + b" ", signed(body)).status_code == 500


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"[]", b"null", b'{"id": 1}', b"\xff", b'{"id": "1", "event_type": "X", "resource": {}}',
        b"[" * 5000,
    ],
    ids=str,
)  # fmt: skip
def test_a_signed_body_that_cannot_be_read_is_refused(body):
    order = factories.a_paying_order()
    assert post(order, body).status_code == 500
    assert not Callback.objects.exists()


def test_a_resource_under_another_key_is_refused():
    order = factories.a_paying_order()
    body = envelope(
        trade(order), kind="transaction", event_type="TRANSACTION.SUCCESS", callback_id="EV-1", api_key="x" * 32
    )
    assert post(order, body).status_code == 500


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": {"total": 4029, "currency": "CNY"}}, {"amount": {"total": 403000, "currency": "CNY"}},
        {"amount": {"total": 4030, "currency": "USD"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_amount_moves_nothing_and_opens_a_case(changes):
    order = factories.a_paying_order(**NOTIFY)
    tell_paid(order, **changes)
    assert again(order).status == OrderStatus.PAYING
    assert Case.objects.get().kind == Case.Kind.AMOUNT_MISMATCH
    assert not LedgerEntry.objects.exists()
    assert not Notification.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"out_trade_no": "1"}, {"out_trade_no": "not-ours"}, {"mchid": "1900000000"}, {"appid": "wx-other"},
        {"amount": {"total": "4030"}}, {"amount": {"total": 4030.0}}, {"amount": {}}, {"transaction_id": ""},
        {"trade_state": "HAPPY"}, {"success_time": "yesterday"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_for_us_is_quarantined_and_refused_so_that_it_is_told_again(changes):
    order = factories.a_paying_order()
    for _ in range(2):
        assert tell_paid(order, **changes).status_code == 500
    assert again(order).status == OrderStatus.PAYING
    case = Case.objects.get()
    assert (case.kind, case.seen_count) == (Case.Kind.FOREIGN_CALLBACK, 2)


def test_one_accounts_payment_cannot_be_paid_through_another_account():
    order, other = factories.a_paying_order(), factories.a_paying_order()
    account = the_payment(other).account
    settings = account.settings
    plain = trade(order, appid=settings["appid"], mchid=settings["mchid"])
    body = envelope(plain, kind="transaction", event_type="TRANSACTION.SUCCESS", callback_id="EV-1")
    answer = Client().post(
        f"/callbacks/wechatpay/{account.pk}", body, content_type="application/json", headers=signed(body)
    )
    assert answer.status_code == 500
    assert again(order).status == OrderStatus.PAYING
    assert Case.objects.get().kind == Case.Kind.FOREIGN_CALLBACK


@pytest.mark.parametrize("path", ["/callbacks/wechatpay/1", "/callbacks/alipay/1", "/callbacks/wechatpay/abc"])
def test_an_account_that_is_not_there_is_not_found(path):
    assert Client().post(path, b"{}", content_type="application/json").status_code == 404


def test_only_post_is_answered():
    order = factories.a_paying_order()
    assert Client().get(f"/callbacks/wechatpay/{the_payment(order).account_id}").status_code == 405


def test_a_huge_body_is_refused_before_it_is_read():
    order = factories.a_paying_order()
    assert post(order, b"x" * 70_000, {"Wechatpay-Timestamp": "1"}).status_code == 413


def test_a_refund_callback_ends_the_refund_once():
    refund = factories.a_submitting_refund(**NOTIFY)
    for number in range(3):
        assert tell_refunded(refund, callback_id=f"EV-{number % 2}").status_code == 200
    assert again(refund).status == RefundStatus.SUCCEEDED
    assert again(refund.order).refunded_fen == 1000
    assert LedgerEntry.objects.filter(kind="refund").count() == 1
    assert Notification.objects.count() == 1


@pytest.mark.parametrize(("told", "status"), [("ABNORMAL", RefundStatus.ABNORMAL), ("CLOSED", RefundStatus.FAILED)])
def test_a_refund_callback_may_bring_bad_news(told, status):
    refund = factories.a_submitting_refund()
    assert tell_refunded(refund, refund_status=told).status_code == 200
    assert again(refund).status == status


@pytest.mark.parametrize("changes", [{"out_refund_no": "1"}, {"out_trade_no": "1"}, {"mchid": "1"}], ids=str)
def test_a_refund_callback_for_nobody_is_quarantined(changes):
    refund = factories.a_submitting_refund()
    assert tell_refunded(refund, **changes).status_code == 500
    assert again(refund).status == RefundStatus.SUBMITTING
    assert Case.objects.get().kind == Case.Kind.FOREIGN_CALLBACK


def test_a_refund_callback_with_another_amount_moves_no_money():
    refund = factories.a_submitting_refund()
    tell_refunded(refund, amount={"refund": 999})
    assert again(refund.order).refunded_fen == 0
    assert Case.objects.get().kind == Case.Kind.AMOUNT_MISMATCH
