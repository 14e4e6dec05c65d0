"""What a channel that hangs does to the orders of another one: with one queue for both, a queue for each, a breaker.

    python tests/benchmarks/bulkhead/bench.py [--seconds 8] [--rate 5] [--fault hang|slow_drip]

Real PostgreSQL, Valkey, sandbox and Celery workers, our own operations and sweeps; four places in each row. Every
second RATE orders go to a channel of which every call hangs, and RATE to one that is well. A wait is from the order's
row to the channel's answer in it, so it holds that answer's own time; ratios are to the row in which nothing hangs. At
the end the channel that hung is well again, and "drained" is how long until nothing of it is due any more. The rows run
one after the other on one machine: compare inside a table, and only when nobody else is busy there.
"""

import argparse
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT)]

LOAD = os.getloadavg()[0]
HUNG, WELL, SHARED = "wechatpay", "alipay", "channel.shared"
DEADLINE_S, NO_DEADLINE_S = 2, 600
PLACES = 4
WARM_WITHIN_S = 60
DRAINED_WITHIN_S = 30
AFTERWARDS_S = 3.0  # what is not answered so long after the last order was not answered in time


@dataclass(frozen=True)
class Row:
    name: str
    hangs: bool = True
    deadline_s: int = DEADLINE_S
    is_shared: bool = False
    has_breaker: bool = False

    def queue(self, channel):
        return SHARED if self.is_shared else f"channel.{channel}"


ROWS = [
    Row("nothing hangs, a queue for each", hangs=False, has_breaker=True),
    Row("no deadline, one queue", deadline_s=NO_DEADLINE_S, is_shared=True),
    Row("deadline, one queue", is_shared=True),
    Row("deadline, a queue for each"),
    Row("deadline, one queue, breaker", is_shared=True, has_breaker=True),
    Row("deadline, a queue for each, breaker (ours)", has_breaker=True),
]


class Workers:
    """Celery workers for one row."""

    def __init__(self, row, directory):
        self.log = directory / "workers.log"
        self.log.write_text("")
        groups = [[SHARED]] if row.is_shared else [[row.queue(HUNG)], [row.queue(WELL)]]
        self.running = [
            self._start(queues, row=row, number=number, places=PLACES // len(groups))
            for number, queues in enumerate(groups)
        ]
        while self.log.read_text(errors="replace").count(" ready.") < len(groups):
            if any(child.poll() is not None for child in self.running):
                raise SystemExit(self.log.read_text(errors="replace"))
            time.sleep(0.1)

    def _start(self, queues, *, row, number, places):
        extra = [] if row.has_breaker else ["-I", "without_breaker"]
        environment = os.environ | {"CHANNEL_DEADLINE_S": str(row.deadline_s), "PYTHONPATH": f"{ROOT}:{HERE}"}
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "-n", f"w{number}@bench", "-Q",
                 ",".join(queues), "--concurrency", str(places), "--loglevel", "INFO", "--without-gossip",
                 "--without-mingle", "--without-heartbeat", *extra],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def kill(self):
        for child in self.running:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


class Shop:
    """A merchant with an account at both channels of the sandbox."""

    def __init__(self, sandbox):
        from django.utils import timezone

        from openplatform.models import App, Merchant
        from payments.models import ChannelAccount
        from payments.operations.demo import sandbox_account

        now = timezone.now() - timedelta(minutes=5)
        merchant = Merchant.register(name="bench", now=now)
        for channel in (HUNG, WELL):
            settings, secrets = sandbox_account(channel, sandbox.identity)
            ChannelAccount.register(
                merchant=merchant, channel=channel, name=channel, settings=settings, secrets=secrets, is_sandbox=True,
                now=now,
            )  # fmt: skip
        self.app = App.register(merchant=merchant, name="bench", now=now)

    def order(self, channel):
        from django.utils import timezone

        from tests.factories import an_order_wish

        now = timezone.now()
        wish = an_order_wish(channel=channel, expires_at=now + timedelta(hours=1))
        from payments.operations.orders import create_order

        order, _created = create_order(app=self.app, wish=wish, now=now)
        return order.payments.get()


def run(row, *, shop, sandbox, directory, options):
    """One row: how many of the healthy orders were answered, their waits, and how much of the hung channel is due."""
    from django.utils import timezone

    from openplatform.hints import send_now

    sandbox.control.reset()
    workers = Workers(row, directory)
    try:
        warm_up(row, shop=shop)
        if row.hangs:
            sandbox.control.add_fault("any", options.fault, channel=HUNG)
        began_at = timezone.now()
        healthy, started = [], time.monotonic()
        for number in range(options.rate * options.seconds):
            time.sleep(max(0.0, started + number / options.rate - time.monotonic()))
            for channel in (HUNG, WELL):
                payment = shop.order(channel)
                send_now("payments.drive_payment", queue=row.queue(channel), payment_no=payment.pk)
                if channel == WELL:
                    healthy.append(payment)
            if number % (2 * options.rate) == 0:
                sweep(row, since=began_at)
        time.sleep(AFTERWARDS_S)
        waits, due = waits_of(healthy), due_of_hung(since=began_at)
        return len(waits), len(healthy), waits, due, drain(row, sandbox=sandbox, since=began_at)
    finally:
        workers.kill()
        forget(row, sandbox)


def due_of_hung(*, since):
    from django.utils import timezone

    from payments.models import Payment

    return Payment.objects.filter(channel=HUNG, created_at__gte=since, next_check_at__lte=timezone.now()).count()


def drain(row, *, sandbox, since):
    """The channel answers again: seconds until nothing of it is due, None when that takes too long."""
    sandbox.control.call("DELETE", "faults")
    started = time.monotonic()
    while (passed_s := time.monotonic() - started) < DRAINED_WITHIN_S:
        if not due_of_hung(since=since):
            return passed_s
        sweep(row, since=since)
        time.sleep(0.1)
    return None


def warm_up(row, *, shop):
    """Each place has made some calls: what a process imports at its first one is not what is measured."""
    from openplatform.hints import send_now

    payments = [shop.order(channel) for channel in (HUNG, WELL) for _ in range(2 * PLACES)]
    for payment in payments:
        send_now("payments.drive_payment", queue=row.queue(payment.channel), payment_no=payment.pk)
    ends_at = time.monotonic() + WARM_WITHIN_S
    while len(waits_of(payments)) < len(payments) and time.monotonic() < ends_at:
        time.sleep(0.1)


def sweep(row, *, since):
    """What beat does every two seconds, to the queue of this row."""
    from django.utils import timezone

    from openplatform.hints import send_now
    from payments.models import Payment
    from payments.operations.schedules import lease
    from payments.queries import due_payments

    now = timezone.now()
    for channel in (HUNG, WELL):
        rows = [one for one in due_payments(now=now, lease=lease(), limit=500, channel=channel) if is_new(one, since)]
        for one in rows:
            send_now("payments.drive_payment", queue=row.queue(channel), payment_no=one.pk)
        Payment.remember_hints([one.pk for one in rows], now=now)


def is_new(payment, since):
    return payment.created_at >= since


def waits_of(healthy):
    """Seconds from the row of each order to the channel's answer, of those that have one."""
    from payments.models import StateEvent

    answered = StateEvent.objects.filter(payment__in=healthy, event="ACCEPTED").select_related("payment")
    return sorted((event.created_at - event.payment.created_at).total_seconds() for event in answered)


def forget(row, sandbox):
    """Nothing of a row is left for the next one but history."""
    import redis
    from django.conf import settings

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushall()
    sandbox.stop(signal_number=signal.SIGKILL)  # with the threads that still hang
    sandbox.start()


def show(results):
    baseline = results[0][1][2]
    p99_of = lambda waits: waits[min(len(waits) - 1, int(0.99 * len(waits)))]  # noqa: E731
    print(f"load of the machine before: {LOAD:.1f} on {os.cpu_count()} processors\n")
    print("| 4 places | healthy answered | wait p50, s | wait p99, s | × p50 | × p99 | hung and due | drained, s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row, (done, count, waits, due, drained_s) in results:
        if waits:
            p50, p99 = statistics.median(waits), p99_of(waits)
            ratios = f"{p50 / statistics.median(baseline):.1f} | {p99 / p99_of(baseline):.1f}"
            figures = f"{p50:.2f} | {p99:.2f} | {ratios}"
        else:
            figures = "– | – | – | –"
        drained = "–" if drained_s is None else f"{drained_s:.1f}"
        print(f"| {row.name} | {done}/{count} | {figures} | {due} | {drained} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rate", type=int, default=5)
    parser.add_argument("--fault", choices=["hang", "slow_drip"], default="hang")
    options = parser.parse_args()
    from config.runtime import places
    from config.runtime.postgres import Postgres
    from config.runtime.valkey import Valkey
    from tests.sandboxes import RunningSandbox

    with tempfile.TemporaryDirectory(prefix="fp-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        directory.chmod(0o711)
        (directory / "sandbox").mkdir()
        sandbox = RunningSandbox(directory / "sandbox", "--allow-http-notify")
        servers = [Postgres(directory), Valkey(directory)]
        try:
            for server in servers:
                server.start()
            os.environ |= {
                "DATABASE_URL": places.database_url(directory), "REDIS_URL": places.redis_url(directory),
                "BROKER_URL": places.broker_url(directory), "CHANNEL_PRIVATE_HOSTS": sandbox.host,
                "SECRET_KEY": "bench", "MASTER_KEY": "A" * 43 + "=", "REDIS_TIMEOUT_S": "1", "LOG_FORMAT": "text",
                "DJANGO_SETTINGS_MODULE": "config.settings", "FENPAY_LOCAL_DIR": folder,
            }  # fmt: skip
            import django

            django.setup()
            from django.conf import settings
            from django.core.management import call_command

            logging.disable(logging.CRITICAL)
            settings.HINTS_ENABLED = False  # the benchmark itself chooses the queue
            call_command("migrate", verbosity=0)
            sandbox.start()
            shop = Shop(sandbox)
            results = [
                (row, run(row, shop=shop, sandbox=sandbox, directory=directory, options=options)) for row in ROWS
            ]
            show(results)
        finally:
            sandbox.close()
            for server in reversed(servers):
                server.stop()


if __name__ == "__main__":
    main()
