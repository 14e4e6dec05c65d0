"""How long a peer that misbehaves can hold a call beyond its limit, and what the call then keeps of memory.

    python tests/benchmarks/peers/bench.py

One row for each thing that a peer may do, each in a fresh process that has made one good call before, over TLS: the
library is imported and the root certificates are read. The peer is this process, so what it does costs the caller
nothing. Over: wall time of the call beyond the deadline, or beyond the limit for a connection where none came about;
0 where the call ended before. Growth: of the process's peak of resident memory.
"""

import argparse
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT)]

from tests.openplatform.peers import Peer, answer_forever, answer_ok, read_request, server_tls  # noqa: E402

DEADLINE_S, CONNECT_S, BYTES_MAX = 1.0, 0.5, 1_048_576
ALLOWED_S, ALLOWED_MIB = 0.2, 8
POUR = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"


def half_a_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")


def failed_after_doing_it(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")


def sends_round_in_a_circle(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /pay\r\nContent-Length: 0\r\n\r\n")


# What a peer does, and what is special about the call.
PEERS = [
    ("answers", answer_ok, {}),
    ("never answers", lambda connection: time.sleep(30), {}),
    ("drips its status line", answer_forever(b"H", 0.05), {}),
    ("drips headers", answer_forever(b"X-A: b\r\n", 0.05, first=b"HTTP/1.1 200 OK\r\n"), {}),
    ("drips its body", answer_forever(b"x", 0.05, first=POUR), {}),
    ("sends half a body", half_a_body, {}),
    ("resets the connection", read_request, {}),
    ("500 after doing it", failed_after_doing_it, {}),
    ("100 MB", answer_forever(b"x" * 65_536, 0, first=POUR), {}),
    ("100 MB that are wanted, into a file", answer_forever(b"x" * 65_536, 0, first=POUR), {"into": True}),
    ("a circle of redirects", sends_round_in_a_circle, {}),
    ("says nothing in the TLS handshake", lambda connection: time.sleep(30), {"tls": "silent"}),
    ("a name server that does not answer", answer_ok, {"dns": "silent"}),
    ("a firewall that drops everything", answer_ok, {"connect": "dropped"}),
]


def call(arguments: dict) -> dict:
    """In the fresh process: a good call, then the one that counts."""
    import certifi

    from openplatform import transport

    certifi.where = lambda: arguments["authority"]

    def send(host: str, *, into: bool) -> str:
        with Path(os.devnull).open("wb") as nowhere:
            try:
                reply = transport.send(
                    method="POST", url=f"https://{host}/pay", headers={}, body=b"{}", deadline_s=DEADLINE_S,
                    connect_s=CONNECT_S, bytes_max=200_000_000 if into else BYTES_MAX, into=nowhere if into else None,
                    private_hosts=frozenset({host}),
                )  # fmt: skip
            except transport.TransportError as error:
                return error.reason
            return f"HTTP {reply.status}"

    send(arguments["good"], into=False)
    if arguments["dns"]:
        socket.getaddrinfo = lambda *args, **kwargs: time.sleep(30)
    before = peak_mib()
    started = time.monotonic()
    ended = send(arguments["host"], into=arguments["into"])
    return {"ended": ended, "took_s": time.monotonic() - started, "grown_mib": peak_mib() - before}


def peak_mib() -> float:
    """Resident memory at its highest so far."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def full_backlog() -> tuple[socket.socket, list[socket.socket]]:
    """A listener that takes nobody any more: further handshakes are dropped, as by a firewall."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    for _ in range(4):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(listener.getsockname())
    return listener, waiting


def measure(handler, special: dict, *, directory: Path, good: Peer, tls: ssl.SSLContext) -> dict:
    peer = Peer(handler, tls=None if special.get("tls") else tls)
    listener, _waiting = full_backlog() if special.get("connect") else (peer.listener, [])
    arguments = {
        "authority": str(directory / "cert.pem"), "good": f"localhost:{good.port}",
        "host": f"localhost:{listener.getsockname()[1]}", "into": bool(special.get("into")),
        "dns": bool(special.get("dns")),
    }  # fmt: skip
    with closing(peer.listener), closing(listener):
        done = subprocess.run(
            [sys.executable, __file__, "--call", json.dumps(arguments)], capture_output=True, text=True, check=True
        )
    limit_s = CONNECT_S if special.get("connect") or special.get("dns") else DEADLINE_S
    said = json.loads(done.stdout)
    return said | {"over_s": max(0.0, said["took_s"] - limit_s)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--call", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        print(json.dumps(call(json.loads(options.call))), flush=True)
        os._exit(0)  # a thread may still wait for the name server
    worst_s = worst_mib = 0.0
    print(f"deadline {DEADLINE_S} s, connection {CONNECT_S} s, body {BYTES_MAX // 1024} KiB, all over TLS\n")
    print("| the peer | the call ended with | over, ms | growth, MiB |")
    print("|---|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        tls = server_tls(directory)
        good = Peer(answer_ok, tls=tls)
        for name, handler, special in PEERS:
            row = measure(handler, special, directory=directory, good=good, tls=tls)
            worst_s, worst_mib = max(worst_s, row["over_s"]), max(worst_mib, row["grown_mib"])
            over, grown = f"{1000 * row['over_s']:.0f}", f"{row['grown_mib']:.1f}"
            print(f"| {name} | {row['ended']} | {over} | {grown} |", flush=True)
    print(f"\nworst: {worst_s:.3f} s of {ALLOWED_S} s allowed, {worst_mib:.1f} MiB of {ALLOWED_MIB} MiB allowed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
