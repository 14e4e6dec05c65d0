"""Spans into our own table, so that the console can show a trace where no tracing server runs."""

import logging
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import format_span_id, format_trace_id

from config.models import SpanRow

logger = logging.getLogger(__name__)

NAME_MAX, SERVICE_MAX = 128, 64
TEXT_MAX = 500  # of one attribute
EVENTS_MAX = 16


class DatabaseSpanExporter(SpanExporter):
    """Called by the batch thread, which has a connection of its own. A span that cannot be stored is lost, no more."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            close_old_connections()
            SpanRow.objects.bulk_create([_row(span) for span in spans], ignore_conflicts=True)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("%d spans were not stored (%s)", len(spans), type(error).__name__)
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        connection.close()


def _row(span: ReadableSpan) -> SpanRow:
    own = span.get_span_context()
    if own is None:
        raise ValueError("a span without a context cannot have been recorded")
    return SpanRow(
        trace_id=format_trace_id(own.trace_id),
        span_id=format_span_id(own.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else "",
        service=str(span.resource.attributes.get("service.name", ""))[:SERVICE_MAX],
        name=span.name[:NAME_MAX],
        kind=span.kind.name,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name,
        attributes={name: _plain(value) for name, value in (span.attributes or {}).items()},
        events=[
            {
                "name": event.name[:NAME_MAX],
                "at_ns": event.timestamp,
                "attributes": {name: _plain(value) for name, value in (event.attributes or {}).items()},
            }
            for event in span.events[:EVENTS_MAX]
        ],
    )


def _plain(value: Any) -> Any:
    """A value as JSON and PostgreSQL take it: text is cut, and has no NUL."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value.replace("\x00", "")[:TEXT_MAX]
    return [_plain(item) for item in value]
