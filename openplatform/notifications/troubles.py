"""Our own trouble: an attempt that we could not make, or could not write down. It is no fault of the merchant.

A secret that does not open, a key that is missing, lists that cannot be read, a defect. The attempt takes no step of
the schedule and leaves no row; it is made again soon, then more rarely, and a person hears of it when it lasts.
"""

import logging
from datetime import datetime, timedelta

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.models import Notification
from openplatform.models.alarm import AlarmKind

WAIT, WAIT_MAX = timedelta(seconds=10), timedelta(minutes=5)
LASTS_AFTER = 4  # failures in a row of one notification: more than a minute
DOUBLINGS_MAX = 16

logger = logging.getLogger(__name__)


def note(claimed: Notification, *, error: Exception, now: datetime) -> None:
    """Give back what the attempt took, unless what came of it is written down or somebody else is at it by now.

    The database's error goes up: then the lease runs out, and the attempt counts like one that killed its process.
    """
    count = claimed.troubles_count + 1
    # The whole of it once: a notification that nobody repairs comes back every few minutes.
    logger.error(
        "an attempt of notification %s failed for a reason of ours: %s", claimed.pk, type(error).__name__,
        exc_info=error if count == 1 else None,
    )  # fmt: skip
    wait = min(WAIT * 2 ** min(claimed.troubles_count, DOUBLINGS_MAX), WAIT_MAX)
    if Notification.give_back(claimed, at=now + wait) and count >= LASTS_AFTER:
        raise_alarm(kind=AlarmKind.NOTIFICATIONS_STUCK, key=alarm_key(claimed), text=_text(claimed, error), now=now)


def note_end(claimed: Notification, *, now: datetime) -> None:
    """An attempt was made. If it is one of those that could not be made for long, that is over."""
    if claimed.troubles_count >= LASTS_AFTER:
        close_alarm(kind=AlarmKind.NOTIFICATIONS_STUCK, key=alarm_key(claimed), now=now)


def alarm_key(notification: Notification) -> str:
    """Each shape has secrets of its own."""
    return f"{notification.app_id} {notification.shape}"


def _text(claimed: Notification, error: Exception) -> str:
    return (
        f"notifications of app {claimed.app_id} are not sent, for a reason of ours: {type(error).__name__}. The first"
        f" that was noticed is {claimed.pk}; the log has the rest"
    )
