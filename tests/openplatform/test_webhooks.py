"""The headers of Standard Webhooks, read by what the specification says and not by our own code."""

import base64
import hashlib
import hmac
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform import sealing
from openplatform.caches import clear_all
from openplatform.key_material import Algorithm
from openplatform.keys import ensure_platform_key
from openplatform.models import WebhookSecret
from openplatform.models.notification import NotificationShape
from openplatform.models.webhook_secret import OVERLAP
from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, new_secret, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]
ENVELOPED = {"event_type": "TRANSACTION.SUCCESS", "summary": "x", "original_type": "transaction", "resource": {}}


def verified(secret, *, headers, body, now, tolerance_s=300):
    """The id of the webhook, or None: the steps of standardwebhooks.com, by somebody who has only read the page."""
    webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now - int(timestamp)) > tolerance_s:
        return None
    key = base64.b64decode(secret.split("whsec_")[1])
    expected = hmac.new(key, webhook_id.encode() + b"." + timestamp.encode() + b"." + body, hashlib.sha256).digest()
    for versioned in headers["webhook-signature"].split(" "):
        version, _comma, signature = versioned.partition(",")
        if version == "v1" and hmac.compare_digest(base64.b64decode(signature), expected):
            return webhook_id
    return None


def test_the_reading_itself_is_right():
    """The example that the specification's libraries are tested with."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1a,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    assert verified(secret, headers=headers, body=body, now=1614265330)
    assert not verified(secret, headers=headers, body=body + b" ", now=1614265330)
    assert not verified(secret, headers=headers, body=body, now=1614265330 + 301)


def test_an_app_with_a_secret_gets_them_beside_ours(app, serve, platform_key):
    secret, server, now = new_secret(app, now=timezone.now()), serve(answers(200)), timezone.now()
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    notification = deliver(owed(app, server.url, now=now), now=now)
    (received,) = server.requests
    assert verified(secret, headers=received.headers, body=received.body, now=now.timestamp()) == str(notification.pk)
    assert harness.proves(platform_key.public_key_pem, received.headers, received.body)
    other = new_secret(harness.an_app(), now=now)
    assert verified(other, headers=received.headers, body=received.body, now=now.timestamp()) is None


def test_the_id_stays_and_the_timestamp_is_fresh_at_each_attempt(app, serve):
    secret, server = new_secret(app, now=timezone.now()), serve(answers(500))
    notification = deliver(owed(app, server.url))
    later = notification.next_attempt_at
    deliver(notification, now=later)
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(notification.pk)
    assert int(first.headers["webhook-timestamp"]) < int(second.headers["webhook-timestamp"])
    assert verified(secret, headers=second.headers, body=second.body, now=later.timestamp())


def test_without_a_secret_and_an_ed25519_key_there_are_none(app, serve):
    server = serve(answers(200))
    deliver(owed(app, server.url))
    assert not [name for name in server.requests[0].headers if name.lower().startswith("webhook")]


def test_a_platform_key_signs_too_and_needs_no_secret(app, serve):
    row, server, now = (
        ensure_platform_key(now=timezone.now(), algorithm=Algorithm.ED25519),
        serve(answers(200)),
        time.time(),
    )
    clear_all()
    notification = deliver(owed(app, server.url))
    received = server.requests[0]
    version, signature = received.headers["webhook-signature"].split(",")
    public = serialization.load_pem_public_key(row.public_key_pem.encode())
    signed = f"{notification.pk}.{received.headers['webhook-timestamp']}.".encode() + received.body
    public.verify(base64.b64decode(signature), signed)  # raises InvalidSignature
    assert version == "v1a"
    secret = new_secret(app, now=timezone.now())
    deliver(owed(app, server.url))
    received = server.requests[1]
    assert [one[:3] for one in received.headers["webhook-signature"].split(" ")] == ["v1,", "v1a"]
    assert verified(secret, headers=received.headers, body=received.body, now=now)


def test_whoever_speaks_wechat_pays_language_gets_none(platform_key, serve):
    app, server = harness.an_app(accepts_wechatpay_scheme=True), serve(answers(200))
    new_secret(app, now=timezone.now())
    deliver(owed(app, server.url, shape=NotificationShape.WECHATPAY, data=ENVELOPED))
    (received,) = server.requests
    assert "Wechatpay-Signature" in received.headers
    assert not [name for name in received.headers if name.lower().startswith("webhook")]


# --- rotation -------------------------------------------------------------------------------------------------------


def signing(secrets, server, app, *, now):
    """Which of the secrets prove the next delivery."""
    deliver(owed(app, server.url, now=now), now=now)
    received = server.requests[-1]
    proven = [
        verified(secret, headers=received.headers, body=received.body, now=now.timestamp()) is not None
        for secret in secrets
    ]
    assert received.headers["webhook-signature"].count(" ") == sum(proven) - 1
    return proven


def test_while_one_secret_follows_another_both_sign(app, serve):
    server, now = serve(answers(200)), timezone.now()
    old = new_secret(app, now=now)
    new = new_secret(app, now=now)
    assert signing([old, new], server, app, now=now + OVERLAP - timedelta(seconds=1)) == [True, True]
    assert signing([old, new], server, app, now=now + OVERLAP) == [False, True]


def test_a_third_ends_the_first_so_that_there_are_never_more_than_two(app, serve):
    server, now = serve(answers(200)), timezone.now()
    secrets = [new_secret(app, now=now + timedelta(seconds=number)) for number in range(3)]
    assert signing(secrets, server, app, now=now + timedelta(seconds=3)) == [False, True, True]


def test_after_a_leak_the_old_one_stops_at_once(app, serve):
    server, now = serve(answers(200)), timezone.now()
    secrets = [new_secret(app, now=now) for _ in range(2)]
    current = WebhookSecret.current_id(app_id=app.pk)
    assert WebhookSecret.end_overlap(app=app, current=current, now=now) == 1
    assert signing(secrets, server, app, now=now) == [False, True]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_leaked", [False, True])
def test_a_secret_that_is_replaced_while_a_notification_is_on_its_way_costs_one_attempt_at_most(app, serve, is_leaked):
    """The merchant's server has the new one before the notification that the old one signed has arrived."""
    known, server, now = [new_secret(app)], serve(answers(200)), timezone.now()

    def behave(connection_):
        received = server.requests[-1]
        if len(server.requests) == 1:
            replaced = new_secret(app)
            if is_leaked:
                current = WebhookSecret.current_id(app_id=app.pk)
                WebhookSecret.end_overlap(app=app, current=current, now=timezone.now())
                known.clear()
            known.append(replaced)
            connection.close()
        proven = any(
            verified(secret, headers=received.headers, body=received.body, now=time.time()) for secret in known
        )
        answers(200 if proven else 401)(connection_)

    server.behaviour = behave
    notification = deliver(owed(app, server.url, now=now))
    assert notification.status == ("owed" if is_leaked else "delivered")
    if is_leaked:
        deliver(notification, now=notification.next_attempt_at)
    assert notification.status == "delivered"
    assert len(server.requests) == 1 + is_leaked


def test_a_secret_is_sealed_to_its_row(app):
    now = timezone.now()
    secret, other = new_secret(app, now=now), new_secret(harness.an_app(), now=now)
    mine, theirs = WebhookSecret.objects.order_by("pk")
    material = base64.b64decode(secret.removeprefix("whsec_"))
    assert mine.material() == material
    assert material not in bytes(mine.secret_sealed)
    assert secret != other
    mine.secret_sealed = theirs.secret_sealed
    with pytest.raises(sealing.SealingError):
        mine.material()


def test_the_end_of_a_secret_is_never_put_off(app):
    now = timezone.now()
    for _ in range(2):
        new_secret(app, now=now)
    for change in ("expires_at = NULL", "expires_at = expires_at + interval '1 day'"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE openplatform_webhooksecret SET {change} WHERE expires_at IS NOT NULL")
