"""The web server with our configuration: the target as it was signed, limits, and no process left behind."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import ROOT, Program, python, running

HERE = Path(__file__).parent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Program, int]]:
    command = python("-m", "gunicorn", "-c", "python:config.gunicorn", "raw_target:application")
    env = {"WEB_BIND": "127.0.0.1:0", "PYTHONPATH": f"{ROOT}:{HERE}", "DJANGO_SETTINGS_MODULE": "config.settings"}
    env |= {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "WEB_BODY_WAIT_S": "1", "ACCESS_LOG": "1"}
    with running(command, env=env) as program:
        program.read_until("Booting worker", within_s=30)
        port = int(re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", program.text).group(1))
        yield program, port


def ask(port: int, head: str) -> tuple[int, str]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    headers, _, body = answer.decode("latin-1").partition("\r\n\r\n")
    return int(headers.split()[1]), body


@pytest.mark.parametrize(
    "target", ["/a/%6fb/%2F//x", "/a?b=%41&c=+%20", "/%E6%94%AF", "/a/../b/./c", "/a?", "//double"]
)
def test_the_target_arrives_as_it_stood_on_the_wire(server: tuple[Program, int], target: str):
    assert ask(server[1], f"GET {target} HTTP/1.1") == (200, target)


def test_a_request_line_or_a_header_without_measure_is_refused(server: tuple[Program, int]):
    assert ask(server[1], f"GET /{'a' * 5_000} HTTP/1.1")[0] in {400, 414}
    assert ask(server[1], f"GET / HTTP/1.1\r\nX-Long: {'a' * 9_000}")[0] in {400, 431}
    many = "\r\n".join(f"X-{number}: 1" for number in range(100))
    assert ask(server[1], f"GET / HTTP/1.1\r\n{many}")[0] in {400, 431}


def test_a_body_that_does_not_come_holds_no_thread(server: tuple[Program, int]):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server[1]), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
        assert connection.recv(65_536) == b""
    assert 0.9 < time.monotonic() - began < 5


def test_the_access_log_has_neither_a_payers_link_nor_a_query(server: tuple[Program, int]):
    ask(server[1], f"GET /cashier/{'t' * 43}/state?code=SECRET HTTP/1.1")
    seen = server[0].read_until("/state 200", within_s=10)
    assert "GET /cashier/…/state 200" in seen
    assert "ttt" not in seen
    assert "SECRET" not in seen


def test_no_control_socket_is_opened(server: tuple[Program, int], tmp_path: Path):
    server[0].read_until("Booting worker", within_s=10)
    time.sleep(2)  # it would be opened about a second after the start
    assert list(tmp_path.rglob("*")) == []


def test_workers_do_not_outlive_a_killed_arbiter(server: tuple[Program, int]):
    program, _port = server
    deadline = time.monotonic() + 20
    while len(program.alive()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(program.child.pid, signal.SIGKILL)
    program.wait_until_gone(within_s=5)
