"""gunicorn for the sandbox server: one process, many threads (a hanging call holds one), no orphan, a quick end."""

import os
import signal
from types import FrameType
from typing import Any

worker_class = "gthread"
workers = 1
threads = int(os.environ.get("SANDBOX_THREADS", "64"))
graceful_timeout = 3
timeout = 0  # a call may hang as long as the test wants
keepalive = 5
accesslog = None
loglevel = "warning"
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """In the worker, with Django loaded: start the background, and tell every waiting thread when the end comes."""
    from sandbox import background, chance, runtime  # noqa: PLC0415 - only in the worker

    previous = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        runtime.stopping.set()
        runtime.wake.set()
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGTERM, stop)
    worker.log.warning("sandbox ready; its seed is %d", chance.begin())
    background.start()


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Also when the arbiter has vanished and no signal came."""
    from sandbox import runtime  # noqa: PLC0415 - only in the worker

    runtime.stopping.set()
    runtime.wake.set()
