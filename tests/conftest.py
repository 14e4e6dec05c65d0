"""Every run of the tests has its own PostgreSQL and its own Valkey, in a directory that is removed at the end.

The controller starts them; pytest-xdist's workers find them through the environment (config/settings_test.py).
"""

import gc
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
import redis

from tests.emptying import Emptying
from tests.lent_keys import lending

# The first has no windows and no tabs to keep, and takes half the time of a whole browser.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Without its background traffic: a test must not look anybody up.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

LEFTOVER_AGE_S = 600

_servers: list = []


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        _keep_to_a_database_of_the_store(int(config.workerinput["workerid"].removeprefix("gw")))
        return
    if config.option.collectonly:
        return
    from config.runtime import lock
    from config.runtime.postgres import Postgres
    from config.runtime.valkey import Valkey

    _remove_leftovers()
    data_dir = Path(os.environ["FENPAY_LOCAL_DIR"])
    data_dir.chmod(0o711)  # the server's own user must be able to pass through
    held = config._fenpay_lock = lock.acquire(data_dir)
    for server in (Postgres(data_dir, fast=True, keep_open=[held]), Valkey(data_dir, keep_open=[held])):
        server.start()
        _servers.append(server)


def _keep_to_a_database_of_the_store(worker: int) -> None:
    """Workers have rate rules with the same numbers, and one address: in one database they would count together."""
    from django.conf import settings

    settings.REDIS_URL = f"{settings.REDIS_URL}?db={worker % 15 + 1}"


def pytest_collection_finish() -> None:
    """Else every look for garbage goes through thousands of collected tests."""
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    for server in reversed(_servers):
        server.stop()
    if hasattr(config, "_fenpay_lock"):
        os.close(config._fenpay_lock)
        shutil.rmtree(os.environ["FENPAY_LOCAL_DIR"], ignore_errors=True)


def _remove_leftovers() -> None:
    """A run that was killed could not clean up. Its lock is free: the kernel let it go."""
    from config.runtime import lock

    for directory in Path(tempfile.gettempdir()).glob("fenpay-test-*"):
        if directory == Path(os.environ["FENPAY_LOCAL_DIR"]):
            continue
        try:
            if not (directory / "lock").exists():  # of a run that never began; one that begins now is young
                if time.time() - directory.stat().st_mtime > LEFTOVER_AGE_S:
                    directory.rmdir()
                continue
            descriptor = lock.acquire(directory, wait_s=0)
        except (lock.DataDirectoryInUseError, OSError):
            continue
        shutil.rmtree(directory, ignore_errors=True)
        os.close(descriptor)


@pytest.fixture(scope="session")
def require() -> Callable[[object, str], None]:
    """`require(condition, reason)`: skip a test whose optional tool is missing, or fail it under REQUIRE_ALL=1 (CI)."""

    def require(condition: object, reason: str) -> None:
        if condition:
            return
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, but {reason}", pytrace=False)
        pytest.skip(reason)

    return require


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict, require: Callable[[object, str], None]) -> dict:
    """The machine's own Chromium. Playwright keeps an event loop in this thread, which Django would take for async."""
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    require(executable, "no Chromium is installed (apt-get install chromium-headless-shell)")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return browser_type_launch_args | {"executable_path": executable, "args": CHROMIUM_ARGUMENTS}


def rest_truncate_triggers() -> None:
    """Also for a test that makes a table anew by migrating there and back."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger"
            " WHERE tgname LIKE '%\\_append\\_only\\_truncate' AND tgenabled <> 'D'"
        )
        for table, trigger in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DISABLE TRIGGER "{trigger}"')


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest.FixtureDef) -> Iterator[None]:
    """Let a transactional test empty the append-only tables at its end: their triggers on TRUNCATE are put to rest.

    Those on UPDATE and DELETE stay awake, so that the tests meet the same rules as the money does.
    """
    from django.db import connection

    with django_db_blocker.unblock():
        rest_truncate_triggers()
        emptying = Emptying()
    emptying.take_over()
    yield
    import idgen

    idgen.close()  # the database of its lease is about to go
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        # A thread that a test left behind may still hold a connection, and the database could not be dropped.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    # To drop a database, the server writes down all that it has in memory of every other one: it takes its time.
    connection.settings_dict["OPTIONS"] = connection.settings_dict["OPTIONS"] | {"options": "-c statement_timeout=0"}


@pytest.fixture(autouse=True)
def no_answer_holds_an_id_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever JSON a test receives from us is scanned, whatever else the test is about."""
    from django.test import Client

    from tests.json_ids import scanned

    original = Client.request

    def request(self: Client, **environ: object) -> object:
        answer = original(self, **environ)
        if "json" in answer.headers.get("Content-Type", "") and not answer.streaming and answer.content:
            scanned(json.loads(answer.content))
        return answer

    monkeypatch.setattr(Client, "request", request)


@pytest.fixture(autouse=True)
def keys_are_lent(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only to a test whose rows go when it ends: a key whose row stays, cannot be used again."""
    has_own_rows = request.node.get_closest_marker("django_db") or {"db", "transactional_db"} & {*request.fixturenames}
    with lending() if has_own_rows else nullcontext():
        yield


@pytest.fixture(autouse=True)
def forget_cached_rows() -> None:
    """Keys are cached for some seconds in each process, and a test's rows live shorter than that."""
    from openplatform.caches import clear_all

    clear_all()


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """All tests come from one address, and more of their requests are refused than an address may have refused."""
    from django.conf import settings

    client = _counters(settings.REDIS_URL)
    for key in client.scan_iter("limit:*"):
        client.delete(key)


@cache
def _counters(url: str) -> redis.Redis:
    """Kept: to make a client and its connection, the library reads its own version from a file, twice."""
    return redis.Redis.from_url(url)
