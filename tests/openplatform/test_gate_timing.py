"""What a caller gains by holding its body back, or by measuring how long a refusal takes: nothing."""

import base64
import io
import time

import pytest
from django.utils import timezone

from openplatform import keyring
from openplatform.caches import clear_all
from openplatform.models import AppKey
from openplatform.signature import RsaPublicKey
from tests.openplatform import echo_urls, harness

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
ECHO = "/openapi/v1/echo"


@pytest.fixture(autouse=True)
def nothing_reached():
    echo_urls.reached.clear()


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert echo_urls.reached == [], "a refused request must not reach the handler"


class LateBody(io.BytesIO):
    """A body that arrives only after `meanwhile` has happened, as from a client that holds its last byte back."""

    def __init__(self, body, *, meanwhile):
        super().__init__(body)
        self.meanwhile = meanwhile

    def read(self, *args):
        self.meanwhile()
        return super().read(*args)


def post_late(caller, *, meanwhile):
    return caller.post(ECHO, b"{}", **{"wsgi.input": LateBody(b"{}", meanwhile=meanwhile)})


def test_a_request_whose_body_comes_after_its_time_is_refused(caller, settings):
    settings.TIMESTAMP_WINDOW_S = 1
    refused(post_late(caller, meanwhile=lambda: time.sleep(2.1)), 401, "SIGN_ERROR")


def test_a_key_that_is_revoked_before_the_body_comes_is_refused(caller):
    def revoke():
        AppKey.objects.get(pk=caller.serial_no).revoke(now=timezone.now())
        clear_all()

    refused(post_late(caller, meanwhile=revoke), 401, "SIGN_ERROR")


def test_an_app_that_is_disabled_before_the_body_comes_is_refused(caller):
    def disable():
        caller.app.disable()
        clear_all()

    refused(post_late(caller, meanwhile=disable), 403, "APP_DISABLED")


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_a_signature_of_any_length_costs_the_same_verification_whoever_is_named(db, platform_key, monkeypatch, bits):
    """Else the time of a refusal tells which apps have a key, and of which size."""
    verified = []
    real = RsaPublicKey.verifies

    def verifies(self, *, message, signature):
        if len(signature) == self.signature_bytes:
            verified.append(self.key.key_size)
        return real(self, message=message, signature=signature)

    monkeypatch.setattr(RsaPublicKey, "verifies", verifies)
    caller = harness.Caller(harness.an_app(), key=harness.a_key(bits))
    for length in (256, 384, 512):
        signature = base64.b64encode(b"\x01" * length).decode()
        for named in ({}, {"serial_no": "NO_SUCH_KEY"}, {"mchid": "1234567890123456789"}):
            verified.clear()
            caller.get(ECHO, signing={"signature": signature} | named)
            assert verified == [8 * length], (length, named)


def test_a_signature_that_the_decoy_accepts_is_refused_all_the_same(caller, monkeypatch):
    monkeypatch.setattr(keyring, "decoy", lambda length: RsaPublicKey(other.public_key()))
    other = harness.a_key(4096)
    forged = harness.Caller(caller.app, key=other, serial_no=caller.serial_no)
    refused(caller.get(ECHO, authorization=forged.authorization("GET", ECHO)), 401, "SIGN_ERROR")
