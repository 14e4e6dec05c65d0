"""Tracing: TRACING=off (nothing is imported, nothing runs), console (kept for the console) or otlp (sent on).

Only a process that serves starts it, after its last fork: a batch thread made before a fork is dead. Spans themselves
are made by openplatform.tracing and by the middleware here; nothing instruments itself behind our back, so a span
holds only what somebody chose to put there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from opentelemetry import context, trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

OFF, CONSOLE, OTLP = "off", "console", "otlp"
MODES = (OFF, CONSOLE, OTLP)
QUEUE_SPANS_MAX = 4_096  # more than that and spans are dropped: memory is worth more than a picture
BATCH_SPANS_MAX = 256
BATCH_DELAY_MS = 1_000
EXPORT_TIMEOUT_S = 3
UNTRACED_PREFIXES = ("/healthz", "/readyz", "/health/", "/static/", "/favicon.ico")

_providers: list[TracerProvider] = []


def start(*, service: str) -> None:
    """Begin to record the spans of this process under the name `service`, unless TRACING is off. Twice does no harm."""
    if settings.TRACING == OFF or _providers:
        return
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - off imports nothing of the SDK
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

    provider = TracerProvider(
        resource=Resource.create({"service.name": service}),
        sampler=ParentBasedTraceIdRatio(settings.TRACING_SAMPLE_RATIO),
        shutdown_on_exit=False,  # stop() does it, while the database connection can still be used
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            _exporter(),
            max_queue_size=QUEUE_SPANS_MAX,
            max_export_batch_size=BATCH_SPANS_MAX,
            schedule_delay_millis=BATCH_DELAY_MS,
        )
    )
    trace.set_tracer_provider(provider)
    _providers.append(provider)


def stop() -> None:
    """Give away what is still in memory; waits a few seconds at most."""
    while _providers:
        _providers.pop().shutdown()


def _exporter() -> SpanExporter:
    if settings.TRACING == OTLP:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return OTLPSpanExporter(timeout=EXPORT_TIMEOUT_S)  # where to: OTEL_EXPORTER_OTLP_ENDPOINT
    from config.spans import DatabaseSpanExporter  # noqa: PLC0415

    return DatabaseSpanExporter()


class TraceMiddleware:
    """One server span for each request, always the root of its trace.

    A traceparent in the request is not looked at: strangers call us, and they may neither choose our trace ids nor
    switch our sampling on. The span has the route and not the path, which may hold a payer's token.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if settings.TRACING == OFF:
            raise MiddlewareNotUsed
        self._get_response = get_response
        self._tracer = trace.get_tracer("fenpay.http")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(UNTRACED_PREFIXES):
            return self._get_response(request)
        method = request.method or "GET"
        with self._tracer.start_as_current_span(
            method, context=context.Context(), kind=trace.SpanKind.SERVER, attributes={"http.request.method": method}
        ) as span:
            response = self._get_response(request)
            self._describe(span, request, response)
        return response

    @staticmethod
    def _describe(span: trace.Span, request: HttpRequest, response: HttpResponse) -> None:
        route = getattr(request.resolver_match, "route", "") or "unknown route"
        span.update_name(f"{request.method} /{route}")
        span.set_attribute("http.route", f"/{route}")
        span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= 500:  # what the caller did wrong is no error of ours
            span.set_status(trace.StatusCode.ERROR)
        if span.get_span_context().is_valid:
            response.headers["X-Trace-Id"] = f"{span.get_span_context().trace_id:032x}"
