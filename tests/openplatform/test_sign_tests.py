"""Wrongly signed notifications find out who believes without verifying, and do no other harm."""

import base64
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from openplatform.models import NotifyEndpoint
from openplatform.models.notification import AttemptKind, NotificationStatus
from openplatform.notifications import sign_tests
from openplatform.notifications.replay import replay_one
from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, deliver, new_secret, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]


@pytest.fixture
def tested(settings):
    settings.NOTIFICATION_SIGN_TESTS = True


def verifying(pem, server):
    """A server that answers 401 to whatever it cannot verify, as a merchant's should."""

    def behave(connection):
        received = server.requests[-1]
        answers(200 if harness.proves(pem, received.headers, received.body) else 401)(connection)

    return behave


def test_a_merchant_that_verifies_refuses_it_and_is_found_good(app, serve, platform_key, tested):
    server = serve(answers(200))
    server.behaviour = verifying(platform_key.public_key_pem, server)
    notification = deliver(owed(app, server.url))
    assert notification.status == NotificationStatus.DELIVERED
    genuine, false = server.requests
    assert false.body == genuine.body
    assert false.headers["Fenpay-Signature"].startswith("FENPAY/SIGNTEST/")
    assert len(base64.b64decode(false.headers["Fenpay-Signature"], validate=True)) == 256, "nothing else is wrong"
    assert NotifyEndpoint.objects.get().verifies is True
    kinds = [(one.attempt_no, one.kind, one.status_code) for one in notification.attempts.order_by("attempt_no")]
    assert kinds == [(1, AttemptKind.SCHEDULED, 200), (2, AttemptKind.SIGN_TEST, 401)]


def test_a_merchant_that_takes_it_does_not_verify(app, serve, tested):
    notification = deliver(owed(app, serve(answers(200)).url))
    endpoint = NotifyEndpoint.objects.get()
    assert (endpoint.verifies, endpoint.failures_count, endpoint.paused_at) == (False, 0, None)
    assert notification.status == NotificationStatus.DELIVERED


def test_the_signature_of_standard_webhooks_is_as_visibly_wrong(app, serve, tested):
    new_secret(app, now=timezone.now())
    server = serve(answers(200))
    deliver(owed(app, server.url))
    genuine, false = (request.headers["webhook-signature"] for request in server.requests)
    assert false.startswith("v1,FENPAY/SIGNTEST/")
    assert len(base64.b64decode(false.removeprefix("v1,"), validate=True)) == 32
    assert genuine != false


def test_one_host_is_tested_once_in_ten_minutes_and_only_after_a_delivery(app, serve, tested):
    server, now = serve(answers(500)), timezone.now()
    deliver(owed(app, server.url, now=now), now=now)
    assert len(server.requests) == 1
    server.behaviour = answers(200)
    for minutes, sent in ((0, 3), (9, 4), (10, 6)):
        at = now + timedelta(minutes=minutes)
        deliver(owed(app, server.url, now=at), now=at)
        assert len(server.requests) == sent


def test_without_an_answer_nothing_is_found_out(app, serve, tested, monkeypatch):
    server = serve(answers(200))
    monkeypatch.setattr(sign_tests, "post", lambda *args, **kwargs: sign_tests.Outcome(error="deadline"))
    notification = deliver(owed(app, server.url))
    assert NotifyEndpoint.objects.get().verifies is None
    assert notification.attempts.first().error == "deadline"


@pytest.mark.parametrize(("everywhere", "this_app", "sent"), [(False, False, 1), (False, True, 2), (True, False, 2)])
def test_nobody_is_tested_unless_the_setting_or_the_app_says_so(app, serve, settings, everywhere, this_app, sent):
    settings.NOTIFICATION_SIGN_TESTS = everywhere
    if this_app:
        app.set_sign_tests(on=True)
    server = serve(answers(200))
    deliver(owed(app, server.url))
    assert len(server.requests) == sent


def test_it_does_not_come_between_a_replay_and_its_attempt(app, serve, tested, monkeypatch):
    server, now = serve(answers(200)), timezone.now()
    notification, sent = owed(app, server.url), sign_tests.post

    def replayed_meanwhile(*args, **kwargs):
        replay_one(app_id=app.pk, notification_id=notification.pk, now=now)
        return sent(*args, **kwargs)

    monkeypatch.setattr(sign_tests, "post", replayed_meanwhile)
    deliver(notification)
    assert (notification.status, notification.attempts_count) == (NotificationStatus.OWED, 1)
    assert deliver(notification).status == NotificationStatus.DELIVERED
    assert [one.attempt_no for one in notification.attempts.all()] == [2, 1]


def test_a_test_that_fails_for_a_reason_of_ours_takes_nothing_back_and_holds_up_nobody(
    app, serve, tested, monkeypatch, settings
):
    told = []
    monkeypatch.setattr("openplatform.notifications.turns.send_now", lambda name, **kwargs: told.append(kwargs) or True)
    settings.HINTS_ENABLED = True
    first, second = owed(app, serve(answers(200)).url), owed(app, "https://a.example/n", object_no=18)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER in_the_way BEFORE INSERT ON openplatform_notifyendpoint"
            " FOR EACH ROW EXECUTE FUNCTION openplatform_refuse_change('a test is in the way')"
        )
    with pytest.raises(IntegrityError, match="in the way"):
        deliver(first)
    first.refresh_from_db()
    assert (first.status, first.attempts_count) == (NotificationStatus.DELIVERED, 1)
    assert [kwargs["notification_id"] for kwargs in told] == [second.pk]


def test_an_app_has_one_test_at_a_time_though_nobody_answers_it(app, serve, tested):
    """Each costs a worker its deadline, beside the app's places."""

    def genuine_only(connection):
        if server.requests[-1].headers["Fenpay-Signature"].startswith(sign_tests.PREFIX):
            connection.close()
        else:
            answers(200)(connection)

    server = serve(answers(200))
    server.behaviour = genuine_only
    for number in range(3):
        assert deliver(owed(app, server.url, object_no=number)).status == NotificationStatus.DELIVERED
    assert len(server.requests) == 4
    assert NotifyEndpoint.objects.get().verifies is None
