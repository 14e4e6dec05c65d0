"""Blocking by itself: what counts, against whom, and never against the one that the stranger named."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.utils import timezone

from openplatform.blocks import failures, lists
from openplatform.caches import clear_all
from openplatform.key_states import SYSTEM
from openplatform.models import AppKey, BlockEntry, ExemptAddress, ListMarker
from openplatform.store import store
from tests.openplatform import harness

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
ECHO = "/openapi/v1/echo"
ATTACKER, VICTIM = "1.2.3.4", "8.8.4.4"
LIMIT = 30


@pytest.fixture(autouse=True)
def nobody_is_remembered():
    with store() as client:
        for key in client.scan_iter("block:*"):
            client.delete(key)


def code_of(answer):
    return answer.status_code, answer.json().get("code")


def forge(caller, *, address=ATTACKER, times=1, **kwargs):
    """Requests in the name of `caller` that it did not sign."""
    answers = [
        caller.get(ECHO, REMOTE_ADDR=address, authorization=caller.authorization("GET", ECHO + "/x", **kwargs))
        for _ in range(times)
    ]
    return Counter(code_of(answer) for answer in answers)


def automatic():
    return [(entry.kind, entry.value) for entry in BlockEntry.objects.filter(source="auto").order_by("pk")]


def test_the_thirtieth_wrong_signature_blocks_the_address_for_ten_minutes(caller, caplog):
    assert forge(caller, times=LIMIT) == {(401, "SIGN_ERROR"): LIMIT}
    (entry,) = BlockEntry.objects.all()
    assert (entry.kind, entry.value, entry.source, entry.tail) == ("ip", ATTACKER, "auto", "")
    assert entry.expires_at - entry.created_at == timedelta(minutes=10)
    assert forge(caller) == {(403, "BLACKLISTED"): 1}
    assert f"{ATTACKER}/32 is blocked until" in caplog.text
    compiled = lists.current_lists()
    assert compiled.suspects_address(ATTACKER, now=entry.expires_at - timedelta(seconds=1))
    assert not compiled.suspects_address(ATTACKER, now=entry.expires_at)


def test_twenty_nine_do_not(caller):
    forge(caller, times=LIMIT - 1)
    assert automatic() == []
    assert caller.get(ECHO, REMOTE_ADDR=ATTACKER).status_code == 200


def test_an_attacker_who_names_a_victim_from_fifty_addresses_changes_nothing_for_the_victim(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 5
    for number in range(50):
        forge(caller, address=f"1.2.{number}.4", times=6)
        assert caller.get(ECHO, REMOTE_ADDR=VICTIM).status_code == 200
        assert caller.post(ECHO, {}, REMOTE_ADDR=VICTIM).status_code == 201
    assert len(automatic()) == 50
    assert {kind for kind, _value in automatic()} == {"ip"}
    clear_all()
    assert caller.get(ECHO, REMOTE_ADDR=VICTIM).status_code == 200
    assert AppKey.objects.get(pk=caller.serial_no).status == "active"


@pytest.mark.parametrize(
    "named",
    [
        {"mchid": "1234567890123456789"},
        {"serial_no": "NO_SUCH_KEY"},
        {"timestamp": "1000000000"},
        {"signature": "QUFB"},
    ],
    ids=["unknown app", "unknown key", "stale and not signed", "no signature at all"],
)
def test_every_failure_that_only_a_stranger_makes_counts(caller, settings, named):
    settings.AUTO_BLOCK_FAILURES = 3
    forge(caller, times=3, **named)
    assert automatic() == [("ip", ATTACKER)]


def test_what_is_only_malformed_or_only_refused_does_not_count(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 3
    for _ in range(4):
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, authorization="")
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, authorization="Basic b2xnYTpvbGdh")
        caller.post(ECHO, b"{no json", REMOTE_ADDR=ATTACKER)
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, raw_uri="//x")
    clear_all()
    assert automatic() == []


def test_a_replayed_request_does_not_count(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 3
    authorization = caller.authorization("GET", ECHO)
    codes = [code_of(caller.get(ECHO, REMOTE_ADDR=ATTACKER, authorization=authorization)) for _ in range(5)]
    assert codes[1:] == [(401, "REPLAYED_NONCE")] * 4
    assert automatic() == []


def test_a_merchant_with_a_wrong_clock_goes_on_hearing_what_ours_says(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 3
    for _ in range(10):
        answer = caller.get(ECHO, REMOTE_ADDR=VICTIM, signing={"timestamp": "1000000000"})
        assert code_of(answer) == (401, "SIGN_ERROR")
        assert answer.json()["server_time"] > 1_000_000_000
    assert automatic() == []


def test_a_merchant_behind_the_attackers_address_goes_on_even_if_it_was_never_seen_before(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 3
    forge(caller, times=3)
    assert automatic() == [("ip", ATTACKER)]
    assert caller.get(ECHO, REMOTE_ADDR=ATTACKER).status_code == 200
    assert caller.post(ECHO, {}, REMOTE_ADDR=ATTACKER).status_code == 201
    assert forge(caller, times=5) == {(403, "BLACKLISTED"): 5}


def test_from_a_blocked_address_only_the_right_signature_of_a_key_that_counts_passes(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 3
    revoked = harness.Caller(caller.app, key=harness.a_key())
    AppKey.objects.get(pk=revoked.serial_no).revoke(now=timezone.now(), by=SYSTEM)
    forge(caller, times=3)
    neighbour = harness.Caller(harness.an_app(), key=harness.a_key())
    for answer in (
        revoked.get(ECHO, REMOTE_ADDR=ATTACKER),
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, authorization=""),
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, authorization="nonsense"),
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, raw_uri="//x"),
        caller.send("PUT", ECHO, REMOTE_ADDR=ATTACKER),
        caller.post(ECHO, {}, REMOTE_ADDR=ATTACKER, CONTENT_LENGTH="70000"),
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, signing={"mchid": str(neighbour.app.pk)}),
        caller.get(ECHO, REMOTE_ADDR=ATTACKER, signing={"serial_no": neighbour.serial_no}),
    ):
        assert code_of(answer) == (403, "BLACKLISTED")
        assert not harness.is_signed_by_us(answer)
    assert neighbour.get(ECHO, REMOTE_ADDR=ATTACKER).status_code == 200


def test_a_merchant_with_a_wrong_clock_behind_a_blocked_address_hears_our_clock(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 3
    forge(caller, times=3)
    answer = caller.get(ECHO, REMOTE_ADDR=ATTACKER, signing={"timestamp": "1000000000"})
    assert code_of(answer) == (401, "SIGN_ERROR")
    assert answer.json()["server_time"] > 1_000_000_000
    assert forge(caller, timestamp="1000000000") == {(403, "BLACKLISTED"): 1}


def test_made_up_names_from_a_blocked_address_cost_one_query_and_no_body(
    caller, settings, django_assert_num_queries, monkeypatch
):
    settings.AUTO_BLOCK_FAILURES = 3
    forge(caller, times=3)
    made_up = [{"serial_no": f"MADE_UP_{number}"} for number in range(20)]
    made_up += [{"mchid": f"{10**17 + number}"} for number in range(20)]  # with a serial number that somebody has
    monkeypatch.setattr(HttpRequest, "body", property(lambda _request: pytest.fail("the body was read")))
    lists.current_lists()
    with django_assert_num_queries(1):
        assert sum((forge(caller, **named) for named in made_up), Counter()) == {(403, "BLACKLISTED"): 40}


def test_failures_from_a_blocked_address_are_not_counted_again(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 3
    forge(caller, times=3)
    marker = ListMarker.read()
    forge(caller, times=10)
    assert ListMarker.read() == marker
    with store() as client:
        assert list(client.scan_iter("block:*")) == []


@pytest.mark.parametrize("place", [ATTACKER, "1.2.0.0/16"])
def test_an_exempt_address_is_never_blocked_by_itself(caller, settings, place):
    settings.AUTO_BLOCK_FAILURES = 3
    ExemptAddress.exempt(text=place, reason="monitoring", by="olga", now=timezone.now())
    lists.forget()
    assert forge(caller, times=10) == {(401, "SIGN_ERROR"): 10}
    assert automatic() == []


@pytest.mark.parametrize("address", ["10.0.0.9", "127.0.0.1", "::1", "fd00::1", "100.64.0.1", "", "nonsense"])
def test_an_address_that_stands_for_many_is_never_blocked_by_itself(caller, settings, address):
    settings.AUTO_BLOCK_FAILURES = 3
    assert forge(caller, address=address, times=10) == {(401, "SIGN_ERROR"): 10}
    assert automatic() == []


def test_an_ipv6_attacker_is_counted_and_blocked_with_its_whole_64(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 8
    for number in range(8):
        forge(caller, address=f"2400:cb00:1:2::{number:x}")
    assert automatic() == [("cidr", "2400:cb00:1:2::/64")]
    assert forge(caller, address="2400:cb00:1:2:ffff::1") == {(403, "BLACKLISTED"): 1}
    assert forge(caller, address="2400:cb00:1:3::1") == {(401, "SIGN_ERROR"): 1}


def test_ipv4_in_ipv6s_clothes_is_counted_as_what_it_is(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 2
    forge(caller)
    forge(caller, address=f"::ffff:{ATTACKER}")
    assert automatic() == [("ip", ATTACKER)]


def test_it_can_be_switched_off(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 0
    forge(caller, times=5)
    assert automatic() == []
    with store() as client:
        assert list(client.scan_iter("block:failures:*")) == []


def test_without_the_store_nothing_is_blocked_by_itself_and_nothing_breaks(caller, settings):
    settings.AUTO_BLOCK_FAILURES = 2
    real, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/valkey.sock"
    assert forge(caller, times=5) == {(401, "SIGN_ERROR"): 5}
    assert caller.get(ECHO, REMOTE_ADDR=VICTIM).status_code == 200
    settings.REDIS_URL = real
    assert automatic() == []


def test_a_row_that_cannot_be_written_costs_nobody_an_answer(caller, settings, caplog):
    settings.AUTO_BLOCK_FAILURES = 2
    forge(caller)

    def lost(*_args):
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(lost):
        assert forge(caller) == {(401, "SIGN_ERROR"): 1}
    assert "could not be blocked" in caplog.text
    assert forge(caller, times=2) == {(401, "SIGN_ERROR"): 2}
    assert automatic() == [("ip", ATTACKER)], "the next time it is"


# --- the count itself ------------------------------------------------------------------------------------------------


def count(limit, *, network="1.2.3.4"):
    return failures._count(failures.owned_network(failures.read_address(network)))


def test_the_window_slides_and_every_key_has_an_end(settings, monkeypatch):
    settings.AUTO_BLOCK_FAILURES = 3
    monkeypatch.setattr(failures, "WINDOW_S", 0.4)
    pause = threading.Event()
    assert [count(3), count(3)] == [0, 0]
    with store() as client:
        assert 0 < client.pttl("block:failures:1.2.3.4") <= 400
    pause.wait(0.25)
    assert count(3) == 1, "three within the window"
    with store() as client:
        assert not client.exists("block:failures:1.2.3.4")
    count(3)
    pause.wait(0.25)
    count(3)
    pause.wait(0.25)
    assert count(3) == 0, "the first of the three is too old"
    with store() as client:
        assert client.llen("block:failures:1.2.3.4") == 3
        assert 0 < client.pttl("block:failures:1.2.3.4") <= 400


def test_of_many_at_once_each_thirtieth_crosses_the_line(settings):
    def hammer(_number):
        return [count(LIMIT) for _ in range(30)]

    with ThreadPoolExecutor(8) as pool:
        crossed = sum(sum(outcomes) for outcomes in pool.map(hammer, range(8)))
    assert crossed == 8
