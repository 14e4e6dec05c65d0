"""What the rows hold, whoever writes them: the factories refuse by name, and the database refuses the rest."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform import key_material
from openplatform.key_states import KnownFingerprint, KnownSerial, TooManyKeys
from openplatform.models import AppKey, Notification, NotificationAttempt, PlatformKey
from tests.openplatform import harness

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def app():
    return harness.an_app()


def register(app, pem=None, **kwargs):
    pem = harness.public_pem(harness.a_key()) if pem is None else pem
    return AppKey.register(app=app, public_key_pem=pem, now=NOW, **kwargs)


@pytest.mark.parametrize(
    ("pem", "refusal"),
    [
        (lambda: harness.private_pem(harness.a_key()), key_material.PrivateKeyPasted),
        (lambda: "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", key_material.PrivateKeyPasted),
        (lambda: "\n\n" + harness.private_pem(harness.a_key(1024)), key_material.PrivateKeyPasted),
        (lambda: harness.public_pem(harness.a_key(1024)), key_material.KeyLengthRefused),
        (lambda: harness.public_pem(harness.a_key(2040)), key_material.KeyLengthRefused),
        (lambda: harness.public_pem(harness.a_key(2052)), key_material.KeyLengthRefused),
        (lambda: harness.public_pem(harness.a_key(2048, exponent=3)), key_material.ExponentRefused),
        (lambda: harness.public_pem(ed448.Ed448PrivateKey.generate()), key_material.UnknownAlgorithm),
        (lambda: harness.public_pem(dsa.generate_private_key(1024)), key_material.UnknownAlgorithm),
        (lambda: harness.public_pem(ec.generate_private_key(ec.SECP256R1())), key_material.UnknownAlgorithm),
        (lambda: "", key_material.NotAPublicKey),
        (lambda: "hello", key_material.NotAPublicKey),
        (lambda: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", key_material.NotAPublicKey),
        (lambda: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", key_material.NotAPublicKey),
        (lambda: harness.public_pem(harness.a_key()) + "x" * 5_000, key_material.NotAPublicKey),
    ],
)  # fmt: skip
def test_a_key_that_we_cannot_trust_is_refused_by_name(app, pem, refusal):
    with pytest.raises(key_material.KeyRefused) as refused:
        register(app, pem())
    assert type(refused.value) is refusal
    assert AppKey.objects.count() == 0


def test_whoever_pastes_a_private_key_is_told_to_revoke_it(app):
    with pytest.raises(key_material.PrivateKeyPasted, match="revoke it"):
        register(app, harness.private_pem(harness.a_key()))


def test_a_key_of_more_than_4096_bits_is_refused():
    # Making one takes many seconds, and a modulus is only a number to whoever reads a public key.
    for bits, is_refused in ((4096, False), (4104, True)):
        modulus = (1 << bits) - 159
        key = RSAPublicNumbers(65537, modulus).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        if is_refused:
            with pytest.raises(key_material.KeyLengthRefused):
                key_material.read_public_key(pem)
        else:
            key_material.read_public_key(pem)


def test_one_public_key_belongs_to_one_app_for_ever_also_after_it_was_revoked(app):
    pem = harness.public_pem(harness.a_key())
    register(app, pem).revoke(now=NOW)
    for other in (app, harness.an_app()):
        with pytest.raises(KnownFingerprint):
            register(other, "\n" + pem.replace("\n", "\r\n"))


def test_a_serial_number_is_given_once_and_has_a_form(app):
    register(app, serial_no="MERCHANT_KEY_1")
    with pytest.raises(KnownSerial):
        register(app, harness.public_pem(harness.a_key()), serial_no="MERCHANT_KEY_1")
    for bad in ("short", "with-dash-1", "a" * 65, "with space"):
        with pytest.raises(key_material.SerialNoRefused):
            register(app, harness.public_pem(harness.a_key()), serial_no=bad)


def test_an_app_has_at_most_five_live_keys(app):
    keys = [register(app, harness.public_pem(harness.a_key())) for _ in range(5)]
    sixth = harness.public_pem(harness.a_key())
    with pytest.raises(TooManyKeys):
        register(app, sixth)
    keys[0].revoke(now=NOW)
    register(app, sixth)


def refused_by_database(sql, params=()):
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)


def a_notification(app):
    notification = Notification.record(
        app=app, event_type="order.succeeded", object_no=5, object_version=1, data={"a": 1},
        notify_url="https://shop.example/n", now=NOW, traceparent="",
    )  # fmt: skip
    NotificationAttempt.record(claimed=notification, attempted_at=NOW, duration_ms=3, status_code=500)
    return notification


def test_the_database_itself_keeps_what_must_not_change(app):
    key, notification = register(app), a_notification(app)
    key.revoke(now=NOW)
    for sql in (
        "UPDATE openplatform_notificationattempt SET status_code = 200",
        "DELETE FROM openplatform_notificationattempt",
        "UPDATE openplatform_notification SET data = '{}'",
        "UPDATE openplatform_notification SET event_type = 'order.closed'",
        "DELETE FROM openplatform_notification",
        "UPDATE openplatform_appkey SET public_key_pem = 'x'",
        "UPDATE openplatform_appkey SET status = 'active', revoked_at = NULL",
        "DELETE FROM openplatform_appkey",
        "UPDATE openplatform_notification SET status = 'lost'",
        "UPDATE openplatform_notification SET next_attempt_at = NULL",
        "UPDATE openplatform_notification SET status = 'delivered', next_attempt_at = NULL",
        "UPDATE openplatform_app SET status = 'sleeping'",
        "UPDATE openplatform_app SET name = ''",
        "UPDATE openplatform_merchant SET status = 'x'",
    ):
        refused_by_database(sql)
    notification.refresh_from_db()
    assert notification.data == {"a": 1}


def test_the_model_says_append_only_before_the_database_does(app):
    attempt = a_notification(app).attempts.get()
    with pytest.raises(TypeError, match="append-only"):
        attempt.save()
    with pytest.raises(TypeError, match="append-only"):
        attempt.delete()


def test_a_key_cannot_be_moved_to_a_second_row_behind_our_back(app):
    key = register(app)
    refused_by_database(
        "INSERT INTO openplatform_appkey SELECT 'ANOTHER_SERIAL', algorithm, public_key_pem, fingerprint, status,"
        " not_before, not_after, last_used_at, created_at, revoked_at, app_id FROM openplatform_appkey WHERE"
        " serial_no = %s",
        [key.pk],
    )


def test_there_is_at_most_one_current_platform_key(platform_key, pair):
    refused_by_database(
        "INSERT INTO openplatform_platformkey (serial_no, algorithm, public_key_pem, private_key_sealed, status,"
        " not_before, not_after, created_at) SELECT 'ANOTHER_SERIAL', algorithm, public_key_pem, private_key_sealed,"
        " status, not_before, not_after, created_at FROM openplatform_platformkey"
    )
    assert PlatformKey.objects.count() == 1


def test_a_key_is_live_between_its_times_and_until_it_is_revoked(app):
    key = register(app, not_after=NOW + timedelta(days=1))
    assert key.is_live(now=NOW)
    assert not key.is_live(now=NOW - timedelta(seconds=1))
    assert not key.is_live(now=NOW + timedelta(days=1))
    key.revoke(now=NOW)
    assert not key.is_live(now=NOW)
