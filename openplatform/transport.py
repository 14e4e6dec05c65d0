"""One HTTP request to a third party that cannot outlive its deadline.

A timeout of `requests` bounds one wait on one socket, so a peer that drips a byte a second, answers with endless
headers, redirects or has several dead addresses holds the caller for ever. Here every connect, handshake, send and
receive first asks how much of the one total budget is left. Also: no redirects, no proxies from the environment, no
cookies, a cap on the body, and no address inside our own network unless it was named.
"""

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, BinaryIO, Protocol

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from openplatform.addresses import is_public

RESOLVER_THREADS = 8  # a thread that waits for a dead name server is left behind until the C library gives up
READ_CHUNK_BYTES = 65_536
ERROR_BYTES_MAX = 65_536  # of an answer that is no file, where a file was asked for
EXCERPT_S = 1.0  # an answer whose status alone counts: how long its body may still arrive for whoever reads the log


class TransportError(Exception):
    """No usable answer. `reason` is one word for logs and rows; it never holds a URL, a header or a body."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSent(TransportError):
    """Certainly no byte of the request left us: the peer cannot have acted on it."""


class NoAnswer(TransportError):
    """Bytes may have left us: the peer may have acted, and only asking it again can tell."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back: `body` is the raw bytes, at most the cap that was asked for; whole, unless an excerpt was."""

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class _Budget:
    ends_at: float
    connect_s: float
    private_hosts: frozenset[str]

    def left(self) -> float:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        return left


_budget: ContextVar[_Budget] = ContextVar("transport_budget")


def _time_left() -> float:
    return _budget.get().left()


class Body(Protocol):
    """A request's body that is not in memory, or not to be sent at once. Its length is told to the peer before."""

    def __len__(self) -> int: ...

    def read(self, size: int = -1, /) -> bytes: ...


class _DeadlineSocket(socket.socket):
    """A socket that sets its timeout to what is left of the budget before each wait."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_time_left())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_time_left())
        super().sendall(*args, **kwargs)


class _DeadlineTLSSocket(ssl.SSLSocket):
    """The same over TLS, where the handshake waits too."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's signature
        self.settimeout(_time_left())
        super().do_handshake(block)

    def read(self, *args: Any, **kwargs: Any) -> Any:
        self.settimeout(_time_left())
        return super().read(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_time_left())
        return super().send(*args, **kwargs)


_resolver: ThreadPoolExecutor | None = None
_resolver_lock = threading.Lock()


def _resolver_pool() -> ThreadPoolExecutor:
    global _resolver  # noqa: PLW0603 - one pool a process
    with _resolver_lock:
        if _resolver is None:
            _resolver = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolver")
        return _resolver


def _resolve(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Addresses of `host`. The C library's own limit is 10 s and more, so the wait is bounded from outside."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        future = _resolver_pool().submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = future.result(min(_budget.get().connect_s, _time_left()))
        except FutureTimeoutError as error:
            future.cancel()
            raise NotSent("dns_timeout") from error
        except (OSError, UnicodeError) as error:
            raise NotSent("dns_failed") from error
    else:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [(family, address) for family, _, _, _, address in found]


def _connect(host: str, port: int) -> socket.socket:
    """A connected socket to an address that was checked: the name is not looked up a second time."""
    budget = _budget.get()
    allowed = f"{host}:{port}" in budget.private_hosts
    connect_ends_at = time.monotonic() + budget.connect_s
    reason = "dns_empty"
    for family, address in _resolve(host.strip("[]"), port):
        if not allowed and not is_public(address[0]):
            reason = "address_refused"
            continue
        connection = _DeadlineSocket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.001, min(connect_ends_at - time.monotonic(), budget.left())))
            connection.connect(address)
        except OSError as error:
            connection.close()
            reason = "connect_timeout" if isinstance(error, TimeoutError) else "connect_refused"
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    raise NotSent(reason)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port or 80)


class _TLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port or 443)

    def connect(self) -> None:
        try:
            super().connect()
        except NotSent:
            raise
        except (OSError, HTTPError) as error:
            # The handshake comes before the first byte of the request.
            raise NotSent("tls_timeout" if isinstance(error, TimeoutError) else "tls_failed") from error


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    _context: ssl.SSLContext | None = None  # of one thread, as its session is

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager = PoolManager(num_pools=16, maxsize=8, block=False)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        if host["scheme"] == "https":
            pool["ssl_context"] = self._tls_context()
        return host, pool

    def _tls_context(self) -> ssl.SSLContext:
        """Reading all root certificates takes longer than a handshake: once, and not where nobody speaks TLS."""
        if self._context is None:
            self._context = ssl.create_default_context(cafile=certifi.where())
            self._context.sslsocket_class = _DeadlineTLSSocket
        return self._context

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """The context verifies. The library would have each connection read the root certificates once more."""


class _NoRedirects(requests.Session):
    """Even when told not to follow, requests reads and decompresses a redirect's body to know where it would go."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the library's signature
        return None


class Session:
    """Kept-alive connections of one thread of one process."""

    def __init__(self) -> None:
        self.requests = _NoRedirects()
        self.requests.trust_env = False
        self.requests.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.requests.headers.clear()
        adapter = _Adapter(max_retries=0)
        self.requests.mount("https://", adapter)
        self.requests.mount("http://", adapter)


_local = threading.local()


def _forget_after_fork() -> None:
    """A child must share neither its parent's connections nor its threads."""
    global _local, _resolver, _resolver_lock
    _local, _resolver, _resolver_lock = threading.local(), None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)


def _own_session(private_hosts: frozenset[str]) -> Session:
    """This thread's session for callers with the same rights: a connection that one may open is not lent to another."""
    sessions: dict[frozenset[str], Session] = _local.__dict__.setdefault("sessions", {})
    if private_hosts not in sessions:
        sessions[private_hosts] = Session()
    return sessions[private_hosts]


@contextmanager
def _spending(budget: _Budget) -> Iterator[None]:
    token = _budget.set(budget)
    try:
        yield
    finally:
        _budget.reset(token)


def send(  # noqa: PLR0913 - the one place where a request is described
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | Body = b"",
    deadline_s: float,
    connect_s: float,
    bytes_max: int,
    private_hosts: frozenset[str] = frozenset(),
    session: Session | None = None,
    is_excerpt: bool = False,
    into: BinaryIO | None = None,
    repeated: Sequence[tuple[str, str]] = (),
) -> Reply:
    """Send one request and return the whole answer within `deadline_s` seconds of now, whatever the peer does.

    `private_hosts` names "host:port" pairs that may resolve to addresses that are not public. With `is_excerpt` the
    status decides: of the body comes back what arrives of it, and neither its size nor its end is an error. The body
    of a 200 answer is written to `into` while it arrives, when that is given, and is empty in the reply.
    `repeated` are headers that stand there once more, as no honest client sends them.
    Raises NotSent or NoAnswer; ValueError when `url` is not in its normal form (what was signed must be what is sent).
    """
    session = session or _own_session(private_hosts)
    sent_headers = {"Accept-Encoding": "identity", "User-Agent": "fenpay/1", **headers}
    request = requests.Request(method, url, headers=sent_headers, data=body or None).prepare()
    if request.url != url:
        raise ValueError("the URL would be changed on its way out: pass it in its normal form")
    if repeated:
        # The library's own mapping has each name once, and the one below it takes this as well.
        request.headers = HTTPHeaderDict([*request.headers.items(), *repeated])  # type: ignore[assignment]
    budget = _Budget(ends_at=time.monotonic() + deadline_s, connect_s=connect_s, private_hosts=private_hosts)
    exchange = _exchange_for_excerpt if is_excerpt else partial(_exchange, into=into)
    with _spending(budget):
        try:
            return exchange(session, request, bytes_max=bytes_max)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise NoAnswer("deadline" if time.monotonic() >= budget.ends_at else "connection_broken") from error


def _exchange(
    session: Session, request: requests.PreparedRequest, *, bytes_max: int, into: BinaryIO | None = None
) -> Reply:
    answer = _answer(session, request)
    body = bytearray()
    sink = into if answer.status_code == 200 else None
    left = min(bytes_max, ERROR_BYTES_MAX) if into is not None and sink is None else bytes_max
    with _closed_unless_whole(answer) as reading:
        for chunk in _chunks(answer):
            left -= len(chunk)
            if left < 0:
                raise NoAnswer("body_too_large")
            if sink is not None:
                _keep(sink, chunk)
            else:
                body += chunk
        reading.is_whole = True
    return Reply(status=answer.status_code, headers=answer.headers, body=bytes(body))


def _keep(into: BinaryIO, chunk: bytes) -> None:
    try:
        into.write(chunk)
    except OSError as error:  # ours, and not the peer's: no room is left
        raise NoAnswer("not_stored") from error


def _exchange_for_excerpt(session: Session, request: requests.PreparedRequest, *, bytes_max: int) -> Reply:
    """The peer has answered with its status: how it goes on from there cannot take that back."""
    answer = _answer(session, request)
    body = bytearray()
    budget = _budget.get()
    short = replace(budget, ends_at=min(budget.ends_at, time.monotonic() + EXCERPT_S))
    with _closed_unless_whole(answer) as reading, _spending(short), suppress(HTTPError, OSError, ValueError):
        for chunk in _chunks(answer):
            body += chunk
            if len(body) > bytes_max:
                break
        else:
            reading.is_whole = True
    return Reply(status=answer.status_code, headers=answer.headers, body=bytes(body[:bytes_max]))


def _answer(session: Session, request: requests.PreparedRequest) -> requests.Response:
    return session.requests.send(request, stream=True, allow_redirects=False, timeout=_time_left())


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """Never decompressed: what was sent small stays small."""
    while chunk := answer.raw.read1(READ_CHUNK_BYTES, decode_content=False):
        yield chunk


@dataclass
class _Reading:
    is_whole: bool = False


@contextmanager
def _closed_unless_whole(answer: requests.Response) -> Iterator[_Reading]:
    """Never hand a half-read connection to the next request."""
    reading = _Reading()
    try:
        yield reading
    finally:
        if reading.is_whole:
            answer.raw.release_conn()
        else:
            answer.raw.close()
