"""A shop on a real sandbox process whose whole world is at another time: ours, the channel's, and the signatures."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.utils import timezone

from payments.channels.days import BEIJING
from payments.channels.wechatpay.channel import WechatpayChannel
from payments.models import Bill, Order, Payment, Refund
from payments.operations import bills, orders, rechecks
from tests.factories import again, the_payment
from tests.faults.conftest import Shop
from tests.sandboxes import RunningSandbox, fresh_sandbox, running_sandbox, session_sandbox

__all__ = ["fresh_sandbox", "running_sandbox", "session_sandbox"]

DAY = date(2026, 3, 2)
CHANNELS = ["wechatpay", "alipay"]


def at(hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    """A time of the day, or so many days later, in Beijing."""
    return datetime.combine(DAY + timedelta(days=days), time(hour, minute), BEIJING).astimezone(UTC)


class World(Shop):
    """Time is what we say it is, for everybody, so that a day of a bill can be lived through."""

    def __init__(self, sandbox: RunningSandbox, *, channel: str) -> None:
        self.shift = timedelta(0)
        self.control = sandbox.control
        self.travel(at(12))
        super().__init__(sandbox, channel=channel)

    def now(self) -> datetime:
        return timezone.now() + self.shift

    def travel(self, to: datetime) -> None:
        self.shift = to - timezone.now()
        seconds = self.shift.total_seconds()
        self.control.options(clock_offset_s=seconds, clock_skew_s=seconds)

    def later(self, seconds: float) -> None:
        self.travel(self.now() + timedelta(seconds=seconds))

    def wait_for(self, row: Payment | Refund) -> None:
        if row.next_check_at is not None and row.next_check_at > self.now():
            self.travel(row.next_check_at)

    def closed_order(self, **changes: object) -> Order:
        """One that nobody has paid, closed at both sides."""
        order = self.drive_until(self.order(**changes), "PAYING")
        orders.close_order(app=self.app, order_no=order.pk, now=self.now())
        return self.drive_until(order, "CLOSED")

    def plan(self) -> int:
        return bills.plan_bills(now=self.now())

    def bill(self, *, kind: str = "trade", day: date = DAY) -> Bill:
        return Bill.objects.select_related("newest_file", "account").get(account=self.account, kind=kind, bill_date=day)

    def fetch(self, *, kind: str = "trade", day: date = DAY) -> Bill:
        """What a worker does with a bill: wait for the morning after, plan it, wait until it is due, fetch it once."""
        if self.now() < (morning := at(10, days=(day - DAY).days + 1)):
            self.travel(morning)
        self.plan()
        bill = self.bill(kind=kind, day=day)
        assert bill.next_check_at is not None, f"{bill} is {bill.status}, and nobody asks for it"
        if bill.next_check_at > self.now():
            self.travel(bill.next_check_at)
        assert bills.fetch_bill(bill_id=bill.pk, clock=self.now)
        return self.bill(kind=kind, day=day)

    def fetch_again(self, *, kind: str = "trade", day: date = DAY) -> Bill:
        """Somebody at the console wants it once more."""
        bills.ask_for_bill(bill_id=self.bill(kind=kind, day=day).pk, now=self.now())
        return self.fetch(kind=kind, day=day)

    def recheck(self, order: Order) -> Payment:
        """The next question about a payment that ended unpaid, when it is due."""
        payment = the_payment(order)
        assert payment.recheck_at is not None, "nobody asks any more"
        if payment.recheck_at > self.now():
            self.travel(payment.recheck_at)
        assert rechecks.recheck_payment(payment_no=payment.pk, clock=self.now)
        return again(payment)


@pytest.fixture
def open_world(
    running_sandbox: RunningSandbox, transactional_db: None, settings, monkeypatch
) -> Callable[[str], World]:
    # Days pass here in seconds, and the pace of an account goes by a clock that knows nothing of that.
    monkeypatch.delitem(WechatpayChannel.capabilities.paces, "bill")
    settings.CHANNEL_PRIVATE_HOSTS = [running_sandbox.host]
    settings.CHANNEL_DEADLINE_S = 4.0
    settings.CHANNEL_CONNECT_S = 0.5
    settings.BILL_DEADLINE_S = 3.0

    running_sandbox.control.options(timeout_s=5.0)

    def open_world(channel: str) -> World:
        world = World(running_sandbox, channel=channel)
        world.breaker.reset()
        return world

    return open_world


@pytest.fixture
def channel() -> str:
    return "wechatpay"


@pytest.fixture
def world(channel: str, open_world: Callable[[str], World]) -> World:
    """At noon of DAY."""
    return open_world(channel)
