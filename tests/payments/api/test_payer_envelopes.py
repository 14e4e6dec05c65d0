"""Who pays: sent in an envelope, kept sealed, told to nobody but in an envelope for the app's own key."""

import itertools
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from django.utils import timezone

from openplatform import keyring
from openplatform.caches import clear_all
from openplatform.client import Config, decrypt
from openplatform.client.envelopes import encrypt
from openplatform.key_material import Algorithm, Purpose
from openplatform.keys import create_platform_key, ensure_platform_key, rotate_platform_key
from openplatform.models import AppKey, Notification
from openplatform.sealing import SealingError
from payments.models import Order, Payment
from payments.operations import payments
from tests import factories
from tests.payments.api.test_orders_api import ASYNC, Worker, accepted, wish
from tests.signed import Merchant

OPENID = "o-very-secret-payer"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NUMBERS = itertools.count(1)


@pytest.fixture
def platform_key(merchant):
    return ensure_platform_key(now=timezone.now(), algorithm=Algorithm.RSA_OAEP_256)


@pytest.fixture
def seal(merchant, platform_key):
    """What the merchant's program makes of a payer."""

    def seal(value=None, *, key=platform_key, app=merchant.app):
        public = load_pem_public_key(key.public_key_pem.encode())
        return encrypt(value or {"openid": OPENID}, key=public, header={"kid": key.pk, "iss": str(app.pk)})

    return seal


def an_encryption_key(app, key=KEY):
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    row = AppKey.register(app=app, public_key_pem=pem, purpose=Purpose.ENCRYPT, now=timezone.now())
    keyring.forget(app_id=app.pk, serial_no=row.pk)
    return row


def opened(text, row, key=KEY):
    config = Config(
        base_url="https://pay.example",
        app_id="",
        serial_no="",
        private_key=key,
        platform_keys={},
        decryption_keys={row.pk: key},
    )
    return decrypt(config, text)


def test_an_order_whose_payer_is_in_an_envelope_goes_to_the_channel_with_that_payer(merchant, seal):
    answer = merchant.post("/orders", wish(payer=seal()), **ASYNC)
    assert answer.status == 202, answer.fields
    payment = Payment.objects.get()
    assert payment.payer_id == OPENID
    assert payments._request(payment).payer_id == OPENID


def test_nothing_of_the_payer_is_in_clear_in_the_database_or_in_an_answer(merchant, seal):
    row = an_encryption_key(merchant.app)
    for payer in ({"openid": OPENID}, seal()):
        answer = merchant.post("/orders", wish(payer=payer, out_trade_no=f"A{next(NUMBERS):010d}"), **ASYNC)
        order = Order.objects.get(pk=answer.fields["order_no"])
        factories.payments.record_query(
            claimed=factories.the_payment(order),
            answer=factories.Accepted(facts=factories.paid(order)),
            now=factories.NOW,
        )
        again = merchant.get(f"/orders/{order.pk}")
        assert opened(again.fields["payer"], row) == {"openid": OPENID}
        for body in (answer.body, again.body):
            assert OPENID.encode() not in body
    for model in (Payment, Order, Notification):
        assert OPENID not in str(list(model.objects.values()))
    assert Notification.objects.count() == 2
    assert "payer" not in Notification.objects.first().data


def test_without_a_key_of_its_own_the_app_is_not_told(merchant, seal):
    answer = merchant.post("/orders", wish(payer={"openid": OPENID}), **ASYNC)
    assert answer.fields["payer"] is None
    assert OPENID.encode() not in answer.body


def test_the_answer_names_the_newest_key_of_the_app_and_changes_with_it(merchant, seal):
    order = merchant.post("/orders", wish(payer=seal()), **ASYNC).fields["order_no"]
    old = an_encryption_key(merchant.app)
    first = merchant.get(f"/orders/{order}").fields["payer"]
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    new = an_encryption_key(merchant.app, other)
    second = merchant.get(f"/orders/{order}").fields["payer"]
    assert opened(first, old) == opened(second, new, other) == {"openid": OPENID}


def test_a_payer_in_clear_in_one_envelope_and_in_another_are_one_content(merchant, seal):
    bodies = [wish(payer=payer) for payer in ({"openid": OPENID}, seal(), seal())]
    numbers = {merchant.post("/orders", body, **ASYNC).fields["order_no"] for body in bodies}
    assert len(numbers) == Order.objects.count() == 1
    other = merchant.post("/orders", wish(payer=seal({"openid": "o-somebody-else"})), **ASYNC)
    assert (other.status, other.code) == (422, "OUT_TRADE_NO_REUSED")


def test_an_envelope_of_another_app_tells_nothing(merchant, stranger, seal):
    """The stranger got hold of the envelope, and has a key of its own to be told with."""
    an_encryption_key(stranger.app)
    stolen = seal()
    answer = stranger.post("/orders", wish(payer=stolen), **ASYNC)
    assert (answer.status, answer.reasons) == (400, {"payer": "ENVELOPE_NOT_OPENED"})
    assert not Order.objects.exists()
    assert merchant.post("/orders", wish(payer=stolen), **ASYNC).status == 202


def test_every_bad_envelope_gets_the_very_same_answer_and_changes_nothing(merchant, seal):
    good = seal()
    header, wrapped, iv, ciphertext, tag = good.split(".")
    bad = {
        "tag": ".".join([header, wrapped, iv, ciphertext, "A" * 22]),
        "wrapped": ".".join([header, "A" * len(wrapped), iv, ciphertext, tag]),
        "ciphertext": ".".join([header, wrapped, iv, "A" * len(ciphertext), tag]),
        "unknown key": seal().replace(header, "e30"),
        "not JSON": seal("openid"),
        "not an object": seal([1]),
        "nonsense": "nonsense",
        "too large": "a" * 5_000,
        "surrogate": "a.b.c.d." + "e" * 22,
    }
    answers = {name: merchant.post("/orders", wish(payer=text), **ASYNC) for name, text in bad.items()}
    seen = {
        json.dumps({**answer.fields, "request_id": ""}) + str(answer.status) + str(sorted(answer.headers))
        for answer in answers.values()
    }
    assert len(seen) == 1, seen
    assert answers["tag"].reasons == {"payer": "ENVELOPE_NOT_OPENED"}
    assert not Order.objects.exists()


def test_what_is_inside_is_as_strict_as_what_is_in_clear(merchant, seal):
    for value, field in (
        ({"openid": ""}, "payer.openid"), ({"openid": 5}, "payer.openid"), ({"openid": "x" * 129}, "payer.openid"),
        ({"openid": "o", "name": "x"}, "payer.name"), ({"name": "x"}, "payer.name"),
    ):  # fmt: skip
        answer = merchant.post("/orders", wish(payer=seal(value)), **ASYNC)
        assert (answer.status, answer.code) == (400, "PARAM_ERROR")
        assert field in answer.reasons
    for payer in (5, True, [], [seal()], 1.5):
        assert merchant.post("/orders", wish(payer=payer), **ASYNC).status == 400
    assert not Order.objects.exists()


def test_the_previous_platform_key_is_taken_during_the_overlap(merchant, seal, platform_key):
    text = seal()
    create_platform_key(now=timezone.now(), algorithm=Algorithm.RSA_OAEP_256)
    rotate_platform_key(now=timezone.now(), algorithm=Algorithm.RSA_OAEP_256)
    assert merchant.post("/orders", wish(payer=text), **ASYNC).status == 202
    platform_key.refresh_from_db()
    platform_key.retire(now=timezone.now())
    clear_all()
    answer = merchant.post("/orders", wish(payer=seal(), out_trade_no="A20261123000002"), **ASYNC)
    assert answer.reasons == {"payer": "ENVELOPE_NOT_OPENED"}


def test_an_answer_that_waited_for_the_channel_has_the_payer_too(merchant, seal):
    row = an_encryption_key(merchant.app)
    worker = Worker(accepted(prepay_id="wx201"))
    worker.start()
    answer = merchant.post("/orders", wish(payer=seal()))
    worker.join()
    assert (answer.status, answer.fields["status"]) == (201, "PAYING")
    assert opened(answer.fields["payer"], row) == {"openid": OPENID}


def test_a_native_order_has_no_payer_to_tell(merchant):
    an_encryption_key(merchant.app)
    answer = merchant.post("/orders", wish(method="native", payer=None), **ASYNC)
    assert answer.fields["payer"] is None
    assert Payment.objects.get().payer_sealed is None


def test_the_payer_of_one_payment_does_not_open_as_that_of_another(merchant):
    first, second = (factories.the_payment(factories.a_submitting_order()) for _ in range(2))
    second.payer_sealed = first.payer_sealed
    with pytest.raises(SealingError):
        _ = second.payer_id
    with pytest.raises(SealingError):
        payments._request(second)


def test_a_key_with_one_scope_does_that_and_nothing_else(merchant):
    """Restricted keys at the doors of the money."""
    order = merchant.post("/orders", wish(payer={"openid": OPENID}), **ASYNC).fields["order_no"]
    calls = {
        "payments:write": [("POST", "/orders", wish()), ("POST", f"/orders/{order}/close", None)],
        "refunds:write": [("POST", "/refunds", {"out_refund_no": "R0000001", "order_no": order, "amount": "1"})],
        "queries:read": [("GET", f"/orders/{order}", None), ("GET", "/orders/out-trade-no/A20261123000001", None),
                         ("GET", "/refunds/5", None), ("GET", "/refunds/out-refund-no/x", None),
                         ("GET", "/notifications", None), ("POST", "/notifications/5/replay", None)],
        "keys:manage": [("GET", "/keys", None)],
        "": [("GET", "/platform-keys", None)],
    }  # fmt: skip
    for scope in ("payments:write", "refunds:write", "queries:read", "bills:read", "keys:manage"):
        key = Merchant(merchant.app, scopes=[scope])
        for needed, asks in calls.items():
            for method, path, fields in asks:
                body = json.dumps(fields).encode() if fields else b""
                answer = key.send(method, path, body, **ASYNC)
                assert (answer.code == "NO_AUTH") == (needed not in {"", scope}), (scope, method, path, answer.fields)
        AppKey.objects.get(pk=key.serial_no).revoke(now=timezone.now() + timedelta(seconds=1))
