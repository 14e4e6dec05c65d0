"""gunicorn for the web process: `gunicorn -c python:config.gunicorn config.wsgi:application`.

Why gunicorn: a merchant signs the request target as it stands on the wire, and of the servers that we tried only this
one hands it over untouched, as RAW_URI (docs/adr/0001).
"""

import os
import signal
from typing import Any

from gunicorn.glogging import Logger

from config import environment as env
from config.logs import without_payers_links
from config.runtime import process

bind = env.text("WEB_BIND", f"127.0.0.1:{env.number('WEB_PORT', 8000)}")
worker_class = "gthread"
workers = env.number("WEB_WORKERS", 2)
threads = env.number("WEB_THREADS", 8)  # `POST /orders` waits for its channel: a waiting thread costs no CPU
backlog = 512
timeout = 60  # of a worker process that no longer shows signs of life; requests have deadlines of their own
graceful_timeout = 15
keepalive = 15
BODY_WAIT_S = env.seconds("WEB_BODY_WAIT_S", 10.0)  # for each piece of a body, and for a reader to take the answer
max_requests = 50_000  # a new process now and then, long before a slow leak would matter
max_requests_jitter = 5_000
limit_request_line = 4_094
limit_request_fields = 64
limit_request_field_size = 8_190
control_socket_disable = True
accesslog = "-" if env.flag("ACCESS_LOG", default=False) else None
access_log_format = "%(m)s %(U)s %(s)s %(L)ss"  # the path without its query, and no header
loglevel = "info"


class QuietProbes(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Without the probes of load balancers, and without what would let a reader of logs act as a payer."""

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        atoms["U"] = without_payers_links(str(atoms["U"]))
        return atoms

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
        if environ.get("PATH_INFO") not in {"/healthz", "/readyz"}:
            super().access(resp, req, environ, request_time)


logger_class = QuietProbes
forwarded_allow_ips = env.text("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
proc_name = "fenpay-web"


def pre_request(worker: Any, req: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Do not wait for the rest of a body for ever: gunicorn's own limits are for workers and for idle connections. And
    two Authorization headers are none.
    """
    req.unreader.sock.settimeout(BODY_WAIT_S)
    req.headers = _without_halves(req.headers)


def _without_halves(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """gunicorn joins repeated headers by a comma, and so would two halves of an Authorization make a whole that nobody
    sent. Joined by more they fit no grammar.
    """
    values = [value for name, value in headers if name == "AUTHORIZATION"]
    if len(values) < 2:
        return headers
    return [*(pair for pair in headers if pair[0] != "AUTHORIZATION"), ("AUTHORIZATION", " , ".join(values))]


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """A worker must not outlive its arbiter."""
    process.tie_to_parent(server.pid, signal.SIGTERM)


def post_worker_init(worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """What the first request would wait for."""
    from openplatform import store  # noqa: PLC0415 - needs the settings

    store.prepare()


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Give away the spans that are still in memory."""
    from config import tracing  # noqa: PLC0415 - only in a worker

    if os.getpid() == worker.pid:
        tracing.stop()
