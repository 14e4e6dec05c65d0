"""Peers that do what no honest server does, for whoever calls one: tests and benchmarks."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.certificates import make

Handler = Callable[[socket.socket], None]
BODY = b"{}"


class Peer:
    """A server on a free port whose every connection is handled by `handler`."""

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.connections = 0
        self.handler, self.tls = handler, tls
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.handler(connection)
        except OSError:
            pass
        finally:
            connection.close()


def read_request(connection: socket.socket) -> bytes:
    """A whole request, its body too: a server that closes on unread bytes makes the kernel take back its answer."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(BODY):
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    return data


def answer_ok(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def answer_forever(chunk: bytes, pause_s: float, *, first: bytes = b"") -> Handler:
    def handler(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(first)
        for _ in range(2_000):
            connection.sendall(chunk)
            time.sleep(pause_s)

    return handler


def server_tls(directory: Path) -> ssl.SSLContext:
    """Of a server that is `localhost`; whoever is to trust it reads `cert.pem` in `directory`."""
    made = make("localhost", now=datetime.now(UTC), is_authority=True, path_length=0, host="localhost")
    (directory / "cert.pem").write_text(made.pem)
    (directory / "key.pem").write_text(made.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return context
