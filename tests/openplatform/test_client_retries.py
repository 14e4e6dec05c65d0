"""What the client sends again, what it does not, and what it says about a write that may have happened."""

import os
import socket
import threading
import time

import pytest

from openplatform.client import (
    NO_RETRIES,
    ApiError,
    Client,
    NoAnswer,
    NotDecided,
    NotVerified,
    Order,
    Refund,
    Retries,
    new_idempotency_key,
)
from openplatform.client.retries import retry_after_s
from tests.openplatform.merchants import answers, drips, merchant_server
from tests.openplatform.platforms import ORDER, OTHER, REFUND, config, nonce_of, platform

QUICK = Retries(backoff_s=0.01, deadline_s=5)
LOST = (None, None, None)
LATER = (503, {"code": "TRY_LATER"}, {})
PLAIN_POST = "/openapi/v1/something/new"


def talk(*script, ask, retries=QUICK):
    with platform(*script) as server:
        try:
            return ask(Client(config(server.port), retries=retries)), server.requests
        except Exception as error:
            error.requests = server.requests
            raise


def create(client, **changes):
    wish = {"out_trade_no": "A1", "amount": "40.30", "subject": "咖啡", "channel": "wechatpay", "method": "native"}
    return client.create_order(**(wish | changes))


def test_a_repeated_call_has_a_fresh_nonce_and_the_same_body_and_idempotency_key():
    key = new_idempotency_key()
    order, requests = talk(
        LATER, LOST, (401, {"code": "REPLAYED_NONCE"}, {}), (201, ORDER, {}),
        ask=lambda client: create(client, idempotency_key=key),
    )  # fmt: skip
    assert order.order_no == "17"
    assert len({nonce_of(request) for request in requests}) == 4
    assert {request.headers["Idempotency-Key"] for request in requests} == {key}
    assert len({request.body for request in requests}) == 1


def test_an_idempotency_key_that_the_platform_would_refuse_is_never_sent():
    for key in ("short", "with space in the key", "x" * 65, "ключ-ключ-ключ-ключ"):
        with platform() as server, pytest.raises(ValueError, match="idempotency key"):
            create(Client(config(server.port)), idempotency_key=key)


@pytest.mark.parametrize(
    ("answer", "is_repeated"),
    [
        ((429, {"code": "RATE_LIMITED"}, {}), True),
        (LATER, True),
        ((409, {"code": "IDEMPOTENCY_IN_PROGRESS"}, {}), True),
        ((401, {"code": "REPLAYED_NONCE"}, {}), True),
        ((502, b"<html>", {"absent": True}), True),
        ((504, b"<html>", {"absent": True}), True),
        (LOST, True),
        ((400, {"code": "PARAM_ERROR"}, {}), False),
        ((401, {"code": "SIGN_ERROR"}, {"absent": True}), False),
        ((403, {"code": "APP_DISABLED"}, {}), False),
        ((404, {"code": "NOT_FOUND"}, {}), False),
        ((409, {"code": "INVALID_STATE"}, {}), False),
        ((422, {"code": "OUT_TRADE_NO_REUSED"}, {}), False),
        ((500, {"code": "SYSTEM_ERROR"}, {}), False),
    ],
)
def test_what_may_pass_is_repeated_and_what_will_not_become_better_is_not(answer, is_repeated):
    if is_repeated:
        order, requests = talk(answer, (200, ORDER, {}), ask=create)
        assert (order.order_no, len(requests)) == ("17", 2)
    else:
        with pytest.raises(ApiError) as refused:
            talk(answer, ask=create)
        assert len(refused.value.requests) == 1


def test_a_write_that_nobody_vouches_for_is_sent_again_only_when_it_was_certainly_not_carried_out():
    def ask(client):
        return client.post(PLAIN_POST, {"a": 1})

    for answer in (LOST, LATER, (502, b"", {"absent": True}), (401, {"code": "REPLAYED_NONCE"}, {})):
        with pytest.raises((NoAnswer, ApiError)) as failed:
            talk(answer, ask=ask)
        assert failed.value.may_have_happened
        assert len(failed.value.requests) == 1
    _answer, requests = talk((429, {"code": "RATE_LIMITED"}, {}), (200, ORDER, {}), ask=ask)
    assert len(requests) == 2
    _answer, requests = talk(
        LOST, (200, ORDER, {}),
        ask=lambda client: client.post(PLAIN_POST, {"a": 1}, idempotency_key=new_idempotency_key()),
    )  # fmt: skip
    assert len(requests) == 2


def test_nobody_at_the_door_means_that_nothing_was_sent():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(NoAnswer) as unknown:
            create(Client(config(nobody.getsockname()[1]), retries=QUICK))
    assert not unknown.value.may_have_happened
    assert "query" not in str(unknown.value)


@pytest.mark.parametrize(
    ("answer", "may_have_happened"),
    [
        (LOST, True),
        ((201, ORDER, {"key": OTHER}), True),
        ((400, {"code": "PARAM_ERROR"}, {}), False),
        ((400, {"code": "PARAM_ERROR"}, {"absent": True}), True),
        ((400, {"code": "PARAM_ERROR"}, {"key": OTHER}), True),
        ((404, b"<html>", {"absent": True}), True),
        ((500, {"code": "SYSTEM_ERROR"}, {}), True),
        ((429, {"code": "RATE_LIMITED"}, {}), False),
        (LATER, True),
    ],
)
def test_each_error_says_whether_the_write_may_have_happened(answer, may_have_happened):
    for ask, expected in ((create, may_have_happened), (lambda client: client.get_order("17"), False)):
        with pytest.raises((ApiError, NotVerified, NoAnswer)) as failed:
            talk(answer, ask=ask, retries=NO_RETRIES)
        assert failed.value.may_have_happened is expected
        assert ("it may have happened" in str(failed.value)) is expected


def test_a_refusal_after_a_lost_attempt_does_not_say_that_nothing_happened():
    with pytest.raises(ApiError, match="INVALID_STATE") as refused:
        talk(LOST, (409, {"code": "INVALID_STATE"}, {}), ask=lambda client: client.close_order("17"))
    assert refused.value.may_have_happened


def test_retry_after_is_waited_for_and_then_some():
    pauses = []
    with platform((429, {"code": "RATE_LIMITED"}, {"headers": ["Retry-After: 3"]}), (200, ORDER, {})) as server:
        create(Client(config(server.port), sleep=pauses.append))
    assert 3.0 < pauses[0] < 4.0


def test_a_wait_that_is_longer_than_the_deadline_is_the_callers_to_decide():
    with platform((429, {"code": "RATE_LIMITED"}, {"headers": ["Retry-After: 3600"]})) as server:
        with pytest.raises(ApiError) as refused:
            create(Client(config(server.port)))
        assert refused.value.retry_after_s == 3600
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("7", 7), ("Thu, 01 Jan 2026 00:00:00 GMT", 0), ("soon", None), ("", None), ("-1", None), ("１", None)],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert retry_after_s({"Retry-After": text}) == seconds


def test_pauses_grow_to_a_limit_and_are_not_the_same_for_two_clients():
    policy = Retries()
    for tries, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 5.0), (9, 5.0)):
        pauses = {policy.pause_s(tries=tries, asked_s=None) for _ in range(50)}
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(pauses) > 40


def test_all_attempts_end_at_the_deadline():
    began = time.monotonic()
    with merchant_server(lambda connection: time.sleep(5)) as server, pytest.raises(NoAnswer):
        Client(config(server.port), retries=Retries(deadline_s=0.6, backoff_s=0.01)).get_order("17")
    assert time.monotonic() - began < 3


def test_an_answer_that_drips_costs_the_deadline_and_no_more():
    began = time.monotonic()
    with merchant_server(drips) as server, pytest.raises(NoAnswer):
        Client(config(server.port), retries=Retries(deadline_s=0.6, tries_max=1)).get_order("17")
    assert time.monotonic() - began < 5


def test_an_endless_answer_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr("openplatform.client.sending.ANSWER_BYTES_MAX", 10_000)
    with merchant_server(answers(200, b"x" * 100_000)) as server, pytest.raises(NoAnswer, match="Timeout"):
        Client(config(server.port), retries=NO_RETRIES).get_order("17")


def test_an_answer_that_breaks_off_is_no_answer():
    def breaks_off(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}")

    with merchant_server(breaks_off) as server, pytest.raises(NoAnswer):
        create(Client(config(server.port), retries=NO_RETRIES))


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_wrong_clock_is_said_and_not_silently_corrected():
    problem = {"code": "SIGN_ERROR", "detail": "The timestamp is too old.", "server_time": int(time.time()) + 412}
    with pytest.raises(ApiError, match=r"41[0-4] s behind the platform's: set it") as refused:
        talk((401, problem, {"absent": True}), ask=create)
    assert refused.value.clock_off_by_s in range(-414, -409)
    assert len(refused.value.requests) == 1, "it must not be tried again with a corrected clock"


def test_an_error_names_the_fields_the_reasons_and_the_request():
    problem = {
        "code": "PARAM_ERROR", "detail": "Some fields are not right; see errors.", "request_id": "r-17",
        "errors": [{"field": "amount", "reason": "AMOUNT_ZERO"}, {"field": "", "reason": "x"}, "nonsense"],
    }  # fmt: skip
    with pytest.raises(ApiError) as refused:
        talk((400, problem, {}), ask=create)
    assert str(refused.value) == (
        "400 PARAM_ERROR: Some fields are not right; see errors.; amount: AMOUNT_ZERO; body: x; request r-17"
    )
    assert refused.value.errors == (("amount", "AMOUNT_ZERO"), ("", "x"))


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_waiting_ends_when_the_order_has_ended_and_bears_a_platform_that_is_away_for_a_moment():
    ended = ORDER | {"status": "SUCCEEDED"}
    pauses = []
    with platform((200, ORDER, {}), *[LATER] * 4, (200, ended, {})) as server:
        client = Client(config(server.port), retries=QUICK, sleep=pauses.append)
        order = client.wait_until_decided(Order.read(ORDER), timeout_s=30)
    assert order.is_paid
    assert pauses[0] == 1.0


def test_waiting_for_a_refund_gives_a_refund():
    with platform((200, REFUND | {"status": "SUCCEEDED"}, {})) as server:
        client = Client(config(server.port), sleep=lambda seconds: None)
        refund = client.wait_until_decided(Refund.read(REFUND), timeout_s=30)
    assert refund.status == "SUCCEEDED"


def test_waiting_ends_at_its_time_with_the_last_view():
    with merchant_server(lambda connection: None) as server:
        client = Client(config(server.port), retries=Retries(deadline_s=0.2, backoff_s=0.01))
        with pytest.raises(NotDecided) as ended:
            client.wait_until_decided(Order.read(ORDER), timeout_s=0.3)
    assert ended.value.last.status == "PAYING"


def test_waiting_does_not_hide_a_refusal():
    with platform((404, {"code": "NOT_FOUND"}, {})) as server, pytest.raises(ApiError, match="NOT_FOUND"):
        Client(config(server.port), sleep=lambda seconds: None).wait_until_decided(Order.read(ORDER), timeout_s=5)


# --- threads and processes ------------------------------------------------------------------------------------------


def test_threads_share_a_client_and_no_connection():
    with platform() as server:
        client = Client(config(server.port))
        seen = []
        threads = [threading.Thread(target=lambda: seen.append(client._sender._session())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(session) for session in [*seen, client._sender._session()]}) == 4


def test_a_forked_process_has_connections_of_its_own(monkeypatch):
    client = Client(config())
    before = client._sender._session()
    assert client._sender._session() is before
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert client._sender._session() is not before
