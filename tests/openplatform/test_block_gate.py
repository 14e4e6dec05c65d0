"""Who is refused at the gate, where on the way, and what that tells: nothing."""

import io
import json

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from openplatform.blocks import lists
from openplatform.caches import clear_all
from openplatform.models import AppAddress, BlockEntry
from openplatform.store import store
from tests.openplatform import echo_urls, harness
from tests.openplatform.harness import is_signed_by_us

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
ECHO = "/openapi/v1/echo"
HERE, ELSEWHERE = "198.51.100.7", "203.0.113.1"


@pytest.fixture(autouse=True)
def nothing_reached():
    echo_urls.reached.clear()


def block(kind, text):
    entry = BlockEntry.block(kind=kind, text=str(text), reason="a secret reason", by="olga", now=timezone.now())
    lists.forget()
    return entry


def code_of(answer):
    return answer.status_code, answer.json().get("code")


BLACKLISTED = (403, "BLACKLISTED")


def test_a_blocked_address_is_refused_whatever_it_sends(caller):
    block("cidr", "198.51.100.0/24")
    for answer in (
        caller.get(ECHO, REMOTE_ADDR=HERE),
        caller.get(ECHO, REMOTE_ADDR=f"::ffff:{HERE}"),
        caller.get(ECHO, REMOTE_ADDR=HERE, authorization=""),
        caller.get(ECHO, REMOTE_ADDR=HERE, authorization="nonsense"),
        caller.get(ECHO, REMOTE_ADDR=HERE, raw_uri="//x"),
        caller.send("PUT", ECHO, REMOTE_ADDR=HERE, authorization=""),
        caller.post(ECHO, b"{", REMOTE_ADDR=HERE),
        caller.post(ECHO, {}, REMOTE_ADDR=HERE, CONTENT_LENGTH="70000"),
    ):
        assert code_of(answer) == BLACKLISTED
        assert not is_signed_by_us(answer)
    assert echo_urls.reached == []
    assert caller.get(ECHO, REMOTE_ADDR=ELSEWHERE).status_code == 200


def test_a_blocked_address_costs_no_query_no_nonce_and_no_body(caller, django_assert_num_queries):
    block("ip", HERE)
    caller.get(ECHO, REMOTE_ADDR=HERE)

    read = []

    class Watched(io.BytesIO):
        def read(self, *args):
            read.append(args)
            return super().read(*args)

    authorization = caller.authorization("POST", ECHO, b"{}")
    with store() as client:
        before = client.dbsize()
        with django_assert_num_queries(0):
            answer = caller.post(
                ECHO, b"{}", REMOTE_ADDR=HERE, authorization=authorization, **{"wsgi.input": Watched(b"{}")}
            )
        assert code_of(answer) == BLACKLISTED
        assert read == []
        assert client.dbsize() == before
    assert caller.post(ECHO, b"{}", authorization=authorization).status_code == 201, "the nonce is still good"


def test_the_address_is_the_one_that_our_proxies_saw(caller, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    block("ip", HERE)
    assert code_of(caller.get(ECHO, HTTP_X_FORWARDED_FOR=f"{ELSEWHERE}, {HERE}")) == BLACKLISTED
    assert caller.get(ECHO, HTTP_X_FORWARDED_FOR=f"{HERE}, {ELSEWHERE}").status_code == 200


@pytest.mark.parametrize("kind", ["app", "serial"])
def test_a_blocked_app_or_key_is_refused_and_told_so_in_a_signed_answer(caller, kind):
    entry = block(kind, caller.app.pk if kind == "app" else caller.serial_no)
    for answer in (caller.get(ECHO), caller.post(ECHO, {})):
        assert code_of(answer) == BLACKLISTED
        assert is_signed_by_us(answer)
    assert echo_urls.reached == []
    entry.lift(by="olga", now=timezone.now())
    lists.forget()
    assert caller.get(ECHO).status_code == 200


def test_a_blocked_key_leaves_the_apps_other_keys_alone(caller):
    other = harness.Caller(caller.app, key=harness.a_key())
    block("serial", caller.serial_no)
    assert code_of(caller.get(ECHO)) == BLACKLISTED
    assert other.get(ECHO).status_code == 200


def test_a_stranger_does_not_learn_that_an_app_is_blocked_or_calls_from_certain_addresses(caller):
    block("app", caller.app.pk)
    AppAddress.allow(app=caller.app, text=HERE, reason="till", by="olga", now=timezone.now())
    lists.forget()
    wrong = caller.authorization("GET", ECHO + "/x")
    assert code_of(caller.get(ECHO, authorization=wrong)) == (401, "SIGN_ERROR")
    assert code_of(caller.get(ECHO, authorization=wrong, REMOTE_ADDR=HERE)) == (401, "SIGN_ERROR")


def test_a_replayed_request_of_a_blocked_app_is_a_replayed_one(caller):
    """Step 9 comes after the nonce: what is refused here was proven to be new, and its nonce is used up."""
    block("app", caller.app.pk)
    authorization = caller.authorization("GET", ECHO)
    assert code_of(caller.get(ECHO, authorization=authorization)) == BLACKLISTED
    assert code_of(caller.get(ECHO, authorization=authorization)) == (401, "REPLAYED_NONCE")


def test_the_body_is_the_same_whoever_is_blocked_and_says_nothing_about_why(caller):
    seen = set()
    for kind, text in (("ip", HERE), ("cidr", "198.51.100.0/24"), ("app", caller.app.pk), ("serial", caller.serial_no)):
        entry = block(kind, text)
        document = caller.get(ECHO, REMOTE_ADDR=HERE).json()
        entry.lift(by="olga", now=timezone.now())
        seen.add(json.dumps(document | {"request_id": ""}))
    assert len(seen) == 1
    (body,) = seen
    for word in ("secret", "address", "198.51", "app", "key", "olga"):
        assert word not in body.lower().replace("urn:fenpay:problem:blacklisted", "")


def test_an_app_with_an_allow_list_is_served_from_there_only(caller):
    other = harness.Caller(harness.an_app())
    for text in ("198.51.100.0/28", "2001:db8:1:2::/64"):
        AppAddress.allow(app=caller.app, text=text, reason="till", by="olga", now=timezone.now())
    lists.forget()
    for address in (HERE, f"::ffff:{HERE}", "2001:db8:1:2::9"):
        assert caller.get(ECHO, REMOTE_ADDR=address).status_code == 200
    for address in (ELSEWHERE, "198.51.100.16", "2001:db8:1:3::9", ""):
        answer = caller.get(ECHO, REMOTE_ADDR=address)
        assert code_of(answer) == (403, "IP_NOT_ALLOWED")
        assert is_signed_by_us(answer)
        assert other.get(ECHO, REMOTE_ADDR=address).status_code == 200
    echo_urls.reached.clear()
    assert code_of(caller.post(ECHO, {}, REMOTE_ADDR=ELSEWHERE)) == (403, "IP_NOT_ALLOWED")
    assert echo_urls.reached == []


def test_a_blocked_address_stays_outside_while_the_database_is_away_and_the_rest_goes_on(caller):
    block("ip", HERE)
    assert caller.get(ECHO, REMOTE_ADDR=ELSEWHERE).status_code == 200
    lists.forget()
    with connection.execute_wrapper(lost):
        assert code_of(caller.get(ECHO, REMOTE_ADDR=HERE)) == BLACKLISTED
        assert caller.get(ECHO, REMOTE_ADDR=ELSEWHERE).status_code == 200


def test_a_process_that_has_never_read_the_lists_answers_try_later(caller):
    clear_all()
    with connection.execute_wrapper(lost):
        assert code_of(caller.get(ECHO)) == (503, "TRY_LATER")
    assert echo_urls.reached == []
    assert caller.get(ECHO).status_code == 200


def lost(*_args):
    raise OperationalError("server closed the connection unexpectedly")
