"""Real workers, a real broker, a real channel; and SIGKILL in the worst moments. What was owed is done all the same."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from config.runtime.valkey import Valkey
from openplatform import hints
from payments.models import LedgerEntry
from payments.operations import refunds, sweeps
from payments.queries import HINT_AGAIN_AFTER
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment
from tests.sandboxes import RunningSandbox, wait_until

ROOT = Path(__file__).parents[2]
DEADLINE_S = 1  # the lease of a dead worker runs out after three of these and five seconds


class Workers:
    """Celery workers of the channel's queue, on this test's database and on the broker at `socket`."""

    def __init__(self, sandbox: RunningSandbox, directory: Path, socket: Path) -> None:
        database = connection.settings_dict
        self.log = directory / "worker.log"
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
            "BROKER_URL": f"redis+socket://{socket}",
            "CHANNEL_PRIVATE_HOSTS": sandbox.host,
            "CHANNEL_DEADLINE_S": str(DEADLINE_S),
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *, dies_at: str = "") -> subprocess.Popen[bytes]:
        """`dies_at` names the fault point at which its task process is killed."""
        with self.log.open("ab") as output:
            worker = subprocess.Popen(
                [
                    sys.executable, "-m", "celery", "-A", "config.celery", "worker", "-Q", "channel.wechatpay",
                    "--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat",
                ],
                cwd=ROOT, env=self.environment | {"FENPAY_FAULT": dies_at}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.running.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """As by the kernel, with all its processes."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        for worker in self.running:
            if worker.poll() is None:
                self.kill(worker)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Valkey]:
    """A broker of this test's own, which it may stop and start."""
    valkey = Valkey(tmp_path)
    valkey.start()
    yield valkey
    valkey.stop()


@pytest.fixture
def workers(shop, broker: Valkey, settings, tmp_path, monkeypatch) -> Iterator[Workers]:
    settings.HINTS_ENABLED = True
    settings.CHANNEL_DEADLINE_S = DEADLINE_S
    settings.NOTIFICATION_PRIVATE_HOSTS = []
    monkeypatch.setattr(hints, "QUIET_S", 0.2)
    url = f"redis+socket://{broker.socket}"
    monkeypatch.setattr(hints, "_connect", _connecting_to(url))
    monkeypatch.setattr(hints, "_publisher", hints._Publisher())
    workers = Workers(shop.sandbox, tmp_path, broker.socket)
    yield workers
    workers.close()


def _connecting_to(url: str) -> Callable[[], object]:
    original = hints._connect

    def connect() -> object:
        return original().clone(hostname=url)

    return connect


def sweep_until(condition: Callable[[], object], shop, *, within_s: float = 30, log: Workers) -> None:
    """What beat does, until it has had its effect."""

    def swept() -> object:
        sweeps.sweep_payments(now=shop.now())
        sweeps.sweep_refunds(now=shop.now())
        return condition()

    try:
        wait_until(swept, within_s=within_s)
    except AssertionError as error:
        raise AssertionError(f"{error}; the workers said:\n{log.said()[-3000:]}") from None


def was_killed(workers: Workers) -> bool:
    return "SIGKILL" in workers.said()


def test_a_worker_killed_between_sending_and_storing_ends_in_the_same_state(shop, workers):
    worker = workers.start(dies_at="payment.created_upstream")
    order = shop.order()
    wait_until(lambda: was_killed(workers), within_s=30, what="the kill")
    workers.kill(worker)
    assert again(order).status == OrderStatus.SUBMITTING, "the answer was lost"
    assert len(shop.control.get("orders", out_trade_no=str(the_payment(order).pk))) == 1, "the channel has it"

    workers.start()
    sweep_until(lambda: again(order).status == OrderStatus.PAYING, shop, log=workers)
    assert the_payment(order).prepay["prepay_id"]
    assert len(shop.control.get("orders")) == 1
    shop.control.pay(str(the_payment(order).pk))
    sweep_until(lambda: again(order).status == OrderStatus.SUCCEEDED, shop, log=workers)
    assert LedgerEntry.objects.filter(order=order).count() == 1


def test_a_worker_killed_between_sending_a_refund_and_storing_refunds_once(shop, workers):
    order = shop.paid_order()
    shop.offset = timedelta(0)  # the workers live by the real clock
    worker = workers.start(dies_at="refund.sent_upstream")
    wish = factories.a_refund_wish()
    refund, _ = refunds.create_refund(app=shop.app, order_no=order.pk, wish=wish, now=shop.now())
    wait_until(lambda: was_killed(workers), within_s=30, what="the kill")
    workers.kill(worker)
    assert again(refund).status == RefundStatus.SUBMITTING
    assert again(order).refund_reserved_fen == 1000

    workers.start()
    sweep_until(lambda: again(refund).status in {"PROCESSING", "SUCCEEDED"}, shop, log=workers)
    assert len(shop.control.get("refunds")) == 1
    assert shop.channel_calls("refund", refund.pk) == 1, "it was asked about, not sent again"


def test_with_the_broker_gone_an_order_is_written_at_once_and_worked_on_when_it_is_back(shop, workers, broker):
    workers.start()
    broker.stop()
    order = shop.order()
    assert again(order).status == OrderStatus.SUBMITTING
    assert sweeps.sweep_payments(now=shop.now()) == 0, "nobody takes it, and nothing pretends that somebody did"
    broker.start()
    sweep_until(lambda: again(order).status == OrderStatus.PAYING, shop, log=workers, within_s=60)


def test_a_broker_that_forgets_everything_costs_time_and_no_order(shop, workers, broker):
    order = shop.order()
    with broker.client() as client:
        assert client.llen("channel.wechatpay") == 1
        client.flushall()
    workers.start()
    shop.offset += HINT_AGAIN_AFTER
    sweep_until(lambda: again(order).status == OrderStatus.PAYING, shop, log=workers)


def test_the_same_task_delivered_five_times_at_once_asks_the_channel_once(shop, workers):
    order = shop.order()
    for _ in range(4):
        hints.send_now("payments.drive_payment", queue="channel.wechatpay", payment_no=the_payment(order).pk)
    # A first call that is late on a busy machine is rightly made again, which is not what this is about.
    workers.environment["CHANNEL_DEADLINE_S"] = "10"
    workers.start()
    workers.start()
    wait_until(lambda: again(order).status == OrderStatus.PAYING, within_s=40)
    assert shop.channel_calls("create", the_payment(order).pk) == 1
