"""Signs of life of beat and of the workers, and who looks at them.

Beat's process looks, in a thread: it needs neither the broker nor a worker, which are what is looked at. When beat is
silent, a worker notices by its own heartbeat and has the same done by its pool. `manage.py health --watch` is for when
neither is left.
"""

import atexit
import logging
import os
import threading
import time
from typing import Any

from celery import bootsteps
from celery.signals import beat_init, before_task_publish, task_success
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

END_WITHIN_S = 3.0

logger = logging.getLogger(__name__)
_is_ending = threading.Event()


class Pulse(bootsteps.StartStopStep):
    """The heartbeat of a worker, from the loop that takes its tasks: a loop that stands still gives none.

    The connection to the database is closed each time: a pool process that is forked later must not inherit it.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, _consumer: Any, **options: Any) -> None:
        super().__init__(_consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Also after the broker was away."""
        self._beat(consumer)
        every_s = max(1, settings.ALARM_WORKER_SILENT_S // 3)
        self._timer = consumer.timer.call_repeatedly(every_s, self._beat, (consumer,))

    def stop(self, _consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def shutdown(self, consumer: Any) -> None:
        from openplatform import heartbeats  # noqa: PLC0415 - needs the settings

        self.stop(consumer)
        heartbeats.worker_leaves(name=_name(consumer))
        connections.close_all()

    def _beat(self, consumer: Any) -> None:
        from openplatform import heartbeats, hints  # noqa: PLC0415 - needs the settings

        queues = list(consumer.app.amqp.queues.consume_from)
        heartbeats.worker_beats(
            name=_name(consumer), queues=queues, slots=consumer.controller.concurrency, clock=timezone.now
        )
        try:
            if heartbeats.watch_is_silent():
                hints.send_now("payments.watch", queue=queues[0])
        except DatabaseError as error:
            logger.warning("nobody knows whether the watch is kept: %s", type(error).__name__)
        finally:
            connections.close_all()


def _name(consumer: Any) -> str:
    return f"{consumer.hostname}/{os.getpid()}"


@beat_init.connect
def _start_watch(**_: Any) -> None:
    thread = threading.Thread(target=_watch_for_ever, name="watch", daemon=True)
    thread.start()
    atexit.register(_end_watch, thread)


def _end_watch(thread: threading.Thread) -> None:
    """A thread that is in the database's library while the interpreter goes away would crash it."""
    _is_ending.set()
    thread.join(END_WITHIN_S)


def _watch_for_ever() -> None:
    from payments.operations.watch import watch  # noqa: PLC0415 - needs the settings

    while not _is_ending.is_set():
        try:
            watch(clock=timezone.now, older_than_s=settings.ALARM_CHECK_S)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("nobody can look for alarms: the database does not answer (%s)", type(error).__name__)
        except Exception:
            logger.exception("the watch failed, and goes on")
        finally:
            connections.close_all()
        _is_ending.wait(max(0.5, settings.ALARM_CHECK_S / 2))


@task_success.connect
def _remember_sweep(sender: Any = None, **_: Any) -> None:
    """A task of beat's was done to its end: beat, the broker, a worker and the database are all there."""
    from openplatform import heartbeats  # noqa: PLC0415 - needs the settings

    if sender is not None and sender.name in settings.CELERY["beat_schedule"]:
        heartbeats.sweep_is_done(name=sender.name)


@before_task_publish.connect
def _say_when_it_was_sent(headers: Any = None, **_: Any) -> None:
    """So that whoever looks at a queue knows how long its oldest message has waited."""
    from openplatform.broker import SENT_AT_HEADER  # noqa: PLC0415 - needs the settings

    if isinstance(headers, dict):
        headers[SENT_AT_HEADER] = time.time()
