"""Real workers, beat, broker and webhook, each stopped in turn: somebody is told, and told that it is over.

The figures are those of one database and one broker of this file's own tests, with limits of seconds.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from config import health
from config.runtime.valkey import Valkey
from openplatform import hints
from openplatform.breaker import THRESHOLD
from openplatform.heartbeats import read_signs
from openplatform.models import Alarm, AlarmMessage
from payments.health import read_figures
from payments.operations.checkup import Reader
from payments.operations.watch import watch
from payments.states import OrderStatus
from tests.openplatform.merchants import MerchantServer, answers, merchant_server
from tests.sandboxes import wait_until

ROOT = Path(__file__).parents[2]
LIMITS = {
    "ALARM_CHECK_S": "1", "ALARM_OPEN_CHECKS": "2", "ALARM_CLOSE_CHECKS": "2", "ALARM_WORKER_SILENT_S": "6",
    "ALARM_BEAT_SILENT_S": "8", "ALARM_MESSAGES_PER_MINUTE": "1000",
}  # fmt: skip
QUEUES = "default,notifications,bills,channel.wechatpay"
WITHIN_S = 90  # this machine may be busy; what is waited for comes within seconds on an idle one
pytestmark = pytest.mark.django_db(transaction=True)


class Crew:
    """Celery processes on this test's database, broker and webhook."""

    def __init__(self, directory: Path, broker: Valkey, bot: MerchantServer) -> None:
        database = connection.settings_dict
        self.directory, self.bot = directory, bot
        self.environment = os.environ | LIMITS | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
            "BROKER_URL": f"redis+socket://{broker.socket}",
            "ALARM_WEBHOOK_URL": f"http://{bot.host}/hook?key=secret-of-the-bot",
            "ALARM_LANGUAGE": "en",
        }  # fmt: skip
        self.running: list[subprocess.Popen[bytes]] = []
        self.before = (0, 0)

    def start(self, *arguments: str, dies_at: str = "") -> subprocess.Popen[bytes]:
        with (self.directory / "crew.log").open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "celery", "--quiet", "-A", "config.celery", *arguments], cwd=ROOT,
                env=self.environment | {"FENPAY_FAULT": dies_at}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.running.append(child)
        return child

    def worker(self) -> subprocess.Popen[bytes]:
        options = ("--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat")
        return self.start("worker", "-n", "crew@%h", "-Q", QUEUES, *options)

    def beat(self, *, dies_at: str = "") -> subprocess.Popen[bytes]:
        schedule = str(self.directory / "schedule")
        return self.start("beat", "--pidfile=", "-s", schedule, dies_at=dies_at)

    def signal(self, child: subprocess.Popen[bytes], number: int) -> None:
        os.killpg(child.pid, number)

    def said(self) -> str:
        return (self.directory / "crew.log").read_text(encoding="utf-8", errors="replace")

    def told(self) -> list[tuple[str, str]]:
        """What the webhook has heard since all was well: (event, kind)."""
        new = [request.document for request in self.bot.requests[self.before[0] :]]
        return [(said["event"], alarm["kind"]) for said in new for alarm in said.get("alarms", [said])]

    def wait_for(self, condition, what: str) -> None:
        try:
            wait_until(condition, within_s=WITHIN_S, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}; told: {self.told()}; they said:\n{self.said()[-3000:]}") from None

    def wait_for_told(self, event: str, kind: str) -> None:
        self.wait_for(lambda: (event, kind) in self.told(), f"{event} {kind}")

    def wait_until_well(self) -> None:
        """Beat looks, the worker is there, sweeps run, and what rang until all were there is over and forgotten."""

        def is_well() -> bool:
            signs = read_signs()
            sweeps_run = all(sweep.age_s is not None for sweep in signs.often)
            owed = AlarmMessage.objects.filter(status="owed").exists()
            rings = Alarm.objects.filter(closed_at=None).exists()
            return bool(signs.alive_at("default") and signs.watch_age_s is not None and sweeps_run) and not (
                rings or owed
            )

        self.wait_for(is_well, "the crew to work")
        self.before = (len(self.bot.requests), Alarm.objects.count())

    def new_alarms(self) -> "list[Alarm]":
        return list(Alarm.objects.order_by("pk")[self.before[1] :])

    def close(self) -> None:
        for child in self.running:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait(10)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Valkey]:
    valkey = Valkey(tmp_path)
    valkey.start()
    yield valkey
    if valkey.child is not None:
        valkey.child.send_signal(signal.SIGCONT)
    valkey.stop()


@pytest.fixture
def crew(tmp_path: Path, broker: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    original = hints._connect
    monkeypatch.setattr(hints, "_connect", lambda: original().clone(hostname=f"redis+socket://{broker.socket}"))
    with merchant_server(answers(200)) as bot:
        crew = Crew(tmp_path, broker, bot)
        yield crew
        crew.close()


def test_each_part_that_stands_still_or_dies_is_missed_and_its_return_is_told(crew, broker):
    """One crew for all of it, well again before each next trouble: a worker, the broker in two ways, and beat."""
    worker, beat = crew.worker(), crew.beat()
    crew.wait_until_well()
    crew.signal(worker, signal.SIGSTOP)
    crew.wait_for_told("opened", "no_worker")
    assert {alarm.kind for alarm in crew.new_alarms()} == {"no_worker"}, "that sweeps stand still follows from it"
    crew.signal(worker, signal.SIGCONT)
    crew.wait_for_told("closed", "no_worker")

    for how in (signal.SIGSTOP, signal.SIGKILL):
        crew.wait_until_well()
        broker.child.send_signal(how)
        crew.wait_for_told("opened", "broker_unreachable")
        assert {alarm.kind for alarm in crew.new_alarms()} == {"broker_unreachable"}, "one cause, one alarm"
        if how is signal.SIGSTOP:
            broker.child.send_signal(signal.SIGCONT)
        else:
            broker.child.wait()
            broker.start()
        crew.wait_for_told("closed", "broker_unreachable")

    crew.wait_until_well()
    crew.signal(beat, signal.SIGKILL)
    crew.wait_for_told("opened", "beat_silent")
    assert read_signs().alive_at("default")
    crew.beat()
    crew.wait_for_told("closed", "beat_silent")

    worker.terminate()
    assert worker.wait(WITHIN_S) == 0
    assert read_signs().workers == [], "one that ends in good order is not missed"
    assert "secret-of-the-bot" not in crew.said()


def test_whoever_tells_is_killed_half_way_and_it_is_told_again(crew):
    """After the webhook has heard of it and before that is written down: rather twice than never."""
    beat = crew.beat(dies_at="alarm.sent")
    crew.wait_for(lambda: beat.poll() is not None, "the kill")
    first = crew.bot.requests[0].document
    message = AlarmMessage.objects.get(pk=first["message_id"])
    assert (message.status, message.attempts_count) == ("owed", 1)
    AlarmMessage.objects.filter(status="owed").update(lease_until=timezone.now())  # thirty seconds pass
    crew.beat()
    again = lambda: [r for r in crew.bot.requests[1:] if r.document.get("message_id") == first["message_id"]]  # noqa: E731
    crew.wait_for(again, "the same message")
    crew.wait_for(lambda: AlarmMessage.objects.get(pk=message.pk).status == "delivered", "its end")


def test_when_all_are_dead_a_monitor_and_cron_know_it(crew, client: Client, monkeypatch, settings):
    """Nobody is there: neither beat nor a worker. Both ways from outside say so, and cron's tells who is on call."""
    monkeypatch.setattr(health, "_reader", Reader())
    answer = client.get("/health/queues")
    assert (answer.status_code, answer.json()) == (503, {"status": "failed"})
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "manage.py", "health", "--json", "--watch"], cwd=ROOT, capture_output=True, text=True,
            env=crew.environment, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        crew.environment["ALARM_OPEN_CHECKS"] = "1"
        read_back = connection.cursor()
        read_back.execute("UPDATE openplatform_heartbeat SET beaten_at = now() - interval '1 minute'")
    seen = json.loads(done.stdout)
    assert {"workers", "watch"} <= set(seen["problems"])
    assert ("opened", "no_worker") in crew.told()
    assert crew.bot.host not in done.stdout + done.stderr


@pytest.fixture
def limits(settings):
    settings.ALARM_OPEN_CHECKS = settings.ALARM_CLOSE_CHECKS = 1


def test_a_channel_that_hangs_rings_by_its_breaker_and_by_what_is_not_known(shop, limits, settings):
    """Each order gets no answer within its deadline: unknown, and after five of them the breaker is open."""
    settings.ALARM_BREAKER_S = settings.ALARM_UNKNOWN_S = 1
    shop.control.add_fault("create", "hang", times=THRESHOLD)
    orders = [shop.drive(shop.order()) for _ in range(THRESHOLD)]
    assert {order.status for order in orders} == {OrderStatus.UNKNOWN}
    assert not shop.breaker.may_call()
    wait_until(lambda: read_figures(now=shop.now()).breakers[0].open_for_s >= 1, within_s=20)
    assert watch(clock=shop.now, older_than_s=0)
    rung = {(alarm.kind, alarm.key) for alarm in Alarm.objects.filter(closed_at=None)}
    assert {("breaker_open", shop.breaker.name), ("unknown_too_long", "wechatpay")} <= rung

    for order in orders:
        shop.drive_until(order, "PAYING")
    assert watch(clock=shop.now, older_than_s=0)
    still_open = {alarm.kind for alarm in Alarm.objects.filter(closed_at=None)}
    assert not {"breaker_open", "unknown_too_long"} & still_open
