"""A channel behind its breaker: while it fails for everybody, what can wait is not even tried.

Queries always go through, for they are how an unknown result becomes known; and when one succeeds, the breaker closes.
What was held back is `Unknown` with nothing sent: the row stays open and comes back by its schedule. It never fails.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from openplatform.breaker import Breaker
from openplatform.limits import QueueFull, reserve
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
from payments.models import ChannelAccount
from payments.operations.accounts import open_account
from payments.operations.channel_troubles import heed_answer

Answer = TypeVar("Answer")

HELD_BACK = Unknown(reason="breaker open", sent=False)
TOO_MANY = Unknown(reason="paced", sent=False)


def breaker_of(channel: Channel) -> Breaker:
    """The breaker of the host that `channel` talks to."""
    return Breaker(f"{channel.name}.{channel.endpoint}")


def open_guarded(account: ChannelAccount) -> "GuardedChannel":
    """The channel as this account sees it, behind its breaker."""
    return GuardedChannel(open_account(account))


class GuardedChannel:
    """The calls of a channel that money hangs on, each told to the breaker of the host that it talks to.

    Where the channel states how often an account may call, what is too much is held back in the same way.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._breaker = breaker_of(channel)
        self._paced_as = f"{channel.name}.{channel.config.account_id}"

    def create(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:
        return self.hold_back("create", lambda: self._channel.create(request, now=now), now=now)

    def close(self, *, payment_no: int, method: str, now: datetime) -> Accepted[None] | Rejected | Unknown:
        return self.hold_back(
            "close", lambda: self._channel.close(payment_no=payment_no, method=method, now=now), now=now
        )

    def refund(self, request: RefundRequest, *, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown:
        return self.hold_back("refund", lambda: self._channel.refund(request, now=now), now=now)

    def query(self, *, payment_no: int, now: datetime) -> Accepted[TradeFacts] | Rejected | Unknown:
        return self._watch(lambda: self._channel.query(payment_no=payment_no, now=now), now=now)

    def query_refund(
        self, *, refund_no: int, payment_no: int, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown:
        return self._watch(
            lambda: self._channel.query_refund(refund_no=refund_no, payment_no=payment_no, now=now), now=now
        )

    def _has_turn(self, operation: str) -> bool:
        """Whether the account may call now. Asked before the breaker, whose one trial must not be spent on a no."""
        pace = self._channel.capabilities.paces.get(operation)
        if pace is None:
            return True
        try:
            reserve(f"{self._paced_as}.{operation}", pace)  # the wait that it tells is the rush that is allowed
        except QueueFull:
            return False
        return True

    def hold_back(self, operation: str, call: Callable[[], Answer], *, now: datetime) -> Answer | Unknown:
        """What `call` answers, for what can wait: while the breaker is open, or the account has had enough, it does."""
        if not self._has_turn(operation):
            return TOO_MANY
        return self._watch(call, now=now) if self._breaker.may_call() else HELD_BACK

    def _watch(self, call: Callable[[], Answer], *, now: datetime) -> Answer:
        """A refusal is an answer: the channel works. What is only wrong with this call or account says nothing."""
        answer = call()
        if not isinstance(answer, Unknown):
            self._breaker.record(failed=False)
        elif answer.unwell:
            self._breaker.record(failed=True)
        heed_answer(self._channel, answer, now=now)
        return answer
