"""The sandbox's sense of time: one thread that does what has become due and sends notifications.

It lives in the server process and ends with it. When it dies of a defect, the whole server stops: a sandbox that
silently sends no notifications would be worse than none.
"""

import logging
import os
import signal
import threading
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Min

from sandbox import calls, clock, deliveries, ledger, runtime
from sandbox.models import Notification, PayOrder, Refund

DELIVERIES_MAX = 16
LOOK_EVERY_S = 2.0  # what is due sooner wakes us; an order expires at the latest when somebody asks for it
SOONEST_S = 0.002
PRUNE_EVERY = 600  # looks
log = logging.getLogger("sandbox.background")


def start() -> None:
    threading.Thread(target=_run, name="sandbox-background", daemon=True).start()


def _run() -> None:
    try:
        deliveries.recover()
        looks = room = 0
        while not runtime.stopping.is_set():
            runtime.wake.wait(_wait_s(now=clock.now(), room=room))
            runtime.wake.clear()
            room = tick(now=clock.now())
            looks += 1
            if looks % PRUNE_EVERY == 0:
                calls.prune()
    except Exception:
        log.exception("the background thread died; stopping the sandbox")
        os.kill(os.getppid(), signal.SIGTERM)
        raise
    finally:
        connection.close()


def tick(*, now: datetime) -> int:
    """Do everything that is due at `now`. Returns how many more deliveries could have been started."""
    ledger.pay_due(now=now)
    ledger.expire_due(now=now)
    ledger.settle_due(now=now)
    room = max(0, DELIVERIES_MAX - Notification.objects.filter(state=Notification.SENDING).count())
    return room - deliveries.send_due(now=now, room=room)


def _wait_s(*, now: datetime, room: int) -> float:
    """Until the next thing is due, within reason. Without room for a delivery the end of one wakes us."""
    due = [
        PayOrder.objects.aggregate(at=Min("pay_at"))["at"],
        Refund.objects.aggregate(at=Min("settle_at"))["at"],
    ]
    if room:
        due.append(Notification.objects.filter(state=Notification.WAITING).aggregate(at=Min("next_at"))["at"])
    soonest = min((at for at in due if at is not None), default=now + timedelta(seconds=LOOK_EVERY_S))
    return min(max((soonest - now).total_seconds(), SOONEST_S), LOOK_EVERY_S)
