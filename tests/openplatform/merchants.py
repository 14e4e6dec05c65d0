"""Merchants' servers, good and bad, on free ports."""

import json
import socket
import threading
import time
from contextlib import contextmanager

from tests.json_ids import scanned


class MerchantServer:
    """Answers each connection by `behaviour(connection)` after it has read one request, which it keeps.

    Who is not `for_us` is hung up on: a moment ago this port was somebody else's, who may still be called.
    """

    def __init__(self, behaviour, *, for_us=lambda request: True):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.behaviour, self.for_us, self.requests = behaviour, for_us, []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.host}/notify"

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                request = Received(read_request(connection))
                if self.for_us(request):
                    self.requests.append(request)
                    self.behaviour(connection)
            except OSError:
                pass


class Received:
    """One request as it stood on the wire."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.pairs = [tuple(line.split(": ", 1)) for line in lines]  # as they stood there, also twice
        self.headers = dict(self.pairs)

    @property
    def document(self):
        return scanned(json.loads(self.body))


def read_request(connection):
    raw = b""
    while b"\r\n\r\n" not in raw:
        chunk = connection.recv(65_536)
        if not chunk:
            raise OSError("no request")
        raw += chunk
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answers(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def drips(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
    for _ in range(300):
        connection.sendall(b".")
        time.sleep(0.1)


def breaks_off(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\nand no more")


def endless_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for count in range(300):
        connection.sendall(f"X-{count}: 1\r\n".encode())
        time.sleep(0.1)


def silent(connection):
    time.sleep(30)


def hangs_up(connection):
    connection.sendall(b"HTT")


def says_nonsense(connection):
    connection.sendall(b"\x00\x01\x02 nothing of this is HTTP\r\n\r\n")


@contextmanager
def merchant_server(behaviour, **options):
    server = MerchantServer(behaviour, **options)
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)  # a close alone does not wake the thread that accepts
        server.listener.close()
