"""The store may be refused, silent or out of memory: what that costs, and what it lets through."""

import os
import socket
import subprocess
import sys
import time

import pytest
import redis

from openplatform import nonces, store
from tests.openplatform import echo_urls

ECHO = "/openapi/v1/echo"


@pytest.fixture(params=["refused", "silent", "black hole", "no such socket"])
def dead_store(request, settings):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url, extra = f"redis://127.0.0.1:{listener.getsockname()[1]}/0", []
    if request.param == "silent":
        listener.listen(64)
    elif request.param == "black hole":
        listener.listen(0)
        for _ in range(4):
            blocker = socket.socket()
            blocker.setblocking(False)
            blocker.connect_ex(listener.getsockname())
            extra.append(blocker)
    elif request.param == "no such socket":
        url = "unix:///nowhere/valkey.sock"
    settings.REDIS_URL = url
    yield request.param
    for one in [listener, *extra]:
        one.close()
    store.circuit.reset()


def test_a_dead_store_is_noticed_in_the_time_that_is_set_and_then_not_asked_for_a_second(dead_store, settings):
    started = time.monotonic()
    with pytest.raises(store.StoreDown):
        nonces.remember(serial_no="SERIAL_01", nonce="x" * 16)
    assert time.monotonic() - started < settings.REDIS_TIMEOUT_S + 0.1
    started = time.monotonic()
    for _ in range(1_000):
        with pytest.raises(store.StoreDown):
            nonces.remember(serial_no="SERIAL_01", nonce="x" * 16)
    assert time.monotonic() - started < 1.0, "a thousand requests, not one of which waits"


@pytest.mark.django_db
@pytest.mark.urls("tests.openplatform.echo_urls")
def test_without_the_store_reads_are_answered_and_writes_wait(dead_store, caller):
    echo_urls.reached.clear()
    write = caller.post(ECHO, {})
    assert (write.status_code, write.json()["code"], write.headers["Retry-After"]) == (503, "TRY_LATER", "1")
    assert echo_urls.reached == []
    assert caller.get(ECHO).status_code == 200


@pytest.mark.django_db
@pytest.mark.urls("tests.openplatform.echo_urls")
def test_a_second_after_the_store_is_back_writes_pass_again(caller, settings):
    real, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/valkey.sock"
    assert caller.post(ECHO, {}).status_code == 503
    settings.REDIS_URL = real
    assert caller.post(ECHO, {}).status_code == 503, "nobody asks within the second"
    time.sleep(store.COOL_OFF_S)
    assert caller.post(ECHO, {}).status_code == 201


def test_a_store_that_is_full_counts_as_down_and_never_forgets_instead(settings):
    with store.store() as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.config_set("maxmemory", 1)
    try:
        with pytest.raises(store.StoreDown):
            nonces.remember(serial_no="SERIAL_01", nonce="full" * 5)
    finally:
        redis.Redis.from_url(settings.REDIS_URL).config_set("maxmemory", 0)
        store.circuit.reset()
    assert not nonces.remember(serial_no="SERIAL_01", nonce="full" * 5).is_replay


def test_a_nonce_is_new_once():
    assert not nonces.remember(serial_no="SERIAL_01", nonce="new-just-once-123").is_replay
    assert nonces.remember(serial_no="SERIAL_01", nonce="new-just-once-123").is_replay
    assert not nonces.remember(serial_no="SERIAL_02", nonce="new-just-once-123").is_replay


def test_the_library_is_not_imported_before_the_store_is_asked():
    program = (
        "import sys, django; django.setup()\n"
        "from config import urls\n"
        "before = 'redis' in sys.modules\n"
        "from openplatform import store; store.prepare()\n"
        "print(before, 'redis' in sys.modules)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "TRACING": "off"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
