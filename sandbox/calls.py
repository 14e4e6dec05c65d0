"""The call log: every request of a merchant, found by request id, operation or number."""

import time

from django.http import HttpRequest

from sandbox import chance, clock, environment
from sandbox.choosing import choose
from sandbox.faults import Chosen, Subject
from sandbox.models import Call
from sandbox.store import writing

KEPT = 20_000
SHOWN_BYTES = 8_192


def new_request_id() -> str:
    return f"SANDBOX{chance.text('request', size=12).upper()}"


def host_of(request: HttpRequest) -> str:
    """At which of the two doors the request came in."""
    backup = environment.current().backup_port
    return "backup" if backup and request.META["SERVER_PORT"] == str(backup) else "primary"


class Log:
    """One call, written when it is understood and again when it is answered."""

    def __init__(self, request: HttpRequest, *, channel: str, operation: str, mchid: str) -> None:
        self.started = time.monotonic()
        self.call = Call(
            channel=channel,
            host=host_of(request),
            request_id=new_request_id(),
            at=clock.now(),
            method=str(request.method),
            target=str(request.META.get("RAW_URI", request.path))[:512],
            body=request.body[:SHOWN_BYTES].decode(errors="replace"),
            operation=operation,
            mchid=mchid[:32],
        )

    @property
    def request_id(self) -> str:
        return self.call.request_id

    def begin(self, *, number: str, amount_fen: int = 0) -> Chosen:
        """The request is authentic and readable: note it. Returns what is to happen to it."""
        self.call.number = number[:64]
        same = {name: getattr(self.call, name) for name in ("channel", "operation", "number", "mchid")}
        before = Call.objects.filter(**same)
        with writing():
            count = before.count() if number else 0
            self.call.save()
        return choose(
            Subject(
                channel=self.call.channel,
                operation=self.call.operation,
                number=number,
                amount_fen=amount_fen,
                calls_before=count,
                host=self.call.host,
            )
        )

    def refused_signature(self, canonical: bytes) -> None:
        """What the caller should have signed: seeing it saves hours."""
        self.call.canonical = canonical[:SHOWN_BYTES].decode(errors="replace")

    def executed(self, *, done: bool, fault: str) -> None:
        """Its effect is (not) in the books, whatever the caller will get to hear."""
        self.call.executed, self.call.fault = done, fault

    def finish(self, *, status: int, code: str) -> None:
        self.call.status, self.call.code = status, code
        self.call.duration_ms = int((time.monotonic() - self.started) * 1000)
        if self.call.executed is None:
            self.call.executed = False
        self.save()

    def save(self) -> None:
        with writing():
            self.call.save()


def prune() -> None:
    """Keep the last KEPT calls."""
    newest = Call.objects.order_by("-pk").values_list("pk", flat=True).first()
    if newest and newest > KEPT:
        with writing():
            Call.objects.filter(pk__lte=newest - KEPT).delete()
