"""A hint costs a caller next to nothing, whatever the broker does."""

import socket
import threading
import time

import pytest
from celery import current_app
from django.db import transaction

from openplatform import hints


@pytest.fixture
def publisher(monkeypatch):
    """A process's own publisher, as after a fork."""
    fresh = hints._Publisher()
    monkeypatch.setattr(hints, "_publisher", fresh)
    return fresh


def broker_at(monkeypatch, port):
    monkeypatch.setattr(
        hints, "_connect",
        lambda: current_app.connection_for_write(
            f"redis://127.0.0.1:{port}/0", connect_timeout=hints.TIMEOUT_S,
            transport_options={
                "socket_timeout": hints.TIMEOUT_S, "socket_connect_timeout": hints.TIMEOUT_S, "max_retries": 0,
                "retry_on_timeout": False,
            },
        ),
    )  # fmt: skip


@pytest.fixture(params=["refuses", "black hole", "silent"])
def dead_broker(request, monkeypatch):
    """The three ways of a broker to be gone."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port, blockers = listener.getsockname()[1], []
    if request.param == "black hole":
        listener.listen(0)
        for _ in range(4):
            blocker = socket.socket()
            blocker.setblocking(False)
            blocker.connect_ex(("127.0.0.1", port))
            blockers.append(blocker)
    elif request.param == "silent":
        listener.listen(16)
    broker_at(monkeypatch, port)
    yield
    for one in [*blockers, listener]:
        one.close()


def test_a_dead_broker_costs_about_half_a_second_once_and_then_nothing(publisher, dead_broker):
    started = time.monotonic()
    assert hints.send_now("payments.drive_payment", payment_no=1) is False
    first_s = time.monotonic() - started
    assert first_s < 1.3
    started = time.monotonic()
    for _ in range(100):
        assert hints.send_now("payments.drive_payment", payment_no=1) is False
    assert time.monotonic() - started < 0.1, "nobody asks a broker that has just failed"


def test_twenty_threads_and_a_silent_broker_are_all_free_again_soon(publisher, dead_broker):
    started, ended = time.monotonic(), []

    def send():
        hints.send_now("payments.drive_payment", payment_no=1)
        ended.append(time.monotonic() - started)

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(ended) < 1.5


def test_a_hint_arrives_in_the_queue_that_was_named(publisher, settings):
    settings.HINTS_ENABLED = True
    assert hints.send_now("payments.drive_payment", queue="channel.test-queue", payment_no=42)
    with current_app.connection_for_read() as connection:
        message = connection.SimpleQueue("channel.test-queue").get(timeout=2)
        message.ack()
        assert message.headers["task"] == "payments.drive_payment"
        assert message.payload[1] == {"payment_no": 42}


@pytest.mark.django_db(transaction=True)
def test_a_hint_is_sent_only_when_its_transaction_commits(publisher, settings, monkeypatch):
    settings.HINTS_ENABLED = True
    sent = []
    monkeypatch.setattr(hints, "send_now", lambda name, **kwargs: sent.append(kwargs["payment_no"]))
    with transaction.atomic():
        hints.hint("payments.drive_payment", payment_no=1)
        assert sent == []
    assert sent == [1]
    with transaction.atomic():
        hints.hint("payments.drive_payment", payment_no=2)
        transaction.set_rollback(True)
    assert sent == [1]


def test_after_the_quiet_time_the_broker_is_asked_again(publisher, dead_broker, monkeypatch):
    hints.send_now("payments.drive_payment", payment_no=1)
    monkeypatch.undo()
    publisher.quiet_until = 0.0
    assert publisher.publish("payments.drive_payment", queue="channel.test-queue-2", kwargs={"payment_no": 1})
