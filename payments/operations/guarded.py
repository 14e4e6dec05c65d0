"""A channel behind its breaker: while it fails for everybody, what can wait is not even tried.

Queries always go through, for they are how an unknown result becomes known; and when one succeeds, the breaker closes.
What was held back is `Unknown` with nothing sent: the row stays open and comes back by its schedule. It never fails.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from openplatform.breaker import Breaker
from payments.channels.base import (
    Accepted,
    Channel,
    PayRequest,
    Prepay,
    RefundFacts,
    RefundRequest,
    Rejected,
    TradeFacts,
    Unknown,
)

Facts = TypeVar("Facts")
Answer = Accepted[Facts] | Rejected | Unknown

HELD_BACK = Unknown(reason="breaker open", sent=False)


def breaker_of(channel: Channel) -> Breaker:
    """The breaker of the host that `channel` talks to."""
    return Breaker(f"{channel.name}.{channel.endpoint}")


class GuardedChannel:
    """The five calls of a channel that money hangs on, each told to the breaker of the host that it talks to."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._breaker = breaker_of(channel)

    def create(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:
        return self._hold_back(lambda: self._channel.create(request, now=now))

    def close(self, *, payment_no: int, method: str, now: datetime) -> Accepted[None] | Rejected | Unknown:
        return self._hold_back(lambda: self._channel.close(payment_no=payment_no, method=method, now=now))

    def refund(self, request: RefundRequest, *, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown:
        return self._hold_back(lambda: self._channel.refund(request, now=now))

    def query(self, *, payment_no: int, now: datetime) -> Accepted[TradeFacts] | Rejected | Unknown:
        return self._watch(lambda: self._channel.query(payment_no=payment_no, now=now))

    def query_refund(
        self, *, refund_no: int, payment_no: int, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown:
        return self._watch(lambda: self._channel.query_refund(refund_no=refund_no, payment_no=payment_no, now=now))

    def _hold_back(self, call: Callable[[], Answer[Facts]]) -> Answer[Facts]:
        return self._watch(call) if self._breaker.may_call() else HELD_BACK

    def _watch(self, call: Callable[[], Answer[Facts]]) -> Answer[Facts]:
        """A refusal is an answer: the channel works. What is only wrong with this call or account says nothing."""
        answer = call()
        if not isinstance(answer, Unknown):
            self._breaker.record(failed=False)
        elif answer.unwell:
            self._breaker.record(failed=True)
        return answer
