"""Traces across the database: a row remembers the trace that made it, and whoever works on the row joins that trace.

Only the OpenTelemetry API is used here. With tracing off there is no provider, every span is a no-op and every
traceparent is empty. Nothing of a trace is ever sent to a third party: that would tell strangers how we work inside.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

TRACEPARENT_LENGTH = 55

_tracer = trace.get_tracer("fenpay")
_propagator = TraceContextTextMapPropagator()


def current_traceparent() -> str:
    """The W3C traceparent of the current span, 55 characters, to be kept on a row; "" when nothing is traced."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def trace_id_of(traceparent: str) -> str:
    """The 32 hex digits of the trace, or ""."""
    return traceparent[3:35] if len(traceparent) == TRACEPARENT_LENGTH else ""


@contextmanager
def span(
    name: str,
    *,
    traceparent: str = "",
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[trace.Span]:
    """A span below the row's trace when `traceparent` is given and we are not in that trace already."""
    context = None
    if traceparent and trace_id_of(traceparent) != trace_id_of(current_traceparent()):
        context = _propagator.extract({"traceparent": traceparent})
    with _tracer.start_as_current_span(name, context=context, kind=kind, attributes=attributes) as current:
        yield current
