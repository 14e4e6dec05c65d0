"""Real processes: forked, stopped, killed, and on a database server that dies and comes back."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import psycopg2
import requests
from celery import Celery

from config.runtime.valkey import Valkey
from tests.idgen.conftest import ROOT, make_table
from tests.idgen.readings import figure, numbers, workers_of

SHORT = {"ttl_s": 1.5, "margin_s": 0.4, "spare_window_s": 0.3}
LONG = {"ttl_s": 30.0}


def test_two_forked_children_share_no_id_with_their_parent_or_each_other(lease_table, child):
    forked = child("fork", parameters=lease_table(workers=8), timing=LONG, each=5_000)
    parent, *children = forked.line()
    everything = [*parent, *chain.from_iterable(children)]
    assert len(set(everything)) == len(everything) == 15_020
    assert [len(workers_of(ids)) for ids in (parent, *children)] == [1, 1, 1]
    assert len(workers_of(everything)) == 3


# --- SIGSTOP past the TTL --------------------------------------------------------------------------------------------
def stopped_and_woken(child, parameters, form):
    """Ids of a process that is stopped past its TTL, after it woke up, and of the one that took its worker id."""
    options = {"parameters": parameters, "timing": SHORT, "form": form}
    sleeper = child("stream", **options)
    before = [sleeper.line()[1] for _ in range(50)]
    os.kill(sleeper.process.pid, signal.SIGSTOP)
    time.sleep(SHORT["ttl_s"] + SHORT["spare_window_s"] + 0.1)
    successor = child("stream", **options)
    successor.line()
    woken_s = time.monotonic()
    os.kill(sleeper.process.pid, signal.SIGCONT)
    time.sleep(0.6)
    # The sleeper ends first: once its successor is gone it may lease the id again, and rightly so.
    after = [value for at_s, value in sleeper.end() if at_s >= woken_s]
    taken = [value for _, value in successor.end()]
    made = numbers(after)
    figure(
        f"stopped past the TTL, PostgreSQL, form: {form}",
        f"{len(made)} ids after waking, {len(set(made) & set(numbers(taken)))} of them duplicates",
    )
    return before, after, taken


def test_a_stopped_process_that_checks_nothing_repeats_its_successors_ids(lease_table, child):
    _, after, taken = stopped_and_woken(child, lease_table(workers=1), "naive")
    assert len(after) > 50
    assert len(set(after) & set(taken)) > 25


def test_a_stopped_process_makes_no_id_after_its_deadline(lease_table, child):
    before, after, taken = stopped_and_woken(child, lease_table(workers=1), "deadline")
    assert workers_of(before) == workers_of(numbers(taken)) == {0}
    assert numbers(after) == []
    assert after


def test_a_stopped_process_with_a_blinded_deadline_makes_ids_and_no_duplicate(lease_table, child):
    before, after, taken = stopped_and_woken(child, lease_table(workers=1), "window")
    assert len(numbers(after)) > 50
    everything = before + numbers(after) + numbers(taken)
    assert workers_of(everything) == {0}
    assert len(set(everything)) == len(everything)


# --- the server dies -------------------------------------------------------------------------------------------------
def test_a_killed_database_is_outlived_until_the_deadline_and_rejoined_after_it(own_postgres, child):
    parameters = make_table({"host": str(own_postgres.sockets), "user": "postgres", "dbname": "fenpay"}, workers=4)
    stream = child("stream", parameters=parameters, timing=SHORT)
    values = [stream.line()]
    own_postgres.child.send_signal(signal.SIGKILL)
    killed_s = time.monotonic()
    own_postgres.child.wait()
    time.sleep(SHORT["ttl_s"] + 5.0)
    own_postgres.launch()
    back_s = time.monotonic()
    time.sleep(2)
    values += stream.end()
    issued = [(at_s, value) for at_s, value in values if isinstance(value, int)]
    refused = [(at_s, value) for at_s, value in values if not isinstance(value, int)]
    allowed_s = SHORT["ttl_s"] - SHORT["margin_s"]
    renew_s = SHORT["ttl_s"] / 3
    stopped_s = min(at_s for at_s, _ in refused)
    last_s = max(at_s for at_s, _ in issued if at_s < stopped_s)
    assert allowed_s - renew_s - 0.4 <= last_s - killed_s <= allowed_s + 0.2
    assert {name for _, name in refused} <= {"LeaseLost", "NoWorker"}
    again_s = min(at_s for at_s, _ in issued if at_s > stopped_s)
    figure(
        f"PostgreSQL killed, TTL {SHORT['ttl_s']} s, margin {SHORT['margin_s']} s",
        f"issued for {last_s - killed_s:.2f} s more, and again {again_s - back_s:.1f} s after the restart",
    )
    assert again_s - back_s < 1.5
    made = [value for _, value in issued]
    assert len(set(made)) == len(made)


# --- servers that fork -----------------------------------------------------------------------------------------------
SETTINGS = """
from django.conf import settings
import django
settings.configure(
    DATABASES={{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": {dbname!r}, "USER": {user!r},
                             "HOST": {host!r}, "OPTIONS": {{"options": {options!r}}}}}}},
    INSTALLED_APPS=["idgen"], USE_TZ=True,
)
django.setup()
import idgen
before_the_fork = idgen.next_ids(100)
"""
WEB = """
import json, os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    made = [idgen.next_id() for _ in range(500)]
    return [json.dumps({"pid": os.getpid(), "ids": made, "master": before_the_fork}).encode()]
"""
CELERY = """
import json, os, time
from celery import Celery
app = Celery("idgen_test", broker={broker!r})
app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)

@app.task(name="ids")
def ids(path):
    made = [idgen.next_id() for _ in range(500)]
    time.sleep(0.1)  # long enough for the other child to get the next one
    with open(path + ".part", "w") as out:
        json.dump({{"pid": os.getpid(), "ids": made, "master": before_the_fork}}, out)
    os.rename(path + ".part", path)
"""


def write_module(tmp_path: Path, parameters, body: str) -> None:
    fields = {name: parameters.get(name, "") for name in ("dbname", "user", "host", "options")}
    (tmp_path / "ids_app.py").write_text(SETTINGS.format(**fields) + body)


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def assert_nothing_shared(answers):
    """Each process's ids are its own, and none is the master's."""
    master = answers[0]["master"]
    assert all(answer["master"] == master for answer in answers)
    everything = [*master, *chain.from_iterable(answer["ids"] for answer in answers)]
    assert len(set(everything)) == len(everything)
    workers = {answer["pid"]: workers_of(answer["ids"]) for answer in answers}
    assert len(workers) >= 2
    assert all(len(own) == 1 for own in workers.values())
    assert len(set().union(*workers.values()) | workers_of(master)) == len(workers) + 1


def test_gunicorn_with_preload_gives_each_worker_an_id_of_its_own(lease_table, tmp_path):
    write_module(tmp_path, lease_table(workers=8), WEB)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        listening.set_inheritable(True)
        port = listening.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"fd://{listening.fileno()}",
             "--log-level", "warning", "--worker-tmp-dir", str(tmp_path), "--no-control-socket", "ids_app:app"],
            env=environment(tmp_path), cwd=tmp_path, pass_fds=[listening.fileno()],
        )  # fmt: skip
        try:
            answers = []
            deadline_s = time.monotonic() + 30
            while len({answer["pid"] for answer in answers}) < 2 or len(answers) < 20:
                assert time.monotonic() < deadline_s
                assert server.poll() is None
                answers.append(requests.get(f"http://127.0.0.1:{port}/", timeout=20).json())
        finally:
            server.terminate()
            server.wait(20)
    assert_nothing_shared(answers)


def test_celery_prefork_gives_each_child_an_id_of_its_own(lease_table, tmp_path):
    broker = Valkey(tmp_path)
    broker.start()
    try:
        url = f"redis+socket://{broker.socket}"
        write_module(tmp_path, lease_table(workers=8), CELERY.format(broker=url))
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "ids_app:app", "worker", "--pool", "prefork", "--concurrency", "2",
             "-O", "fair", "--loglevel", "warning", "--without-gossip", "--without-mingle", "--without-heartbeat"],
            env=environment(tmp_path), cwd=tmp_path,
        )  # fmt: skip
        try:
            results = [tmp_path / f"ids_{number}.json" for number in range(20)]
            with Celery(broker=url) as sender:
                for path in results:
                    sender.send_task("ids", [str(path)])
            deadline_s = time.monotonic() + 40
            while not all(path.exists() for path in results):
                assert time.monotonic() < deadline_s
                assert worker.poll() is None
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(20)
        assert_nothing_shared([json.loads(path.read_text()) for path in results])
    finally:
        broker.stop()


def test_a_child_does_not_close_its_parents_lease_or_connection(lease_table, child):
    """The parent renews and issues after both children have ended: `fork` ends with exactly that."""
    parameters = lease_table(workers=8)
    forked = child("fork", parameters=parameters, timing=LONG, each=10)
    parent, *_ = forked.line()
    assert len(parent) == 30
    assert len(workers_of(parent)) == 1
    with psycopg2.connect(**parameters) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT worker_id FROM idgen_lease WHERE lease_until > now() AND info LIKE %s",
                       [f"%:{forked.process.pid} %"])  # fmt: skip
        assert cursor.fetchall() == [(workers_of(parent).pop(),)]
    connection.close()
