"""The Celery application. Tasks are hints: whatever they were told to do is also found by a sweep of the database."""

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_process_init, worker_process_shutdown

from config.runtime import process
from config.watch import Pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def _configuration() -> dict[str, Any]:
    from django.conf import settings  # noqa: PLC0415 - read when the application is first used, not when it is imported

    configuration: dict[str, Any] = settings.CELERY
    return configuration


app = Celery("fenpay")
app.add_defaults(_configuration)
app.autodiscover_tasks()
app.steps["consumer"].add(Pulse)

_worker: dict[str, int] = {}


@worker_init.connect
def _remember_worker(**_: Any) -> None:
    _worker["pid"] = os.getpid()


@worker_process_init.connect
def _start_process(**_: Any) -> None:
    """A pool process has been forked: it must not outlive its worker, and only now may it start threads."""
    from config import tracing  # noqa: PLC0415 - needs the settings

    if "pid" in _worker:
        process.tie_to_parent(_worker["pid"], signal.SIGKILL)
    tracing.start(service="fenpay-worker")


@worker_process_shutdown.connect
def _stop_process(**_: Any) -> None:
    from config import tracing  # noqa: PLC0415 - needs the settings

    tracing.stop()
