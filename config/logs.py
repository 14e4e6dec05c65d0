"""Log lines carry the request id and the trace id, and no body, key, signature, one-time code or payer's link."""

import logging
import re

from opentelemetry import trace
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter as _JsonFormatter

from openplatform.context import current_request_id

# A payer's link is the right to see and to pay an order. A token has 22 characters and more; names of files have less.
PAYERS_LINK = re.compile(r"(/(?:cashier|pay)/+)[^/\s\"'\\]{16,}")


def without_payers_links(text: str) -> str:
    return PAYERS_LINK.sub(r"\1…", text)


class ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id() or "-"
        context = trace.get_current_span().get_span_context()
        record.trace_id = f"{context.trace_id:032x}" if context.is_valid else "-"
        return True


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_payers_links(super().format(record))


class JsonFormatter(_JsonFormatter):
    """Without Django's `request`, which prints itself with its query: that of /pay/oauth holds the payer's code."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s %(trace_id)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            reserved_attrs=[*RESERVED_ATTRS, "request"],
        )

    def format(self, record: logging.LogRecord) -> str:
        return without_payers_links(super().format(record))
