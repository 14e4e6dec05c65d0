"""Tracing off costs nothing, on keeps spans without secrets, and whatever breaks in it breaks nothing else."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import MiddlewareNotUsed
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.utils import timezone
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from config import environment as env
from config import tracing, waterfall
from config.models import SpanRow
from config.spans import DatabaseSpanExporter

STRANGER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def run(program: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{program}"],
        capture_output=True, text=True, check=True, cwd=env.BASE_DIR,
        env={
            "DJANGO_SETTINGS_MODULE": "config.settings_test",
            "FENPAY_LOCAL_DIR": os.environ["FENPAY_LOCAL_DIR"],
            "PATH": "",
            **variables,
        },
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def spans(settings) -> Iterator[InMemorySpanExporter]:
    """Middleware on a provider of this test's own: the process-wide one can be set only once."""
    settings.TRACING = tracing.CONSOLE
    return InMemorySpanExporter()


def serve(spans: InMemorySpanExporter, request: HttpRequest, respond) -> HttpResponse:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    middleware = tracing.TraceMiddleware(respond)
    middleware._tracer = provider.get_tracer("test")
    return middleware(request)


def row(**values: object) -> SpanRow:
    blank = {
        "trace_id": "a" * 32, "span_id": "1" * 16, "parent_id": "", "service": "fenpay-web", "name": "GET /x",
        "kind": "SERVER", "start_ns": time.time_ns(), "end_ns": time.time_ns() + 5_000_000, "status": "UNSET",
    }  # fmt: skip
    return SpanRow.objects.create(**{**blank, **values})


def test_off_imports_nothing_that_makes_or_sends_spans_and_its_spans_do_nothing():
    program = (
        "import sys\n"
        "from config import tracing, urls, wsgi\n"
        "from opentelemetry import trace\n"
        "tracing.start(service='x')\n"
        "loaded = [name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))]\n"
        "print(loaded, trace.get_tracer('x').start_span('y').is_recording())"
    )
    assert run(program, TRACING="off") == "[] False"


def test_off_takes_the_middleware_out(settings):
    settings.TRACING = tracing.OFF
    with pytest.raises(MiddlewareNotUsed):
        tracing.TraceMiddleware(lambda request: HttpResponse())


def test_a_request_is_one_span_with_its_route_and_without_its_path(spans, rf):
    request = rf.get("/pay/secret-token?code=secret-code", headers={"traceparent": STRANGER})

    def respond(request: HttpRequest) -> HttpResponse:
        request.resolver_match = type("Match", (), {"route": "pay/<str:token>"})()
        return HttpResponse(status=201)

    answer = serve(spans, request, respond)
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /pay/<str:token>"
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/pay/<str:token>",
        "http.response.status_code": 201,
    }
    assert "secret" not in span.to_json()
    assert answer.headers["X-Trace-Id"] == f"{span.context.trace_id:032x}"


def test_a_stranger_can_neither_choose_our_trace_nor_become_its_parent(spans, rf):
    serve(spans, rf.get("/", headers={"traceparent": STRANGER}), lambda request: HttpResponse())
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" != STRANGER[3:35]


def test_health_checks_make_no_spans(spans, rf):
    serve(spans, rf.get("/healthz"), lambda request: HttpResponse())
    assert spans.get_finished_spans() == ()


def test_only_our_own_failures_are_errors(spans, rf):
    serve(spans, rf.get("/"), lambda request: HttpResponse(status=404))
    serve(spans, rf.get("/"), lambda request: HttpResponse(status=500))
    assert [span.status.status_code.name for span in spans.get_finished_spans()] == ["UNSET", "ERROR"]


@pytest.mark.django_db(transaction=True)  # as in the batch thread: no transaction around it
def test_spans_are_stored_as_they_were_and_long_texts_are_cut():
    provider = TracerProvider()
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("outer") as outer:
        outer.set_attributes({"text": "x\x00" * 1_000, "number": 7, "list": ["a", "b"]})
        with tracer.start_as_current_span("inner") as inner:
            inner.add_event("asked", {"attempt": 2})
    finished = memory.get_finished_spans()

    assert DatabaseSpanExporter().export(finished) is SpanExportResult.SUCCESS
    assert DatabaseSpanExporter().export(finished) is SpanExportResult.SUCCESS  # a repeat is no error and no copy

    stored = {span.name: span for span in SpanRow.of_trace(f"{outer.get_span_context().trace_id:032x}", limit=10)}
    assert set(stored) == {"outer", "inner"}
    assert stored["inner"].parent_id == stored["outer"].span_id
    assert stored["outer"].attributes == {"text": "x" * 500, "number": 7, "list": ["a", "b"]}
    assert stored["inner"].events[0]["name"] == "asked"
    assert stored["outer"].start_ns <= stored["inner"].start_ns <= stored["inner"].end_ns <= stored["outer"].end_ns


@pytest.mark.django_db(transaction=True)
def test_a_database_that_refuses_costs_spans_and_raises_nothing(caplog: pytest.LogCaptureFixture):
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("test").start_span("lost").end()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE fenpay_config_spanrow RENAME TO gone")
    try:
        assert DatabaseSpanExporter().export(memory.get_finished_spans()) is SpanExportResult.FAILURE
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO fenpay_config_spanrow")
    assert "1 spans were not stored" in caplog.text


def test_a_started_process_stores_its_spans_when_it_stops(transactional_db):
    program = (
        "from config import tracing\n"
        "from openplatform.tracing import current_traceparent, span\n"
        "tracing.start(service='fenpay-test')\n"
        "with span('at work', attributes={'order_no': '7'}):\n"
        "    print(current_traceparent())\n"
        "tracing.stop()"
    )
    url = f"postgresql://postgres@/{connection.settings_dict['NAME']}?host={connection.settings_dict['HOST']}"
    traceparent = run(program, TRACING="console", DATABASE_URL=url)
    (stored,) = SpanRow.of_trace(traceparent[3:35], limit=10)
    assert (stored.service, stored.name, stored.attributes) == ("fenpay-test", "at work", {"order_no": "7"})


def test_a_tracing_server_that_is_not_there_holds_nobody_up_for_long():
    program = (
        "import time\n"
        "from config import tracing\n"
        "from openplatform.tracing import span\n"
        "tracing.start(service='x')\n"
        "began = time.monotonic()\n"
        "with span('y'):\n"
        "    pass\n"
        "worked = time.monotonic() - began\n"
        "tracing.stop()\n"
        "print(worked < 0.1, time.monotonic() - began < 8)"
    )
    assert run(program, TRACING="otlp", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == "True True"


@pytest.mark.django_db
def test_old_spans_are_deleted_and_young_ones_stay():
    now = timezone.now()
    old_ns = int((now - timedelta(hours=2)).timestamp() * 1e9)
    for number in range(3):
        row(span_id=f"{number:016x}", start_ns=old_ns)
    row(span_id="f" * 16)

    assert SpanRow.delete_old(now=now, keep=timedelta(hours=1)) == 3
    assert [span.span_id for span in SpanRow.objects.all()] == ["f" * 16]


def test_children_stand_below_their_parents_and_orphans_are_not_hidden():
    def span(span_id: str, parent_id: str, start_ms: int, end_ms: int) -> SpanRow:
        return SpanRow(
            span_id=span_id, parent_id=parent_id, service="s", name=span_id,
            start_ns=start_ms * 1_000_000, end_ns=end_ms * 1_000_000,
        )  # fmt: skip

    picture = waterfall.draw(
        [span("root", "", 0, 100), span("late", "root", 50, 90), span("leaf", "early", 20, 30),
         span("early", "root", 10, 40), span("orphan", "unknown", 60, 100)]
    )  # fmt: skip

    assert [(bar.span.name, bar.depth) for bar in picture.bars] == [
        ("root", 0), ("early", 1), ("leaf", 2), ("late", 1), ("orphan", 0),
    ]  # fmt: skip
    assert picture.duration_ms == "100.00"
    assert [(bar.left, bar.width) for bar in picture.bars][1] == ("10.000", "30.000")


@pytest.mark.django_db
@pytest.mark.urls("config.urls")
def test_the_waterfall_is_for_operators_only(client: Client, admin_client: Client):
    row(name="POST /openapi/v1/orders", attributes={"order_no": "<b>7</b>"})
    path = f"/console/trace/{'a' * 32}/"

    assert client.get(path).status_code == 302
    get_user_model().objects.create_user("payer", password="long enough for once")
    client.login(username="payer", password="long enough for once")
    assert client.get(path).status_code == 302

    page = admin_client.get(path, headers={"accept-language": "en"})
    assert page.status_code == 200
    text = page.content.decode()
    assert "POST /openapi/v1/orders" in text
    assert "&lt;b&gt;7&lt;/b&gt;" in text
    assert "1 span" in text
    assert "链路" in admin_client.get(path, headers={"accept-language": "zh-hans"}).content.decode()


@pytest.mark.django_db
@pytest.mark.urls("config.urls")
def test_an_unknown_trace_is_not_found(admin_client: Client):
    assert admin_client.get(f"/console/trace/{'b' * 32}/").status_code == 404


def test_no_provider_is_set_in_the_test_process_itself():
    assert not isinstance(trace.get_tracer_provider(), TracerProvider)
