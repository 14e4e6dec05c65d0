"""The one place from which operators are called: a line in the log and a row for the console, once for each trouble."""

import logging
from datetime import datetime

from openplatform.models.alarm import Alarm, AlarmKind

logger = logging.getLogger(__name__)


def raise_alarm(*, kind: AlarmKind, key: str, text: str, now: datetime) -> bool:
    """Call for a person, unless that was done for this already. `text` holds no secret and no URL's path.

    May be called inside a transaction: the row then stands with it. Returns whether it is a new alarm.
    """
    is_new = Alarm.open(kind=kind, key=key, text=text, now=now)
    if is_new:
        logger.error("alarm %s: %s", kind, text)
    return is_new


def close_alarm(*, kind: AlarmKind, key: str, now: datetime) -> bool:
    """The trouble is over; the next one is a new alarm. Returns whether there was one."""
    was_open = Alarm.close(kind=kind, key=key, now=now)
    if was_open:
        logger.warning("alarm %s is over: %s", kind, key)
    return was_open
