"""The one place from which operators are called: a line in the log, a row for the console, and a message to whoever is
on call, once for each trouble.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from openplatform.alarms.wording import in_english
from openplatform.models.alarm import Alarm, AlarmKind
from openplatform.models.alarm_message import AlarmMessage, MessageEvent

logger = logging.getLogger(__name__)


def raise_alarm(
    *, kind: AlarmKind, key: str, now: datetime, text: str = "", facts: Mapping[str, Any] | None = None
) -> bool:
    """Call for a person, unless that was done for this already. Neither holds a secret or a URL's path.

    `facts` are what openplatform.alarms.wording makes words of; a kind that has no words there passes its `text`. May
    be called inside a transaction: the row and what is owed about it then stand with it. Returns whether it is new.
    """
    text = text or in_english(kind=kind, key=key, facts=facts or {})
    with transaction.atomic():
        alarm = Alarm.open(kind=kind, key=key, text=text, facts=facts, now=now)
        _owe(alarm, event=MessageEvent.OPENED, now=now)
    if alarm is not None:
        logger.error("alarm %s: %s", kind, text)
    return alarm is not None


def close_alarm(*, kind: AlarmKind, key: str, now: datetime) -> bool:
    """The trouble is over; the next one is a new alarm. Returns whether there was one."""
    with transaction.atomic():
        alarm = Alarm.close(kind=kind, key=key, now=now)
        _owe(alarm, event=MessageEvent.CLOSED, now=now)
    if alarm is not None:
        logger.warning("alarm %s is over: %s", kind, key)
    return alarm is not None


def acknowledge(*, alarm_id: int, by: str, note: str, now: datetime) -> bool:
    """Somebody looks at it: it stays open, and is not told again but for its end. False: it is over, or it was
    acknowledged already.
    """
    with transaction.atomic():
        alarm = Alarm.lock_open(alarm_id)
        if alarm is None:
            return False
        alarm.acknowledge(by=by, note=note, now=now)
        AlarmMessage.drop_owed(alarm=alarm)
    return True


def remind(*, now: datetime) -> int:
    """Tell again of what is open and nobody has acknowledged. Returns of how many alarms."""
    every = timedelta(minutes=settings.ALARM_REMIND_MINUTES)
    if not every:
        return 0
    with transaction.atomic():
        alarms = AlarmMessage.alarms_to_repeat(since=now - every)
        for alarm in alarms:
            _owe(alarm, event=MessageEvent.REMINDER, now=now)
    return len(alarms)


def _owe(alarm: Alarm | None, *, event: MessageEvent, now: datetime) -> None:
    """In the transaction of the alarm's own row. Without a webhook the log and the console are all there is."""
    if alarm is not None and settings.ALARM_WEBHOOK_URL:
        AlarmMessage.owe(alarm=alarm, event=event, now=now)
