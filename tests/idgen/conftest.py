"""Lease tables of their own: a schema per test, so that nothing meets the leases of the test run itself."""

import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connections

from config.runtime.postgres import Postgres
from tests.idgen import etcd_cluster
from tests.idgen.certificates import Authority
from tests.idgen.etcd_cluster import Cluster

HERE = Path(__file__).parent
ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = [
    importlib.import_module("idgen.migrations.0001_leases").CREATE,
    importlib.import_module("idgen.migrations.0003_stats_and_layout").ADD,
]
_numbers = itertools.count()


def execute(parameters: dict[str, Any], statement: str, *values: Any) -> list[tuple]:
    """One autocommit statement, outside Django."""
    connection = psycopg2.connect(**parameters)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def make_table(parameters: dict[str, Any], *, workers: int) -> dict[str, Any]:
    """A schema with a lease table of `workers` rows. Returns libpq parameters that lead to it."""
    schema = f"idgen_{os.getpid()}_{next(_numbers)}"
    own = parameters | {"options": f"{parameters.get('options', '')} -c search_path={schema}".strip()}
    execute(parameters, f"CREATE SCHEMA {schema}")
    for statement in MIGRATIONS:
        execute(own, statement)
    execute(own, "INSERT INTO idgen_lease (worker_id) SELECT generate_series(0, %s - 1)", workers)
    return own


@pytest.fixture
def lease_table(django_db_setup) -> Callable[..., dict[str, Any]]:
    """`lease_table(workers=n)` makes a table in the test database."""
    parameters = dict(connections["default"].get_connection_params())
    parameters.pop("cursor_factory", None)
    return lambda *, workers: make_table(parameters, workers=workers)


class Child:
    """tests/idgen/child.py in a process of its own, spoken to in lines."""

    def __init__(self, role: str, **options: Any) -> None:
        environment = options.pop("env", {})
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py")), role, json.dumps(options)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def line(self) -> Any:
        text = self.process.stdout.readline()
        assert text, f"the child ended with status {self.process.wait()}"
        return json.loads(text)

    def lines(self) -> list[Any]:
        return [json.loads(text) for text in self.process.stdout]

    def tell(self, word: str) -> None:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def ask(self, word: str) -> Any:
        self.tell(word)
        return self.line()

    def end(self) -> list[Any]:
        """Close its input, which ends it, and return what it still had to say."""
        self.process.stdin.close()
        rest = self.lines()
        self.process.wait(20)
        return rest


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(role: str, **options: Any) -> Child:
        children.append(Child(role, **options))
        return children[-1]

    yield start
    for each in children:
        with suppress(ProcessLookupError):
            os.killpg(each.process.pid, signal.SIGKILL)  # with whatever it forked
        each.process.wait()
        each.process.stdin.close()
        each.process.stdout.close()


@pytest.fixture
def own_postgres():
    """A server of its own, not in pytest's directory: that one is closed to the server's user."""
    with tempfile.TemporaryDirectory(prefix="fenpay-idgen-") as directory:
        Path(directory).chmod(0o711)
        server = Postgres(Path(directory), fast=False)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, require):
    require(etcd_cluster.BINARY, "etcd is not installed (Debian: etcd-server)")
    made = Cluster(tmp_path_factory.mktemp("etcd"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def tls_cluster(tmp_path_factory, require):
    """Three members that talk only to clients with a certificate of `tls_cluster.authority`."""
    require(etcd_cluster.BINARY, "etcd is not installed (Debian: etcd-server)")
    directory = tmp_path_factory.mktemp("etcd-tls")
    made = Cluster(directory, authority=Authority(directory, name="ours"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def own_cluster(tmp_path, require):
    require(etcd_cluster.BINARY, "etcd is not installed (Debian: etcd-server)")
    made = Cluster(tmp_path)
    made.start()
    yield made
    made.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs are asked for by name: `make soak`."""
    if "soak" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("soak") and item.path.is_relative_to(HERE)]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
