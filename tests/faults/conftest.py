"""A merchant whose channel account points at a real sandbox process, and time that moves when a test says so."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from openplatform.breaker import Breaker
from openplatform.models import Merchant
from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount, Order, Payment, Refund
from payments.operations import payments, refunds
from payments.operations.accounts import open_account
from payments.operations.demo import sandbox_account
from payments.operations.guarded import breaker_of
from tests import factories
from tests.factories import again, the_payment
from tests.sandboxes import RunningSandbox, fresh_sandbox, running_sandbox, session_sandbox, wait_until

# Calls that were executed although their answer does not count, at any channel; and calls that were not executed.
EVERYWHERE = [
    "unknown_but_done", "timeout_done", "connection_reset", "half_body", "bad_json", "frequency_limited_done",
    "wrong_signature", "missing_signature", "slow_drip",
]  # fmt: skip
# Its answers are signed with their time and the serial number of a key, and it tries us with wrong signatures.
AT_ONE = {"wechatpay": ["stale_timestamp", "unknown_serial", "signtest_probe"]}
ACCEPTED_ALTHOUGH = {channel: [*EVERYWHERE, *AT_ONE.get(channel, [])] for channel in CHANNELS}
NOT_EXECUTED = ["unknown_not_done", "timeout_not_done", "frequency_limited_not_done", "bad_gateway_html", "hang"]

__all__ = ["fresh_sandbox", "running_sandbox", "session_sandbox"]


class Shop:
    """A merchant's app on the sandbox, and a worker that does what is due when it is told to."""

    def __init__(self, sandbox: RunningSandbox, *, channel: str = "wechatpay") -> None:
        self.channel = channel
        self.sandbox, self.control = sandbox, sandbox.control
        self.offset = timedelta(0)
        merchant = Merchant.register(name="shop", now=self.now())
        settings, secrets = sandbox_account(channel, sandbox.identity)
        self.account = ChannelAccount.register(
            merchant=merchant, channel=channel, name="sandbox", settings=settings, secrets=secrets,
            is_sandbox=True, now=self.now(),
        )  # fmt: skip
        self.app = factories.an_app(merchant=merchant)

    @property
    def channel_class(self) -> type:
        return CHANNELS[self.channel]

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
        if "client_ip" in CHANNELS[self.channel].capabilities.methods[changes.get("method", "jsapi")]:
            changes["client_ip"] = "203.0.113.9"
        return factories.a_submitting_order(app=self.app, now=self.now(), amount_fen=amount_fen, **changes)

    def drive(self, order: Order) -> Order:
        """What a worker does when the payment is due: wait for that, then one step."""
        self.wait_for(the_payment(order))
        payments.drive_payment(payment_no=the_payment(order).pk, clock=self.now)
        return again(order)

    def drive_until(self, order: Order, *statuses: str, steps_max: int = 12) -> Order:
        for _ in range(steps_max):
            order = self.drive(order)
            if order.status in statuses:
                return order
        raise AssertionError(f"still {order.status} after {steps_max} steps: {the_payment(order).last_answer}")

    def drive_refund(self, refund: Refund) -> Refund:
        self.wait_for(again(refund))
        refunds.drive_refund(refund_no=refund.pk, clock=self.now)
        return again(refund)

    def wait_for(self, row: Payment | Refund) -> None:
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
def called_back(running_sandbox: RunningSandbox, live_server, settings) -> Iterator[str]:
    """The sandbox calls back to a server of ours, whose address this is, and has stopped when the rows are removed."""
    settings.PUBLIC_BASE_URL = live_server.url
    yield live_server.url
    running_sandbox.control.reset()
    wait_until(_nobody_is_at_work, within_s=30, what="the last callbacks")


def _nobody_is_at_work() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        return bool(cursor.fetchone()[0] == 0)


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
