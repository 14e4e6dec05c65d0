"""The Celery application: what is configured, and a real worker on a real broker that goes away and comes back."""

import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from processes import ROOT, Program, python, running

from config.celery import app
from config.runtime import development, places, valkey
from openplatform.alarms import delivery
from openplatform.heartbeats import common_queues
from openplatform.models.notification import LEASE as NOTIFICATION_LEASE
from payments.channels.registry import CHANNELS, queue_of
from payments.operations.schedules import lease

QUEUES_OF_UP = {
    queue
    for stage in development.stages(
        local_dir=Path("/nowhere"), ports=development.Ports(web=1, sandbox=2, demo=3), seeded=[]
    )
    for job in stage
    if "-Q" in job.command
    for queue in job.command[job.command.index("-Q") + 1].split(",")
}


def test_shared_tasks_use_our_application_and_its_settings():
    assert current_app.main == "fenpay"
    assert app.conf.task_acks_late is True
    assert app.conf.broker_transport_options["visibility_timeout"] > 2 * app.conf.task_time_limit


def test_everything_that_beat_sends_is_a_task_that_exists():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_a_sweep_that_waited_for_a_worker_expires_instead_of_piling_up():
    for entry in app.conf.beat_schedule.values():
        assert entry["options"]["expires"] == 2 * entry["schedule"]


# What a task waits for at most, in seconds, by the deadlines of its calls. Whoever calls nobody but the database and
# the broker, which have short limits of their own, says so with 0.
WAITS_S = {
    "payments.drive_payment": lambda: 3 * settings.CHANNEL_DEADLINE_S,
    "payments.drive_refund": lambda: 3 * settings.CHANNEL_DEADLINE_S,
    "payments.recheck_payment": lambda: settings.CHANNEL_DEADLINE_S,
    "payments.fetch_certificates": lambda: settings.CHANNEL_DEADLINE_S,
    "payments.fetch_bill": lambda: settings.CHANNEL_DEADLINE_S + settings.BILL_DEADLINE_S,
    "payments.sweep_payments": lambda: 0,
    "payments.sweep_refunds": lambda: 0,
    "payments.sweep_rechecks": lambda: 0,
    "payments.sweep_certificates": lambda: 0,
    "payments.plan_bills": lambda: 0,
    "payments.sweep_bills": lambda: 0,
    "payments.watch": lambda: delivery.BUDGET_S + delivery.DEADLINE_S,
    "openplatform.deliver_notification": lambda: 2 * settings.NOTIFICATION_TIMEOUT_S,
    "openplatform.run_conformance": lambda: settings.CONFORMANCE_BUDGET_S + settings.NOTIFICATION_TIMEOUT_S,
    "openplatform.sweep_notifications": lambda: 0,
    "openplatform.sweep_conformance": lambda: 0,
    "openplatform.delete_old_idempotency_keys": lambda: 0,
    "config.delete_old_spans": lambda: 0,
}


def our_tasks():
    app.loader.import_default_modules()
    app.finalize(auto=True)
    return {name: task for name, task in app.tasks.items() if not name.startswith(("celery.", "tests."))}


def test_every_task_has_a_soft_and_a_hard_limit_above_what_it_waits_for():
    """A new task is not in the table, and fails here until somebody has said how long it may wait."""
    tasks = our_tasks()
    assert set(tasks) == set(WAITS_S)
    for name, task in tasks.items():
        soft, hard = task.soft_time_limit, task.time_limit
        assert soft is not None, name
        assert WAITS_S[name]() < soft < hard, (name, soft, hard)
        assert hard <= settings.TASK_LONGEST_S, name


def test_the_broker_gives_no_task_out_again_while_it_may_still_run():
    visibility = app.conf.broker_transport_options["visibility_timeout"]
    assert visibility > 2 * max(task.time_limit for task in our_tasks().values())


def test_a_lease_outlives_the_task_that_took_it():
    """Else a second worker would ask the channel while the first one still does."""
    for name in ("payments.drive_payment", "payments.drive_refund"):
        assert lease().total_seconds() > our_tasks()[name].time_limit
    assert NOTIFICATION_LEASE.total_seconds() > our_tasks()["openplatform.deliver_notification"].time_limit


def test_only_the_pool_that_keeps_the_limits_is_used():
    assert app.conf.worker_pool == "prefork"
    assert app.conf.worker_prefetch_multiplier == 1


def test_each_channel_has_a_queue_and_a_pool_of_its_own():
    jobs = [
        job.command[job.command.index("-Q") + 1].split(",")
        for stage in development.stages(
            local_dir=Path("/nowhere"), ports=development.Ports(web=1, sandbox=2, demo=3), seeded=[]
        )
        for job in stage
        if "-Q" in job.command
    ]
    for channel in CHANNELS:
        assert [queues for queues in jobs if queue_of(channel) in queues] == [[queue_of(channel)]]
    guide = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for queue in [*map(queue_of, CHANNELS), *common_queues()]:
        assert re.search(rf"worker -n \S+ -Q {re.escape(queue)}`", guide), queue


def test_up_has_a_worker_for_every_queue_that_tasks_go_to():
    routes = {route["queue"] for route in app.conf.task_routes.values()}
    assert routes | {app.conf.task_default_queue, *map(queue_of, CHANNELS)} == QUEUES_OF_UP


def test_a_worker_waits_longer_for_the_broker_than_the_broker_lets_it_wait():
    from kombu.transport.redis import Transport

    assert app.conf.broker_transport_options["socket_timeout"] > Transport.brpop_timeout


@pytest.fixture
def broker() -> Iterator[valkey.Valkey]:
    directory = Path(tempfile.mkdtemp(prefix="fenpay-broker-"))
    server = valkey.Valkey(directory)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory, ignore_errors=True)


class Worker:
    def __init__(self, program: Program, broker_url: str, diary: Path) -> None:
        self.program = program
        self.diary = diary
        # A publisher of its own: the test's own application knows another broker.
        self.publisher = type(app)("publisher", broker=broker_url, set_as_current=False)

    def send(self, text: str, *, seconds: float = 0.0) -> None:
        self.publisher.send_task("tests.note", kwargs={"text": text, "seconds": seconds}, queue="default")

    def wait_for(self, text: str, *, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while text not in (self.diary.read_text() if self.diary.exists() else ""):
            assert time.monotonic() < deadline, self.program.text
            self.program._read(0.05)


@pytest.fixture
def worker(broker: valkey.Valkey, tmp_path: Path) -> Iterator[Worker]:
    url = places.broker_url(broker.cwd.parent)
    command = python(
        "-m", "celery", "-A", "config.celery", "worker", "-I", "worker_tasks", "-Q", "default", "--concurrency", "2",
        "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat",
    )  # fmt: skip
    env = {
        "BROKER_URL": url, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}", "DJANGO_SETTINGS_MODULE": "config.settings",
        "FENPAY_TEST_DIARY": str(tmp_path / "diary"),
    }  # fmt: skip
    with running(command, env=env) as program:
        program.read_until(" ready.", within_s=60)
        yield Worker(program, url, tmp_path / "diary")


def test_an_idle_worker_takes_the_next_task_at_once_and_has_nothing_to_complain_about(worker: Worker):
    time.sleep(settings.CELERY["broker_transport_options"]["socket_timeout"] + 1.5)
    worker.send("after a rest")
    worker.wait_for("after a rest", within_s=2)
    worker.program._read(0.5)
    for word in ("imeout", "lost", "Traceback", "Error"):
        assert word not in worker.program.text.partition(" ready.")[2]


def test_a_worker_goes_on_when_the_broker_was_killed_and_came_back_with_its_queue(
    worker: Worker, broker: valkey.Valkey
):
    broker.child.kill()
    broker.child.wait()
    broker.start()
    worker.send("from before the worker is back")
    worker.wait_for("from before the worker is back", within_s=20)


def test_a_pool_process_dies_with_its_worker(worker: Worker):
    worker.send("busy", seconds=60)
    worker.wait_for("busy", within_s=5)
    assert len(worker.program.alive()) >= 3
    os.kill(worker.program.child.pid, signal.SIGKILL)
    worker.program.wait_until_gone(within_s=3)


def test_a_warm_stop_lets_the_task_at_hand_finish(worker: Worker):
    worker.send("slow", seconds=1.5)
    worker.wait_for("slow", within_s=5)
    began = time.monotonic()
    worker.program.signal(signal.SIGTERM)
    assert worker.program.wait(within_s=15) == 0
    assert time.monotonic() - began > 1
    assert "tests.note" not in worker.program.text.partition("Warm shutdown")[2]
