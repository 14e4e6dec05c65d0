"""The whole of `manage.py up` on free ports and in a directory of its own, and a phone-sized browser."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page

from tests.sandboxes import wait_until

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 120


class World:
    """A running `manage.py up`: its URLs, its output, and the README's client as a command."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = dict(zip(("WEB_PORT", "SANDBOX_PORT", "DEMO_PORT"), _free_ports(3), strict=True))
        self.web, self.sandbox, self.demo = (f"http://127.0.0.1:{port}" for port in self.ports.values())
        self.log = directory / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "World":
        kept = ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {name: str(port) for name, port in self.ports.items()}
        environment["FENPAY_LOCAL_DIR"] = str(self.directory / "local")
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._ready, within_s=READY_WITHIN_S, what="`manage.py up`")
        except AssertionError as error:
            raise AssertionError(f"{error}; the end of its log:\n{self.said()[-4000:]}") from None
        return self

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def pay_code_url(self, channel: str = "wechatpay") -> str:
        return re.findall(rf"cashier, {channel} +({self.web}/pay/[\w-]+)", self.said())[-1]

    def console_login(self) -> dict[str, str]:
        login: dict[str, str] = json.loads((self.directory / "local" / "demo" / "console.json").read_text())
        return login

    def client(self, *arguments: str) -> dict[str, Any]:
        """Our own small client, as the README shows it."""
        config = self.directory / "local" / "demo" / "client.json"
        done = subprocess.run(
            [sys.executable, "-m", "openplatform.client", "--config", str(config), *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def order(self, order_no: str) -> dict[str, Any]:
        return self.client("get", f"/openapi/v1/orders/{order_no}")

    def received(self) -> list[dict[str, Any]]:
        """What the demo merchant has verified."""
        received: list[dict[str, Any]] = requests.get(f"{self.demo}/received", timeout=5).json()
        return received

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()[-4000:]
        return "fenpay is ready" in self.said()


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="fenpay-journey-") as name:
        Path(name).chmod(0o711)  # the embedded database's own user passes through
        world = World(Path(name))
        try:
            yield world.start()
        finally:
            if world.process is not None and world.process.poll() is None:
                world.stop()


@pytest.fixture
def phone(browser: Browser, world: World) -> Iterator[Page]:
    """A browser of a phone's size that speaks Chinese; any script error or blocked resource fails the test."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert [error for error in errors if "favicon" not in error] == []
