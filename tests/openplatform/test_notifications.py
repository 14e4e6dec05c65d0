"""What is owed is told, in time, and never in a way that a merchant or a stranger could use against us."""

import logging
import random
import socket
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from openplatform.models import Notification, NotificationAttempt
from openplatform.models.notification import LEASE, NotificationStatus
from openplatform.notifications import owe, schedule
from openplatform.notifications.delivery import Outcome, deliver_notification, record_outcome
from tests.openplatform import harness, merchants
from tests.openplatform.merchants import answers
from tests.openplatform.notices import DATA, DEADLINE_S, app, deliver, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]


# --- owing ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_it_is_owed_only_inside_the_transaction_that_makes_the_change(platform_key):
    wish = {
        "app": harness.an_app(), "event_type": "x", "object_no": 1, "object_version": 1, "data": {},
        "notify_url": "https://a.example/", "now": timezone.now(),
    }  # fmt: skip
    with pytest.raises(RuntimeError, match="inside the transaction"):
        owe(**wish)
    with transaction.atomic():
        owe(**wish)
        transaction.set_rollback(True)
    assert Notification.objects.count() == 0
    with transaction.atomic():
        owe(**wish)
    assert Notification.objects.count() == 1


def test_without_an_address_nothing_is_owed(app):
    assert owed(app, "") is None
    assert Notification.objects.count() == 0


# --- a delivery ----------------------------------------------------------------------------------------------


def test_a_notification_arrives_signed_and_complete(app, serve, platform_key):
    server = serve(answers(200, b"ok"))
    now = timezone.now()
    notification = deliver(owed(app, server.url, now=now))
    assert notification.status == NotificationStatus.DELIVERED
    (received,) = server.requests
    assert received.line == "POST /notify HTTP/1.1"
    assert received.document == {
        "event_id": str(notification.pk), "type": "order.succeeded", "created_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "object_version": 3, "app_id": str(app.pk), "data": DATA,
    }  # fmt: skip
    assert "两杯咖啡".encode() in received.body
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Fenpay-Notification-Id"] == str(notification.pk)
    assert received.headers["Fenpay-Signature-Type"] == "FENPAY-SHA256-RSA2048"
    assert received.headers["Fenpay-Serial"] == platform_key.pk
    assert abs(int(received.headers["Fenpay-Timestamp"]) - time.time()) < 5
    assert harness.proves(platform_key.public_key_pem, received.headers, received.body)
    attempt = notification.attempts.get()
    assert (attempt.attempt_no, attempt.status_code, attempt.response_excerpt, attempt.error) == (1, 200, "ok", "")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_delivery(app, serve, status):
    assert deliver(owed(app, serve(answers(status)).url)).status == NotificationStatus.DELIVERED


@pytest.mark.parametrize(
    "behaviour",
    [answers(200, b"x" * 4_097), answers(200, b"x" * 3_000_000), merchants.drips, merchants.breaks_off],
    ids=["over 4 KiB", "megabytes", "drips for half a minute", "breaks off"],
)
def test_the_status_decides_and_the_rest_of_the_body_is_not_read(app, serve, behaviour):
    started = time.monotonic()
    notification = deliver(owed(app, serve(behaviour).url))
    assert notification.status == NotificationStatus.DELIVERED
    assert time.monotonic() - started < DEADLINE_S + 2.0
    attempt = notification.attempts.get()
    assert (attempt.status_code, attempt.error) == (200, "")
    assert len(attempt.response_excerpt) <= 512


def test_410_ends_it(app, serve):
    notification = deliver(owed(app, serve(answers(410)).url))
    assert (notification.status, notification.next_attempt_at) == (NotificationStatus.GONE, None)


@pytest.mark.parametrize(
    ("behaviour", "status_code", "error"),
    [
        (answers(500), 500, ""),
        (answers(503), 503, ""),
        (answers(400), 400, ""),
        (answers(404), 404, ""),
        (answers(301, b"", "Location: http://127.0.0.1:1/"), 301, ""),
        (answers(304), 304, ""),
        (merchants.silent, None, "deadline"),
        (merchants.endless_headers, None, "deadline"),
        (merchants.hangs_up, None, "connection_broken"),
        (merchants.says_nonsense, None, "connection_broken"),
    ],
)
def test_everything_else_is_tried_again_within_the_deadline_and_by_the_schedule(
    app, serve, behaviour, status_code, error
):
    server = serve(behaviour)
    notification = owed(app, server.url)
    started, now = time.monotonic(), timezone.now()
    deliver(notification, now=now)
    assert time.monotonic() - started < DEADLINE_S + 2.0, "and not the 30 seconds that it would take"
    assert notification.status == NotificationStatus.OWED
    assert timedelta(seconds=15) <= notification.next_attempt_at - now <= timedelta(seconds=16.5)
    assert notification.lease_until is None
    attempt = notification.attempts.get()
    assert (attempt.status_code, attempt.error) == (status_code, error)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed(app, serve):
    target = serve(answers(200))
    server = serve(answers(302, b"", f"Location: {target.url}"))
    deliver(owed(app, server.url))
    assert target.requests == []


def test_a_server_that_is_not_there_is_a_failure_like_any_other(app, settings):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        host = f"127.0.0.1:{nobody.getsockname()[1]}"
        settings.NOTIFICATION_ALLOW_HTTP, settings.NOTIFICATION_PRIVATE_HOSTS = True, [host]
        assert deliver(owed(app, f"http://{host}/notify")).attempts.get().error == "connect_refused"


@pytest.mark.parametrize(
    "url", ["http://{host}/notify", "https://169.254.169.254/latest", "https://localhost/", "ftp://x.example/"]
)
def test_an_address_that_we_must_not_call_is_not_called(app, serve, settings, url):
    server = serve(answers(200))
    settings.NOTIFICATION_PRIVATE_HOSTS, settings.NOTIFICATION_ALLOW_HTTP = [], False
    notification = deliver(owed(app, url.format(host=server.host)))
    assert notification.attempts.get().error == "url_refused"
    assert server.requests == []


def test_the_answer_is_kept_short_and_fit_for_the_database(app, serve):
    notification = deliver(owed(app, serve(answers(500, b"\x00\xff<b>" + "钱".encode() * 900)).url))
    excerpt = notification.attempts.get().response_excerpt
    assert len(excerpt) <= 512
    assert "\x00" not in excerpt


def test_each_attempt_is_signed_anew_over_the_same_body_under_the_same_id(app, serve, platform_key):
    server = serve(answers(500))
    notification = deliver(owed(app, server.url))
    deliver(notification, now=notification.next_attempt_at)
    first, second = server.requests
    assert first.body == second.body
    assert first.headers["Fenpay-Notification-Id"] == second.headers["Fenpay-Notification-Id"]
    assert first.headers["Fenpay-Nonce"] != second.headers["Fenpay-Nonce"]
    assert first.headers["Fenpay-Timestamp"] != second.headers["Fenpay-Timestamp"]
    assert harness.proves(platform_key.public_key_pem, second.headers, second.body)


# --- tracing -------------------------------------------------------------------------------------------------


def test_the_delivery_joins_the_trace_of_the_change_and_tells_the_merchant_nothing_of_it(app, serve, monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("openplatform.tracing._tracer", provider.get_tracer("test"))
    server = serve(answers(200))
    trace_id = f"{random.getrandbits(128):032x}"
    notification = owed(app, server.url, traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    with trace.use_span(trace.INVALID_SPAN):
        deliver(notification)
    (span,) = exporter.get_finished_spans()
    assert span.name == "notification.deliver"
    assert f"{span.context.trace_id:032x}" == trace_id
    assert span.attributes["http.response.status_code"] == 200
    (received,) = server.requests
    assert trace_id not in str(received.headers) + received.body.decode()
    assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in received.headers}


# --- the schedule --------------------------------------------------------------------------------------------


def test_the_schedule_is_sixteen_attempts_over_24_hours_and_4_minutes():
    waits = [schedule.wait_after(attempt, jitter=0) for attempt in range(1, 16)]
    assert sum(waits, timedelta()) == timedelta(hours=24, minutes=4)
    assert [int(wait.total_seconds()) for wait in waits] == [
        15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
    ]  # fmt: skip
    assert schedule.wait_after(16, jitter=0) is None
    assert schedule.wait_after(1, jitter=0.999) < timedelta(seconds=16.5)


def test_after_the_last_attempt_it_is_held_and_an_alarm_is_logged(app, serve, caplog, settings):
    settings.NOTIFICATION_PAUSE_AFTER = 100  # a paused host has no schedule: test_notification_pauses.py
    server = serve(answers(500))
    notification = owed(app, server.url)
    with caplog.at_level(logging.ERROR):
        for _ in range(15):
            deliver(notification, now=notification.next_attempt_at)
            assert caplog.records == []
        deliver(notification, now=notification.next_attempt_at)
    assert (notification.status, notification.next_attempt_at) == (NotificationStatus.HELD, None)
    assert notification.attempts.count() == len(server.requests) == 16
    assert [f"notification {notification.pk} is held" in record.getMessage() for record in caplog.records] == [True]
    elapsed = notification.attempts.first().attempted_at - notification.created_at
    assert timedelta(hours=24, minutes=4) <= elapsed <= timedelta(hours=26, minutes=30)


def test_nothing_is_sent_before_it_is_due_nor_after_it_is_done(app, serve):
    server = serve(answers(500))
    notification = deliver(owed(app, server.url))
    deliver(notification)
    deliver(notification, now=notification.next_attempt_at - timedelta(microseconds=1))
    assert len(server.requests) == 1
    server.behaviour = answers(200)
    deliver(notification, now=notification.next_attempt_at)
    deliver(notification, now=timezone.now() + timedelta(days=3))
    assert len(server.requests) == 2


# --- workers that die, and workers at once -------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_eight_workers_at_once_one_calls_the_merchant(platform_key, serve):
    server = serve(answers(200))
    notification, barrier = owed(harness.an_app(), server.url), threading.Barrier(8)

    def work():
        barrier.wait()
        deliver_notification(notification_id=notification.pk, clock=timezone.now)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert NotificationAttempt.objects.count() == 1


def test_a_worker_that_died_at_it_holds_it_for_its_lease_only_and_its_attempt_counts(app, serve):
    server = serve(answers(200))
    notification, now = owed(app, server.url), timezone.now()
    assert Notification.claim(notification.pk, now=now)
    deliver(notification, now=now + LEASE - timedelta(milliseconds=1))
    assert server.requests == []
    deliver(notification, now=now + LEASE + timedelta(seconds=1))
    assert notification.status == NotificationStatus.DELIVERED
    assert notification.attempts.get().attempt_no == 2


def test_a_worker_whose_lease_ran_out_does_not_overrule_the_one_after_it(app, serve):
    notification, now = owed(app, serve(answers(200)).url), timezone.now()
    slow = Notification.claim(notification.pk, now=now)
    later = now + LEASE + timedelta(seconds=1)
    fast = Notification.claim(notification.pk, now=later)
    for claimed, outcome, status in (
        (slow, Outcome(status_code=410), NotificationStatus.OWED),
        (fast, Outcome(status_code=410), NotificationStatus.GONE),
    ):
        record_outcome(claimed=claimed, outcome=outcome, attempted_at=now, duration_ms=1, now=later)
        notification.refresh_from_db()
        assert notification.status == status
    record_outcome(
        claimed=Notification(pk=notification.pk, attempts_count=3), outcome=Outcome(status_code=200), attempted_at=now,
        duration_ms=1, now=later,
    )  # fmt: skip
    notification.refresh_from_db()
    assert notification.status == NotificationStatus.DELIVERED, "that the merchant took it is a fact, however late"
