"""One trace as a picture: which part of us did what, when, and for how long."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from config.models import SpanRow

NS_PER_MS = 1_000_000
SPANS_MAX = 1_000  # a page, not a dump
DEPTH_MAX = 12
COLOURS = 6  # as many as config/trace.css has


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A span as it is drawn: `left` and `width` in per cent of the whole trace, `depth` in steps to the right."""

    span: SpanRow
    depth: int
    colour: int
    left: str
    width: str
    offset_ms: str
    duration_ms: str


@dataclass(frozen=True, kw_only=True)
class Waterfall:
    bars: list[Bar]
    duration_ms: str
    services: list[tuple[str, int]]  # with the number of their colour


def draw(spans: list[SpanRow]) -> Waterfall:
    """Order `spans` as a tree, children below their parents and early ones first. `spans` is not empty.

    A span whose parent is not there (not stored yet, or not sampled) stands at the left, so that nothing is hidden.
    """
    start = min(span.start_ns for span in spans)
    total = max(max(span.end_ns for span in spans) - start, 1)
    colours = {service: number % COLOURS for number, service in enumerate(sorted({span.service for span in spans}))}
    bars = [
        Bar(
            span=span,
            depth=min(depth, DEPTH_MAX),
            colour=colours[span.service],
            left=f"{100 * (span.start_ns - start) / total:.3f}",
            width=f"{max(100 * (span.end_ns - span.start_ns) / total, 0.2):.3f}",
            offset_ms=_ms(span.start_ns - start),
            duration_ms=_ms(span.end_ns - span.start_ns),
        )
        for span, depth in _walk(spans)
    ]
    return Waterfall(bars=bars, duration_ms=_ms(total), services=list(colours.items()))


def _walk(spans: list[SpanRow]) -> Iterator[tuple[SpanRow, int]]:
    known = {span.span_id for span in spans}
    children: dict[str, list[SpanRow]] = {}
    for span in sorted(spans, key=lambda span: span.start_ns):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    waiting = [(span, 0) for span in reversed(children.get("", []))]
    while waiting:
        span, depth = waiting.pop()
        yield span, depth
        waiting += [(child, depth + 1) for child in reversed(children.pop(span.span_id, []))]


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / NS_PER_MS:,.2f}"


def page(request: HttpRequest, trace_id: str) -> HttpResponse:
    """The page of one trace, for operators. Reached only through `admin_site.admin_view`."""
    spans = SpanRow.of_trace(trace_id.lower(), limit=SPANS_MAX)
    if not spans:
        raise Http404(_("No spans of this trace are stored: tracing was off, or they are too old."))
    context = {
        **admin.site.each_context(request),
        "title": _("Trace"),
        "trace_id": trace_id.lower(),
        "waterfall": draw(spans),
    }
    return render(request, "config/trace.html", context)
