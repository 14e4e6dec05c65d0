"""A small client of etcd's HTTP/JSON gateway: several endpoints, failover, and a limit on every call.

Written because etcd3gw takes one endpoint and no timeout by default, so that one stopped node hangs its caller.
Source: etcd's api/etcdserverpb/rpc.proto; keys and values are base64, 64-bit integers are decimal strings.
"""

import base64
import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, Final

import requests

from idgen.leases.base import StoreDistrusted, StoreDown

CONNECT_TIMEOUT_S: Final = 0.4
READ_TIMEOUT_S: Final = 0.7
CALL_TIMEOUT_S: Final = 2.2
_UNVERIFIED: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED.*certificate verify failed: (?P<reason>[^(]*[^( ])")


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files. `ca` verifies the server; `certificate` names us to it, with `key` or with the key in it."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the answering member's wall clock in milliseconds, exact to half a second (its Date header)."""

    body: dict[str, Any]
    server_ms: int


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def unb64(text: str) -> str:
    return base64.b64decode(text).decode()


def prefix_end(prefix: str) -> str:
    """The first key after all keys that begin with `prefix`, as etcd wants a range's end."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class Gateway:
    """POSTs JSON to the first endpoint that answers, beginning with the one that answered last. Not thread-safe."""

    def __init__(self, *, endpoints: Sequence[str], tls: Tls | None = None) -> None:
        if not endpoints:
            raise StoreDown("no etcd endpoint is configured")
        self.endpoints = [endpoint.rstrip("/") for endpoint in endpoints]
        self._current = 0
        self._tls = tls
        self._session = self._new_session()

    def close(self) -> None:
        self._session.close()
        self._session = self._new_session()

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        """Ask until one endpoint answers. The request may have been carried out more than once: bodies must allow it.

        Raises:
            StoreDown: no endpoint answered within 2.2 s in total.
            StoreDistrusted: TLS failed with every endpoint.
        """
        until_s = time.monotonic() + CALL_TIMEOUT_S
        failures: deque[StoreDown] = deque(maxlen=len(self.endpoints))
        for turn in count(1):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                break
            try:
                return self._post_once(self.endpoints[self._current] + path, body, left_s=left_s)
            except (OSError, ValueError) as error:
                failures.append(_failure(self.endpoints[self._current], error))
                self._current = (self._current + 1) % len(self.endpoints)
            if turn % len(self.endpoints) == 0:
                _refuse_if_distrusted(failures)
                time.sleep(min(0.05, max(0.0, until_s - time.monotonic())))
        raise StoreDown(f"etcd did not answer within {CALL_TIMEOUT_S} s: {_joined(failures)}")

    def get(self, endpoint: str, path: str) -> dict[str, Any]:
        """What one member says of itself.

        Raises:
            StoreDown: it does not answer, or not in JSON.
            StoreDistrusted: TLS failed.
        """
        try:
            response = self._session.get(endpoint + path, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
            response.raise_for_status()
            return dict(response.json())
        except (OSError, ValueError) as error:
            raise _failure(endpoint, error) from error

    def _post_once(self, url: str, body: dict[str, Any], *, left_s: float) -> Reply:
        response = self._session.post(
            url, json=body, timeout=(min(CONNECT_TIMEOUT_S, left_s), min(READ_TIMEOUT_S, left_s)), allow_redirects=False
        )
        response.raise_for_status()
        return Reply(dict(response.json()), _server_ms(response))

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # a proxy from the environment has no business between us and our store
        if self._tls is not None:
            session.verify = self._tls.ca or True
            if self._tls.certificate:
                session.cert = (self._tls.certificate, self._tls.key) if self._tls.key else self._tls.certificate
        return session


def _failure(endpoint: str, error: Exception) -> StoreDown:
    """What an operator has to know of one endpoint's failure. requests' own errors are OSErrors too."""
    if isinstance(error, requests.exceptions.SSLError):
        return StoreDistrusted(f"{endpoint}: {_distrust(str(error))}")
    if not isinstance(error, requests.RequestException | ValueError):
        return StoreDistrusted(f"a PEM file cannot be read: {error}")
    return StoreDown(f"{endpoint}: {type(error).__name__}")


def _distrust(text: str) -> str:
    """Who does not trust whom. A member that refuses us sends an alert, or ends the connection in the handshake."""
    if match := _UNVERIFIED.search(text):
        return f"its certificate does not stand under IDGEN_ETCD_CA: {match['reason']}"
    if "KEY_VALUES_MISMATCH" in text or "PEM lib" in text:
        return "IDGEN_ETCD_KEY is not the key of IDGEN_ETCD_CERT, or one of them is no PEM file"
    if "ALERT" in text.upper() or "EOF" in text:
        return "it does not accept the client certificate in IDGEN_ETCD_CERT, or wants one"
    return f"TLS failed: {text}"


def _refuse_if_distrusted(failures: Sequence[StoreDown]) -> None:
    if all(isinstance(failure, StoreDistrusted) for failure in failures):
        raise StoreDistrusted(f"no TLS with etcd: {_joined(failures)}")


def _joined(failures: Sequence[StoreDown]) -> str:
    return ", ".join(dict.fromkeys(map(str, failures)))


def _server_ms(response: requests.Response) -> int:
    """The Date header has whole seconds: its middle is at most half a second wrong."""
    return int(parsedate_to_datetime(response.headers["Date"]).timestamp() * 1000) + 500
