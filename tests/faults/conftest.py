"""A merchant whose channel account points at a real sandbox process, and time that moves when a test says so."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone

from openplatform.breaker import Breaker
from openplatform.models import Merchant
from payments.models import ChannelAccount, Order, Payment, Refund
from payments.operations import payments, refunds
from payments.operations.accounts import open_account
from payments.operations.demo import SANDBOX_ACCOUNTS
from payments.operations.guarded import breaker_of
from tests import factories
from tests.factories import again, the_payment
from tests.sandboxes import RunningSandbox, fresh_sandbox, running_sandbox, session_sandbox

# Calls that were executed although their answer does not count, by channel; and calls that were not executed.
ACCEPTED_ALTHOUGH = {
    "alipay": [
        "unknown_but_done", "timeout_done", "connection_reset", "half_body", "bad_json", "frequency_limited_done",
        "wrong_signature", "missing_signature", "slow_drip",
    ],
}  # fmt: skip
# Its answers are signed with their time and the serial number of a key, and it tries us with wrong signatures.
ACCEPTED_ALTHOUGH["wechatpay"] = [
    *ACCEPTED_ALTHOUGH["alipay"], "stale_timestamp", "unknown_serial", "signtest_probe",
]  # fmt: skip
NOT_EXECUTED = ["unknown_not_done", "timeout_not_done", "frequency_limited_not_done", "bad_gateway_html", "hang"]

__all__ = ["fresh_sandbox", "running_sandbox", "session_sandbox"]


class Shop:
    """A merchant's app on the sandbox, and a worker that does what is due when it is told to."""

    def __init__(self, sandbox: RunningSandbox, *, channel: str = "wechatpay") -> None:
        self.channel = channel
        self.sandbox, self.control = sandbox, sandbox.control
        self.offset = timedelta(0)
        merchant = Merchant.register(name="shop", now=self.now())
        settings, secrets = SANDBOX_ACCOUNTS[channel](sandbox.identity)
        self.account = ChannelAccount.register(
            merchant=merchant, channel=channel, name="sandbox", settings=settings, secrets=secrets,
            is_sandbox=True, now=self.now(),
        )  # fmt: skip
        self.app = factories.an_app(merchant=merchant)

    @property
    def breaker(self) -> Breaker:
        return breaker_of(open_account(self.account))

    def now(self) -> datetime:
        return timezone.now() + self.offset

    def later(self, seconds: float) -> None:
        """Time passes, here and at the channel; by less than the five minutes that a signature is good for."""
        self.offset += timedelta(seconds=seconds)
        self.control.advance(seconds)

    def order(self, amount_fen: int = 4030, **changes: object) -> Order:
        changes = {"expires_at": self.now() + timedelta(minutes=30), "channel": self.channel} | changes
        return factories.a_submitting_order(app=self.app, now=self.now(), amount_fen=amount_fen, **changes)

    def drive(self, order: Order) -> Order:
        """What a worker does when the payment is due: wait for that, then one step."""
        self._wait_for(the_payment(order))
        payments.drive_payment(payment_no=the_payment(order).pk, clock=self.now)
        return again(order)

    def drive_until(self, order: Order, *statuses: str, steps_max: int = 12) -> Order:
        for _ in range(steps_max):
            order = self.drive(order)
            if order.status in statuses:
                return order
        raise AssertionError(f"still {order.status} after {steps_max} steps: {the_payment(order).last_answer}")

    def drive_refund(self, refund: Refund) -> Refund:
        self._wait_for(again(refund))
        refunds.drive_refund(refund_no=refund.pk, clock=self.now)
        return again(refund)

    def _wait_for(self, row: Payment | Refund) -> None:
        """The channel checks our signatures by the real clock, so only its business clock and the row are moved."""
        if row.next_check_at is not None and (wait_s := (row.next_check_at - self.now()).total_seconds()) > 0:
            self.control.advance(wait_s)
            type(row).objects.filter(pk=row.pk).update(next_check_at=self.now())

    def paid_order(self, amount_fen: int = 4030) -> Order:
        order = self.drive_until(self.order(amount_fen), "PAYING")
        self.control.pay(str(the_payment(order).pk))
        return self.drive_until(order, "SUCCEEDED")

    def channel_calls(self, operation: str, number: int) -> int:
        return len(self.control.calls(operation=operation, number=str(number)))


@pytest.fixture
def open_shop(running_sandbox: RunningSandbox, transactional_db: None, settings) -> Callable[[str], Shop]:
    return partial(_open, running_sandbox, settings)


@pytest.fixture
def shop(open_shop: Callable[[str], Shop]) -> Shop:
    return open_shop("wechatpay")


def _open(running_sandbox: RunningSandbox, settings, channel: str) -> Shop:
    settings.CHANNEL_PRIVATE_HOSTS = [running_sandbox.host]
    settings.CHANNEL_DEADLINE_S = 1.0
    settings.CHANNEL_CONNECT_S = 0.5
    running_sandbox.control.options(timeout_s=2.0)
    shop = Shop(running_sandbox, channel=channel)
    shop.breaker.reset()  # the tests before may have left points on it
    return shop
