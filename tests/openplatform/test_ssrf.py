"""Tricks by which a merchant, or who holds its name server, would have us call into our own network or hold us up.

Each is played against both walls: the rules for an address, and the sender behind them, which does not know whether
they looked. The server that must not be reached listens for real.
"""

import gzip
import socket
import threading
import time
import tracemalloc

import pytest
from django.utils import timezone

from openplatform import notify_urls, transport
from openplatform.models.notification import NotificationStatus
from tests.openplatform.merchants import answers
from tests.openplatform.notices import DEADLINE_S, app, deliver, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "serve"]

TRICKS = {
    "decimal": "http://2130706433:{port}/n",
    "hexadecimal": "http://0x7f.1:{port}/n",
    "hexadecimal in one": "http://0x7f000001:{port}/n",
    "octal": "http://0177.0.0.1:{port}/n",
    "short": "http://127.1:{port}/n",
    "zero": "http://0:{port}/n",
    "this host": "http://0.0.0.0:{port}/n",
    "loopback": "http://127.0.0.1:{port}/n",
    "by name": "http://localhost:{port}/n",
    "by name with a dot": "http://localhost.:{port}/n",
    "IPv6 loopback": "http://[::1]:{port}/n",
    "IPv6 nobody": "http://[::]:{port}/n",
    "IPv4 mapped": "http://[::ffff:127.0.0.1]:{port}/n",
    "IPv4 mapped, hexadecimal": "http://[::ffff:7f00:1]:{port}/n",
    "IPv4 compatible": "http://[::127.0.0.1]:{port}/n",
    "NAT64": "http://[64:ff9b::7f00:1]:{port}/n",
    "NAT64 of one's own": "http://[64:ff9b:1::7f00:1]:{port}/n",
    "6to4": "http://[2002:7f00:1::]:{port}/n",
    "Teredo": "http://[2001:0:7f00:1::80ff:fffe]:{port}/n",
    "a zone": "http://[fe80::1%25lo]:{port}/n",
    "backslash and at": "http://127.0.0.1:{port}\\@shop.example/n",
    "at and backslash": "http://shop.example\\@127.0.0.1:{port}/n",
    "user information": "http://shop.example@127.0.0.1:{port}/n",
    "user and password": "http://shop.example:443@127.0.0.1:{port}/n",
    "a fragment that hides the host": "http://127.0.0.1:{port}#@shop.example/n",
    "a query that hides the host": "http://127.0.0.1:{port}?@shop.example/n",
    "a line break": "http://127.0.0.1:{port}/n\r\nHost: shop.example",
    "full-width digits": "http://１２７.０.０.１:{port}/n",
    "ideographic dots": "http://127。0。0。1:{port}/n",
    "a file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:{port}/_x",
    "metadata of Alibaba Cloud": "http://100.100.100.200/latest/meta-data/",
    "metadata of others": "http://169.254.169.254/latest/meta-data/",
    "multicast": "http://224.0.0.1:{port}/n",
    "IPv6 multicast": "http://[ff02::1]:{port}/n",
    "broadcast": "http://255.255.255.255:{port}/n",
    "private": "http://10.0.0.1:{port}/n",
    "documentation": "http://192.0.2.1:{port}/n",
}


@pytest.fixture
def forbidden(settings):
    """A server inside our network that nobody may be led to; http is allowed, so that nothing else refuses."""
    settings.NOTIFICATION_ALLOW_HTTP, settings.NOTIFICATION_PRIVATE_HOSTS = True, []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        yield listener


def was_reached(listener):
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


def send(url):
    return transport.send(
        method="POST", url=url, headers={}, body=b"{}", deadline_s=1.0, connect_s=0.5, bytes_max=100, is_excerpt=True
    )


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS.keys())
def test_neither_the_rules_nor_the_sender_are_led_into_our_network(forbidden, trick):
    url = trick.format(port=forbidden.getsockname()[1])
    with pytest.raises(notify_urls.NotifyUrlRefused):
        notify_urls.validate(url)
    with pytest.raises((transport.TransportError, ValueError)):
        send(url)
    assert not was_reached(forbidden)


def test_what_stands_in_a_row_already_is_refused_at_the_send(app, forbidden):
    notification = deliver(owed(app, f"http://[::ffff:127.0.0.1]:{forbidden.getsockname()[1]}/n"))
    assert notification.attempts.get().error == "url_refused"
    assert not was_reached(forbidden)


# --- names whose answers change -----------------------------------------------------------------------------------

PUBLIC = "93.184.216.34"


class NameServer:
    """Answers each question with the next of its answers, and counts them."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def __call__(self, host, port, *args, **kwargs):
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.fixture
def connects(monkeypatch):
    """Where a socket of ours would be connected to: nothing leaves this machine, and every answer is "refused"."""
    seen = []

    def connect(_socket, address):
        seen.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(transport._DeadlineSocket, "connect", connect)
    return seen


def test_a_name_that_is_public_first_and_private_later_is_asked_once_and_only_the_first_is_called(
    monkeypatch, connects, forbidden
):
    rebinding = NameServer([PUBLIC], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(transport.NotSent):
        send(f"http://rebind.example:{forbidden.getsockname()[1]}/n")
    assert (rebinding.asked, connects) == (1, [PUBLIC])


def test_of_a_name_with_public_and_private_addresses_only_the_public_ones_are_called(monkeypatch, connects):
    monkeypatch.setattr(socket, "getaddrinfo", NameServer(["127.0.0.1", PUBLIC, "10.0.0.1", "169.254.169.254"]))
    with pytest.raises(transport.NotSent):
        send("http://mixed.example/n")
    assert connects == [PUBLIC]


@pytest.mark.parametrize(
    "address",
    ["::ffff:10.0.0.1", "::ffff:7f00:1", "::1", "fe80::1", "fd00::1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1",
     "100.100.100.200", "169.254.169.254", "0.0.0.0", "224.0.0.1"],
)  # fmt: skip
def test_a_name_that_leads_inside_in_any_clothes_is_not_called(monkeypatch, connects, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", (address, 443, 0, 0)[: 4 if ":" in address else 2])]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(transport.NotSent, match="address_refused"):
        send("https://shop.example/n")
    assert connects == []


def test_a_name_that_changes_between_two_attempts_is_looked_at_each_time(app, monkeypatch, settings, connects):
    settings.NOTIFICATION_ALLOW_HTTP = False
    name_server = NameServer([PUBLIC], ["10.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    notification = deliver(owed(app, "https://shop.example/n"))
    deliver(notification, now=notification.next_attempt_at)
    assert [attempt.error for attempt in notification.attempts.order_by("pk")] == ["connect_refused", "address_refused"]
    assert (name_server.asked, connects) == (2, [PUBLIC])


def test_a_private_host_that_is_allowed_opens_no_other_port(app, forbidden, settings):
    port = forbidden.getsockname()[1]
    settings.NOTIFICATION_PRIVATE_HOSTS = [f"127.0.0.1:{port + 1 if port < 65_000 else port - 1}"]
    assert deliver(owed(app, f"http://127.0.0.1:{port}/n")).attempts.get().error == "url_refused"
    with pytest.raises(transport.NotSent, match="address_refused"):
        transport.send(
            method="POST", url=f"http://127.0.0.1:{port}/n", headers={}, body=b"{}", deadline_s=1.0, connect_s=0.5,
            bytes_max=100, private_hosts=notify_urls.private_hosts(),
        )  # fmt: skip
    assert not was_reached(forbidden)


def test_a_name_that_became_private_is_refused_at_the_next_attempt(app, monkeypatch, settings, forbidden):
    settings.NOTIFICATION_ALLOW_HTTP = False
    monkeypatch.setattr(socket, "getaddrinfo", NameServer(["127.0.0.1"]))
    notification = deliver(owed(app, "https://shop.example/n"))
    assert notification.attempts.get().error == "address_refused"
    assert notification.status == NotificationStatus.OWED


# --- servers that hold us up or fill our memory -------------------------------------------------------------------


def floods(head, chunk, pause_s=0.0):
    """Sends `head` and then `chunk` for as long as somebody reads."""

    def behave(connection):
        connection.sendall(head)
        ends_at = time.monotonic() + 10
        while time.monotonic() < ends_at:
            connection.sendall(chunk)
            time.sleep(pause_s)

    return behave


BOMB = gzip.compress(b"\0" * 20_000_000)
OK = b"HTTP/1.1 200 OK\r\n"
HOLDS = {
    "a decompression bomb": answers(200, BOMB, "Content-Encoding: gzip"),
    "a bomb that unpacks in itself": answers(200, gzip.compress(BOMB), "Content-Encoding: gzip, gzip"),
    "a body without end": floods(OK + b"Content-Length: 9000000000\r\n\r\n", b"x" * 65_536),
    "chunks without end": floods(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b"x" * 0x4000 + b"\r\n"),
    "a chunk's size without end": floods(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65_536),
    "trailers without end": floods(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 1_000),
    "a header without end": floods(OK + b"X-A: ", b"x" * 65_536),
    "headers without end": floods(OK, b"X-A: " + b"x" * 60_000 + b"\r\n"),
    "dripping headers": floods(OK, b"X-A: b\r\n", 0.05),
    "a status line without end": floods(b"HTTP/1.1 200 ", b"x" * 65_536),
    "100 Continue for ever": floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "a dripping body": floods(OK + b"Content-Length: 9000\r\n\r\n", b"x", 0.05),
}


@pytest.mark.parametrize("behaviour", HOLDS.values(), ids=HOLDS.keys())
def test_a_server_can_neither_hold_a_worker_nor_fill_its_memory(app, serve, behaviour):
    notification = owed(app, serve(behaviour).url)
    deliver(owed(app, serve(answers(200)).url))  # what is loaded once is loaded now
    tracemalloc.start()
    started = time.monotonic()
    try:
        deliver(notification)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < DEADLINE_S + 3.0, "and not the ten seconds that it goes on for"
    assert peak < 10_000_000, "a hundred headers of 64 KiB at most"
    assert notification.attempts.count() == 1


def test_a_bomb_stays_packed(app, serve):
    attempt = deliver(owed(app, serve(answers(500, BOMB, "Content-Encoding: gzip")).url)).attempts.get()
    assert attempt.status_code == 500
    assert "\0" not in attempt.response_excerpt
    assert attempt.response_excerpt.startswith(BOMB[:1].decode())


def test_a_redirect_leads_nowhere(app, serve, settings, forbidden):
    url = f"http://127.0.0.1:{forbidden.getsockname()[1]}/n"
    for status in (301, 302, 303, 307, 308):
        notification = deliver(owed(app, serve(answers(status, b"", f"Location: {url}")).url, now=timezone.now()))
        assert notification.attempts.get().status_code == status
        assert notification.status == NotificationStatus.OWED
    assert not was_reached(forbidden)


def test_a_server_that_is_slow_to_read_is_left_at_the_deadline(app, settings):
    settings.NOTIFICATION_ALLOW_HTTP, settings.NOTIFICATION_TIMEOUT_S = True, DEADLINE_S
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        settings.NOTIFICATION_PRIVATE_HOSTS = [host]
        held = []
        threading.Thread(target=lambda: held.append(listener.accept()), daemon=True).start()
        started = time.monotonic()
        assert deliver(owed(app, f"http://{host}/n")).attempts.get().error == "deadline"
        assert time.monotonic() - started < DEADLINE_S + 2.0
