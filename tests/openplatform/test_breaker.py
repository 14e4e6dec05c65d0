"""The breaker on a real Valkey: when it opens, who may try, and that it forgets."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from openplatform import breaker
from openplatform.breaker import Breaker
from openplatform.store import store

OPEN_MS = 150


@pytest.fixture
def one(monkeypatch):
    monkeypatch.setattr(breaker, "OPEN_MS", OPEN_MS)
    monkeypatch.setattr(breaker, "OPEN_MAX_MS", 4 * OPEN_MS)
    return Breaker(f"test-{secrets.token_hex(8)}")


def fail(one, times):
    for _ in range(times):
        one.record(failed=True)


def wait(share=1.2):
    time.sleep(OPEN_MS / 1000 * share)


def test_it_opens_when_failures_outweigh_successes_and_not_before(one):
    for _ in range(20):  # half of the calls fail: that is trouble, but calls still get through
        one.record(failed=True)
        one.record(failed=False)
    assert one.may_call()
    fail(one, breaker.THRESHOLD - 1)
    assert one.may_call()
    fail(one, 1)
    assert not one.may_call()


def test_a_success_closes_it_at_once(one):
    fail(one, breaker.THRESHOLD)
    one.record(failed=False)
    assert one.may_call()
    fail(one, breaker.THRESHOLD - 1)
    assert one.may_call(), "its points began anew"


def test_after_a_while_exactly_one_of_many_may_try(one):
    fail(one, breaker.THRESHOLD)
    wait()
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: one.may_call(), range(32))) == 1
    one.record(failed=False)
    assert one.may_call()


def test_a_trial_that_fails_opens_it_for_twice_as_long_up_to_a_limit(one):
    fail(one, breaker.THRESHOLD)
    opened_for = []
    for _ in range(4):
        with store() as client:
            opened_for.append(int(client.hget(f"breaker:{one.name}", "open_for")))
            client.hset(f"breaker:{one.name}", "open_until", 0)
        assert one.may_call()
        one.record(failed=True)
        assert not one.may_call()
    assert opened_for == [OPEN_MS, 2 * OPEN_MS, 4 * OPEN_MS, 4 * OPEN_MS]


def test_failures_of_calls_that_did_not_ask_do_not_keep_it_open_for_ever(one):
    fail(one, breaker.THRESHOLD)
    fail(one, 50)  # queries go on while it is open
    wait()
    assert one.may_call()


def test_a_caller_that_died_in_its_trial_gives_way_to_the_next(one, monkeypatch):
    monkeypatch.setattr(breaker, "TRIAL_MS", OPEN_MS)
    fail(one, breaker.THRESHOLD)
    wait()
    assert one.may_call()
    assert not one.may_call()
    wait()
    assert one.may_call()


def test_every_breaker_is_forgotten_by_time(one):
    for times in (1, breaker.THRESHOLD):
        fail(one, times)
        with store() as client:
            assert 0 < client.pttl(f"breaker:{one.name}") <= breaker.MEMORY_MS + OPEN_MS


def test_without_the_store_every_call_is_let_through(one, settings):
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    fail(one, 2 * breaker.THRESHOLD)
    assert one.may_call()


def test_opening_and_closing_is_said_once(one, caplog):
    fail(one, breaker.THRESHOLD + 3)
    one.record(failed=False)
    one.record(failed=False)
    assert [record.getMessage() for record in caplog.records] == [
        f"breaker {one.name} opened",
        f"breaker {one.name} closed",
    ]
