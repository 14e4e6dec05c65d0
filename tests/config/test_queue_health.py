"""What a monitor is told when it asks from outside, and what strangers are not."""

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from config import health
from openplatform.alarms import acknowledge, raise_alarm
from openplatform.heartbeats import sweep_is_done, take_watch, worker_beats
from openplatform.models import Alarm, Heartbeat
from openplatform.models.alarm import AlarmKind
from openplatform.store import circuit
from payments.operations.checkup import KEPT_S, Reader, check_up
from tests import factories

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-a-monitor-0123456789"
SWEEPS = (
    "payments.sweep_payments", "payments.sweep_refunds", "openplatform.sweep_notifications",
    "openplatform.sweep_conformance",
)  # fmt: skip
QUEUES = ["default", "notifications", "bills", "channel.wechatpay"]
pytestmark = [pytest.mark.urls("config.urls"), pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def a_new_look(monkeypatch):
    circuit.reset()
    monkeypatch.setattr(health, "_reader", Reader())


@pytest.fixture
def all_is_well():
    """A worker at each queue, sweeps that run, and somebody who looks."""
    factories.an_app()
    worker_beats(name="w@host/1", queues=QUEUES, slots=2, clock=timezone.now)
    for name in SWEEPS:
        sweep_is_done(name=name)
    take_watch(older_than_s=0)


def ask(client: Client, token: str = ""):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return client.get("/health/queues", headers=headers)


def test_a_stranger_learns_that_all_is_well_and_no_more(client: Client, all_is_well, settings):
    settings.HEALTH_TOKEN = TOKEN
    for answer in (ask(client), ask(client, "wrong"), ask(client, TOKEN[:-1])):
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_token_in_the_settings_nobody_is_told_more(client: Client, all_is_well):
    assert ask(client).json() == {"status": "ok"}
    assert ask(client, "None").json() == {"status": "ok"}
    assert client.get("/health/queues", headers={"authorization": "Bearer "}).json() == {"status": "ok"}


def test_a_monitor_with_the_token_is_told_the_figures(client: Client, all_is_well, settings):
    settings.HEALTH_TOKEN = TOKEN
    factories.a_submitting_order(now=timezone.now())
    seen = ask(client, TOKEN).json()
    assert seen["status"] == "ok"
    assert seen["channels"]["wechatpay"]["payments"]["count"] == 1
    assert [worker["queues"] for worker in seen["workers"]] == [sorted(QUEUES)]
    assert set(seen["broker"]["queues"]) == {*QUEUES, "channel.alipay", "channel.unionpay"}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM openplatform_heartbeat WHERE kind = 'worker'", "workers"),
        ("UPDATE openplatform_heartbeat SET beaten_at = now() - interval '1 minute' WHERE kind = 'worker'", "workers"),
        ("UPDATE openplatform_heartbeat SET beaten_at = now() - interval '2 minutes' WHERE kind = 'sweep'", "beat"),
        ("UPDATE openplatform_heartbeat SET beaten_at = now() - interval '2 minutes' WHERE kind = 'watch'", "watch"),
        ("DELETE FROM openplatform_heartbeat WHERE kind = 'watch'", "watch"),
    ],
)
def test_whoever_is_missing_is_named_at_once(client: Client, all_is_well, settings, statement, problem):
    settings.HEALTH_TOKEN = TOKEN
    with connection.cursor() as cursor:
        cursor.execute(statement)
    answer = ask(client, TOKEN)
    assert (answer.status_code, answer.json()["problems"]) == (503, [problem])


def test_a_critical_alarm_fails_it_until_somebody_looks_at_it(client: Client, all_is_well):
    raise_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key="1 a.example", text="x", now=timezone.now())
    assert check_up(now=timezone.now()).is_well, "a warning can wait for the morning"
    raise_alarm(kind=AlarmKind.UNKNOWN_TOO_LONG, key="wechatpay", text="x", now=timezone.now())
    assert check_up(now=timezone.now()).problems == ("alarms",)
    critical = Alarm.objects.get(kind=AlarmKind.UNKNOWN_TOO_LONG)
    acknowledge(alarm_id=critical.pk, by="olga", note="x", now=timezone.now())
    assert check_up(now=timezone.now()).is_well


def test_a_store_and_a_part_of_the_database_that_do_not_answer_are_problems(all_is_well, settings):
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    assert check_up(now=timezone.now()).problems == ("redis",)
    circuit.reset()
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE openplatform_heartbeat IN ACCESS EXCLUSIVE MODE")
        assert check_up(now=timezone.now()).problems == ("database",)
    finally:
        holder.close()


def test_many_who_ask_at_once_cost_one_look(all_is_well):
    reader = Reader()
    first = reader.read()
    Heartbeat.objects.all().delete()
    assert reader.read() is first, f"it is as good as new for {KEPT_S} s"


def test_nobody_waits_longer_for_a_look_that_hangs(all_is_well):
    """The reader is waited for so long and no longer; and a second look is not begun beside the first."""
    reader = Reader()
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE openplatform_heartbeat IN ACCESS EXCLUSIVE MODE")
        assert reader.read(within_s=0.05).problems == ("database",)
        running = reader._running
        assert reader.read(within_s=0.05).figures is None
        assert reader._running is running
    finally:
        holder.close()
    running.result(timeout=60)


# --- the command -------------------------------------------------------------------------------------------------


def run(*arguments: str, **environment: str):
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}"
    variables = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": url} | environment
    return subprocess.run(
        [sys.executable, "manage.py", "health", *arguments], cwd=ROOT, env=variables, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def test_the_command_is_for_people_and_for_monitors(all_is_well):
    Heartbeat.objects.filter(kind="worker").delete()
    Heartbeat.objects.update(beaten_at=timezone.now() + timedelta(minutes=1))  # for as long as two commands take
    done = run()
    assert done.returncode == 1
    assert "in trouble: workers" in done.stderr
    assert "wechatpay" in done.stdout
    assert "queue channel.wechatpay" in done.stdout
    seen = json.loads(run("--json").stdout)
    assert seen["problems"] == ["workers"]


def test_a_database_that_accepts_and_is_silent_has_an_exit_status_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run(DATABASE_URL=f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none")
    assert done.returncode == 2
    assert "database" in done.stderr
