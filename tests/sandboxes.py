"""A real sandbox process for tests: its own directory, a free port, a control client.

`running_sandbox` is one for the whole run, reset before each test that asks for it. `fresh_sandbox` gives a test one of
its own that it may stop and start. Both are started with compressed waiting times and http notify_urls allowed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import identity

ROOT = Path(__file__).parents[1]
COMPRESS = 100.0
READY_WITHIN_S = 30.0
STOPS_WITHIN_S = 10.0


class Control:
    """The sandbox's control API: `control.post("clock", {"advance_s": 60})`, and words for the common ones."""

    def __init__(self, *, base_url: str, token: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Sandbox-Token"] = token

    def close(self) -> None:
        self._session.close()

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        url = f"{self.base_url}/_sandbox/{path}"
        answer = self._session.request(method, url, json=body, params=query, timeout=30)
        if answer.status_code >= 400:
            raise ControlRefused(answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str, **query: str) -> Any:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def pay(self, out_trade_no: str, **more: Any) -> dict[str, Any]:
        return self.post(f"orders/{out_trade_no}/pay", more)

    def order(self, out_trade_no: str) -> dict[str, Any]:
        return self.get(f"orders/{out_trade_no}")

    def add_fault(self, operation: str, fault: str, **more: Any) -> dict[str, Any]:
        return self.post("faults", {"operation": operation, "fault": fault, **more})

    def advance(self, seconds: float) -> dict[str, Any]:
        return self.post("clock", {"advance_s": seconds})

    def options(self, **changes: Any) -> dict[str, Any]:
        return self.call("PATCH", "options", changes)

    def settle(self, out_refund_no: str, status: str) -> dict[str, Any]:
        return self.post(f"refunds/{out_refund_no}/settle", {"status": status})

    def calls(self, **query: str) -> list[dict[str, Any]]:
        return self.get("calls", **query)

    def notifications(self, **query: str) -> list[dict[str, Any]]:
        return self.get("notifications", **query)

    def reset(self) -> None:
        self.post("reset")


class ControlRefused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class RunningSandbox:
    """A sandbox on a port that stays ours even while its process is stopped."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory, self._options = directory, options
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.base_url = f"http://{self.host}"
        self._backup = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.backup_url = f"http://127.0.0.1:{self._backup.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None
        _give_identity(directory)
        identity.make(directory, base_url=self.base_url)
        self.identity: dict[str, Any] = json.loads((directory / identity.MERCHANT_FILE).read_text())
        self.wechatpay: dict[str, str] = self.identity["wechatpay"]
        self.control = Control(base_url=self.base_url, token=self.identity["control_token"])

    @property
    def pid(self) -> int:
        assert self._process is not None, "the sandbox is not running"
        return self._process.pid

    def start(self) -> "RunningSandbox":
        listener, backup = self._listener.fileno(), self._backup.fileno()
        arguments = ["serve", "--dir", str(self.directory), "--base-url", self.base_url, "--bind", f"fd://{listener}"]
        arguments += ["--backup-bind", f"fd://{backup}"]
        with (self.directory / "log.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sandbox", *arguments, *self._options],
                cwd=ROOT,
                env=_environment(),
                pass_fds=(listener, backup),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._ready, within_s=READY_WITHIN_S, what=f"the sandbox to answer; its log:\n{self.log()}")
        self.identity = json.loads((self.directory / identity.MERCHANT_FILE).read_text())  # now with the backup host
        self.wechatpay = self.identity["wechatpay"]
        return self

    def stop(self, *, signal_number: int = signal.SIGTERM) -> float:
        """Returns how many seconds the process took to end."""
        process, self._process = self._process, None
        if process is None:
            return 0.0
        started = time.monotonic()
        process.send_signal(signal_number)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return time.monotonic() - started

    def close(self) -> None:
        self.stop()
        self.control.close()
        self._listener.close()
        self._backup.close()

    def log(self) -> str:
        path = self.directory / "log.txt"
        return path.read_text() if path.exists() else ""

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the sandbox died: {self.log()}"
        try:
            return requests.get(f"{self.base_url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


@cache
def _identity_files() -> dict[str, bytes]:
    """One identity is enough for all sandboxes of a run: its dozen of keys take seconds to make."""
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "sandbox", "init", "--dir", made]
        subprocess.run(command, cwd=ROOT, env=_environment(), check=True)
        return {path.name: path.read_bytes() for path in Path(made).iterdir()}


def _give_identity(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in _identity_files().items():
        (directory / name).write_bytes(content)


def wait_until(condition: Callable[[], Any], *, within_s: float = 10.0, what: str = "it") -> Any:
    """Look again and again; returns the first true value. Fails the test after `within_s` seconds."""
    until, pause_s = time.monotonic() + within_s, 0.01
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(pause_s)
        pause_s = min(0.1, 1.3 * pause_s)  # whoever waits long, waits for somebody who needs the processor
    raise AssertionError(f"waited {within_s} s for {what}")


def _environment() -> dict[str, str]:
    """Ours without what this test run means for itself: the sandbox must not need any of it."""
    foreign = ("DJANGO_", "FENPAY_", "SECRET_KEY", "MASTER_KEY", "SANDBOX_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


@pytest.fixture(scope="session")
def session_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One process for the whole run. Use `running_sandbox`, which resets it."""
    options = ("--compress", str(COMPRESS), "--allow-http-notify")
    sandbox = RunningSandbox(tmp_path_factory.mktemp("sandbox"), *options)
    try:
        yield sandbox.start()
    finally:
        sandbox.close()


@pytest.fixture
def running_sandbox(session_sandbox: RunningSandbox) -> RunningSandbox:
    """The session's sandbox, empty: no orders, no faults, the clock right."""
    session_sandbox.control.reset()
    return session_sandbox


@pytest.fixture
def fresh_sandbox(tmp_path: Path) -> Iterator[Callable[..., RunningSandbox]]:
    """A function that makes a sandbox of one's own from command line options; it is not started yet."""
    made: list[RunningSandbox] = []

    def make(*options: str) -> RunningSandbox:
        made.append(RunningSandbox(tmp_path / f"sandbox{len(made)}", *options))
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.close()
