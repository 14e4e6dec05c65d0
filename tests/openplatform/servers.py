"""A real gunicorn with two processes, as in production, on the database of the test."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def two_processes(*, master_key, redis_url=None, **settings_of_both):
    """On a free port; `settings_of_both` are further variables of the environment."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port, fd = listener.getsockname()[1], listener.fileno()
    database = settings.DATABASES["default"]
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.openplatform.server_settings",
        "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
        "REDIS_URL": redis_url or settings.REDIS_URL, "BROKER_URL": settings.BROKER_URL, "MASTER_KEY": master_key,
        "SECRET_KEY": "x" * 50, "PYTHONPATH": str(ROOT),
    } | settings_of_both  # fmt: skip
    options = ["--config", "python:config.gunicorn", "--workers", "2", "--threads", "4"]
    options += ["--worker-class", "gthread", "--log-level", "warning"]
    options += ["--graceful-timeout", "1", "--bind", f"fd://{fd}"]
    command = [sys.executable, "-m", "gunicorn", *options, "tests.openplatform.server_wsgi"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, pass_fds=[fd])
    try:
        _wait(port, process)
        yield port
    finally:
        listener.close()
        process.terminate()
        process.wait(20)


def _wait(port, process):
    """Until both processes answer: each connection goes to whichever is free."""
    deadline = time.monotonic() + 30
    for _ in range(4):
        while True:
            assert process.poll() is None, "gunicorn did not start"
            assert time.monotonic() < deadline
            try:
                if speak(port, b"GET /openapi/v1/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):
                    break
            except OSError:
                time.sleep(0.05)


def speak(port, request):
    """Send raw bytes, read until the end: (status, headers, body)."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split(" ")[1]), headers, body


def raw_request(method, target, body=b"", *, authorization="", headers=()):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode("latin-1") + body
