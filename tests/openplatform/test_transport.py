"""A peer may do what it likes: the call ends by its deadline, and says whether the peer can have acted."""

import io
import os
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from openplatform import transport
from openplatform.addresses import is_public
from tests.openplatform.peers import BODY, Handler, Peer, answer_forever, answer_ok, read_request, server_tls

DEADLINE_S = 0.6
SLACK_S = 1.5  # a busy machine; every peer here would hold a caller for far longer


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def make(handler: Handler, **kwargs: object) -> Peer:
        peers.append(Peer(handler, **kwargs))  # type: ignore[arg-type]
        return peers[-1]

    yield make
    for one in peers:
        one.listener.close()


def call(host: str, *, scheme: str = "http", deadline_s: float = DEADLINE_S, **kwargs: object) -> transport.Reply:
    arguments: dict = {
        "method": "POST", "url": f"{scheme}://{host}/pay", "headers": {}, "body": BODY, "deadline_s": deadline_s,
        "connect_s": 0.4, "bytes_max": 1_000_000, "private_hosts": frozenset({host}), "session": transport.Session(),
    }  # fmt: skip
    return transport.send(**(arguments | kwargs))


def test_a_whole_answer_comes_back_as_raw_bytes(peer):
    def handler(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nX-A: b\r\n\r\n\xe2\x82\xac")

    server = peer(handler)
    session = transport.Session()
    replies = [call(server.host, session=session) for _ in range(3)]
    assert [reply.body for reply in replies] == [b"\xe2\x82\xac"] * 3
    assert replies[0].status == 201
    assert replies[0].headers["x-a"] == "b"
    assert server.connections == 1, "the connection is kept alive"


HANGS: dict[str, Handler] = {
    "never answers": lambda connection: time.sleep(5),
    "drips its status line": answer_forever(b"H", 0.05),
    "drips headers": answer_forever(b"X-A: b\r\n", 0.05, first=b"HTTP/1.1 200 OK\r\n"),
    "drips its body": answer_forever(b"x", 0.05, first=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
    "floods 100 Continue": answer_forever(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
}


@pytest.mark.parametrize("handler", HANGS.values(), ids=HANGS.keys())
def test_a_peer_that_hangs_is_left_at_the_deadline_as_perhaps_done(peer, handler):
    started = time.monotonic()
    with pytest.raises(transport.NoAnswer) as caught:
        call(peer(handler).host)
    assert time.monotonic() - started < DEADLINE_S + SLACK_S
    assert caught.value.reason == "deadline"


def test_a_body_without_end_stops_at_the_cap(peer):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n"
    with pytest.raises(transport.NoAnswer) as caught:
        call(peer(answer_forever(b"x" * 65536, 0, first=head)).host, bytes_max=200_000, deadline_s=5)
    assert caught.value.reason == "body_too_large"


def test_what_is_poured_out_is_not_kept_in_memory(peer):
    """A hundred megabytes: too many are given up at the cap, and those that are wanted go to a file as they come."""
    pour = answer_forever(b"x" * 65_536, 0, first=b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    tracemalloc.start()
    try:
        with pytest.raises(transport.NoAnswer, match="body_too_large"):
            call(peer(pour).host, deadline_s=60)
        with Path(os.devnull).open("wb") as nowhere:
            assert call(peer(pour).host, bytes_max=100_000_000, deadline_s=60, into=nowhere).status == 200
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * 1024 * 1024


def test_a_redirect_is_an_answer_and_is_not_followed(peer):
    def handler(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 307 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    server = peer(handler)
    assert call(server.host).status == 307
    assert server.connections == 1


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (read_request, "connection_broken"),
        (
            lambda c: (read_request(c), c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"))[1],
            "connection_broken",
        ),
    ],
    ids=["resets", "sends half a body"],
)
def test_a_broken_connection_after_sending_is_perhaps_done(peer, handler, reason):
    with pytest.raises(transport.NoAnswer) as caught:
        call(peer(handler).host)
    assert caught.value.reason == reason


def test_a_refused_connection_is_certainly_not_sent():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(transport.NotSent) as caught:
            call(f"127.0.0.1:{nobody.getsockname()[1]}")
    assert caught.value.reason == "connect_refused"


def test_a_black_hole_is_certainly_not_sent_and_ends_by_the_connect_limit():
    """A full backlog drops further handshakes, as a firewall would."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    blockers = []
    for _ in range(4):
        blocker = socket.socket()
        blocker.setblocking(False)
        blocker.connect_ex(("127.0.0.1", listener.getsockname()[1]))
        blockers.append(blocker)
    started = time.monotonic()
    try:
        with pytest.raises(transport.NotSent) as caught:
            call(host)
    finally:
        for blocker in [*blockers, listener]:
            blocker.close()
    assert caught.value.reason == "connect_timeout"
    assert time.monotonic() - started < 0.4 + SLACK_S


def test_a_silent_name_server_is_left_at_the_connect_limit(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(2))
    started = time.monotonic()
    with pytest.raises(transport.NotSent) as caught:
        call("channel.example:443", scheme="https")
    assert caught.value.reason == "dns_timeout"
    assert time.monotonic() - started < 0.4 + SLACK_S


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9", "10.0.0.1", "169.254.169.254", "[::1]:9", "[::ffff:127.0.0.1]:9", "[64:ff9b::7f00:1]:9",
        "100.100.100.200", "0.0.0.0:9", "224.0.0.1", "192.168.1.1", "[fe80::1]:9", "[2002:7f00:1::]:9",
        "[fec0::1]", "[64:ff9b:1::a00:1]", "[::10.0.0.1]", "[::ffff:0:10.0.0.1]", "[3fff::1]", "[2001:db8::1]",
        "[fd00::1]", "[::]", "[ff02::1]", "[100::1]", "[4000::1]",
    ],
)  # fmt: skip
def test_an_address_inside_our_network_is_refused_unless_named(host):
    with pytest.raises(transport.NotSent) as caught:
        call(host, private_hosts=frozenset())
    assert caught.value.reason == "address_refused"


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "2400:3200::1", "::ffff:1.1.1.1"])
def test_a_public_address_is_public(address):
    assert is_public(address)


def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_that_is_used(monkeypatch, peer):
    """Rebinding: the second answer of a hostile name server must never be asked for."""
    answers = [[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answers.pop())
    with pytest.raises(transport.NotSent) as caught:
        call("rebind.example", private_hosts=frozenset())
    assert caught.value.reason == "address_refused"
    assert answers == []


def test_proxies_of_the_environment_are_ignored(monkeypatch, peer):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    def handler(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    assert call(peer(handler).host).status == 200


def test_a_url_that_would_be_rewritten_after_signing_is_refused(peer):
    with pytest.raises(ValueError, match="normal form"):
        call("127.0.0.1:1", url="http://127.0.0.1:1/a|b")


@pytest.fixture
def tls(tmp_path, monkeypatch) -> ssl.SSLContext:
    context = server_tls(tmp_path)
    monkeypatch.setattr("openplatform.transport.certifi.where", lambda: str(tmp_path / "cert.pem"))
    return context


def test_tls_answers_are_read_and_a_drip_over_tls_ends_at_the_deadline(peer, tls):
    good = peer(answer_ok, tls=tls)
    host = f"localhost:{good.port}"
    assert call(host, scheme="https", private_hosts=frozenset({host})).body == b"ok"
    drip = peer(HANGS["drips its body"], tls=tls)
    host = f"localhost:{drip.port}"
    started = time.monotonic()
    with pytest.raises(transport.NoAnswer):
        call(host, scheme="https", private_hosts=frozenset({host}))
    assert time.monotonic() - started < DEADLINE_S + SLACK_S


def test_root_certificates_are_read_once_for_a_session_and_not_for_each_connection(peer, tls, monkeypatch):
    read, original = [], ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, *args: object, **kwargs: object) -> None:
        read.append(context)
        original(context, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    server, session = peer(answer_ok, tls=tls), transport.Session()
    host = f"localhost:{server.port}"
    for _ in range(3):
        assert call(host, scheme="https", session=session, private_hosts=frozenset({host})).status == 200
    assert (server.connections, len(read)) == (3, 1)


def test_a_silent_tls_handshake_is_certainly_not_sent(peer, tls):
    server = peer(lambda connection: time.sleep(3))
    host = f"localhost:{server.port}"
    started = time.monotonic()
    with pytest.raises(transport.NotSent):
        call(host, scheme="https", private_hosts=frozenset({host}))
    assert time.monotonic() - started < DEADLINE_S + SLACK_S


def test_a_certificate_of_an_unknown_authority_is_certainly_not_sent(peer, tmp_path):
    server = peer(lambda connection: time.sleep(1), tls=server_tls(tmp_path))
    host = f"localhost:{server.port}"
    with pytest.raises(transport.NotSent) as caught:
        call(host, scheme="https", private_hosts=frozenset({host}))
    assert caught.value.reason == "tls_failed"


def test_a_certificate_for_another_name_is_certainly_not_sent(peer, tls):
    host = peer(answer_ok, tls=tls).host  # an address, and the certificate says localhost
    with pytest.raises(transport.NotSent) as caught:
        call(host, scheme="https")
    assert caught.value.reason == "tls_failed"


def test_a_connection_that_one_caller_may_open_is_not_lent_to_one_who_may_not(peer):
    def handler(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = peer(handler)
    assert call(server.host, session=None).status == 200
    with pytest.raises(transport.NotSent) as caught:
        call(server.host, session=None, private_hosts=frozenset())
    assert caught.value.reason == "address_refused"


def test_nothing_of_a_trace_is_sent_to_a_third_party(peer):
    seen: list[bytes] = []

    def handler(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with TracerProvider().get_tracer("test").start_as_current_span("a span") as current:
        assert call(peer(handler).host).status == 200
        trace_id = f"{current.get_span_context().trace_id:032x}"
    assert b"traceparent" not in seen[0].lower()
    assert trace_id.encode() not in seen[0]


def serving(*chunks: bytes, status: str = "200 OK", length: int | None = None) -> Handler:
    size = sum(map(len, chunks)) if length is None else length

    def handler(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode())
        for chunk in chunks:
            connection.sendall(chunk)

    return handler


def test_a_file_goes_where_it_is_wanted_while_it_arrives(peer):
    content = bytes(range(256)) * 4_000
    into = io.BytesIO()
    reply = call(peer(serving(content[:500_000], content[500_000:])).host, into=into, bytes_max=len(content))
    assert (reply.status, reply.body, into.getvalue() == content) == (200, b"", True)


def test_an_answer_that_is_no_file_is_not_written_there_and_is_small(peer):
    into = io.BytesIO()
    reply = call(peer(serving(b'{"code":"X"}', status="400 Bad")).host, into=into)
    assert (reply.status, reply.body, into.getvalue()) == (400, b'{"code":"X"}', b"")
    with pytest.raises(transport.NoAnswer, match="body_too_large"):
        call(peer(serving(b"x" * 70_000, status="500 Bad")).host, into=into, deadline_s=5)
    assert into.getvalue() == b""


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (answer_forever(b"x", 0.05, first=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), "deadline"),
        (serving(b"x" * 2_000), "body_too_large"),
        (serving(b"x" * 500, length=900), "connection_broken"),
    ],
    ids=["drips", "too large", "cut off"],
)
def test_a_file_that_does_not_come_whole_is_no_answer(peer, handler, reason):
    with pytest.raises(transport.NoAnswer) as caught:
        call(peer(handler).host, into=io.BytesIO(), bytes_max=1_000)
    assert caught.value.reason == reason


def test_a_full_disk_is_our_own_trouble_and_says_so(peer):
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(transport.NoAnswer) as caught:  # noqa: PTH123
        call(peer(serving(b"x" * 500)).host, into=full)
    assert caught.value.reason == "not_stored"


def test_a_header_stands_there_twice_when_that_is_asked_for_and_every_other_one_once(peer):
    seen: list[bytes] = []

    def handler(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    call(peer(handler).host, headers={"X-A": "first", "X-B": "b"}, repeated=[("X-A", "second")])
    lines = seen[0].decode().split("\r\n\r\n")[0].split("\r\n")
    assert [line for line in lines if line.startswith("X-A")] == ["X-A: first", "X-A: second"]
    names = [line.partition(":")[0].lower() for line in lines[1:]]
    assert {name for name in names if names.count(name) > 1} == {"x-a"}
