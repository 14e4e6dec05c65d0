"""What was seen, in the reader's language: made of an alarm's facts, which hold numbers and names and no secret."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from openplatform.lengths import length_text
from openplatform.models.alarm import TEXT_LENGTH_MAX, Alarm, AlarmKind

# A fact whose name ends in `_s` is a length of time in seconds and is shown in its largest unit.
WORDS: Mapping[AlarmKind, str | Promise] = {
    AlarmKind.NOTIFICATIONS_PAUSED: gettext_lazy(
        "notifications of app %(app)s to %(host)s are paused after %(count)s failures in a row, the last: %(reason)s"
    ),
    AlarmKind.CHANNEL_BACKLOG: gettext_lazy(
        "%(payments)s payments and %(refunds)s refunds of %(key)s are due, the oldest is late by %(late_s)s"
    ),
    AlarmKind.NOTIFICATION_BACKLOG: gettext_lazy("%(count)s notifications are due, the oldest is late by %(late_s)s"),
    AlarmKind.NOTIFICATIONS_HELD: gettext_lazy("%(count)s notifications were given up; a person must replay them"),
    AlarmKind.UNKNOWN_TOO_LONG: gettext_lazy(
        "the result of %(payments)s payments and %(refunds)s refunds of %(key)s is not known, of the oldest for"
        " %(age_s)s"
    ),
    AlarmKind.BREAKER_OPEN: gettext_lazy(
        "the breaker of %(key)s is open for %(age_s)s: the channel does not answer, and what can wait is held back"
    ),
    AlarmKind.NO_WORKER: gettext_lazy("no worker takes tasks from the queue %(key)s: nothing of it moves"),
    AlarmKind.BEAT_SILENT: gettext_lazy(
        "%(sweep)s last ran %(age_s)s ago although workers and broker are there: beat is dead, or the queue is full"
    ),
    AlarmKind.BROKER_UNREACHABLE: gettext_lazy("the broker does not answer (%(reason)s): sweeps and hints stand still"),
    AlarmKind.STORE_UNREACHABLE: gettext_lazy(
        "Redis does not answer within %(timeout)s s: writes of merchants are refused"
    ),
    AlarmKind.CLOCK_SKEW: gettext_lazy(
        "the clock of %(key)s is %(skew_s)s off the database's: signatures and numbers go by it"
    ),
    AlarmKind.IDGEN_FEW_FREE: gettext_lazy("only %(free)s worker ids are free: soon a process cannot start"),
    AlarmKind.IDGEN_SPOILED: gettext_lazy(
        "%(count)s free worker ids are reserved far ahead by a wrong clock: see `manage.py idgen_repair`"
    ),
    AlarmKind.IDGEN_REFUSES: gettext_lazy("%(key)s refuses to make numbers: its clock or its lease is in trouble"),
    # Raised with a text of their own, which says the rest.
    AlarmKind.NOTIFICATIONS_STUCK: gettext_lazy("a notification cannot be made or sent, by our own fault: %(text)s"),
    AlarmKind.CHANNEL_KEYS: gettext_lazy("a key of a channel is missing, wrong or runs out: %(text)s"),
    AlarmKind.CHANNEL_CLOCK: gettext_lazy("our clock and a channel's differ: %(text)s"),
    AlarmKind.BILL_MISSING: gettext_lazy("a bill has not come: %(text)s"),
    AlarmKind.BILL_REFUSED: gettext_lazy("a channel refuses its bills: %(text)s"),
    AlarmKind.BILL_CHANGED: gettext_lazy("a bill says something else than before: %(text)s"),
    AlarmKind.BILL_UNSOUND: gettext_lazy("a bill does not add up: %(text)s"),
}


def seen(alarm: Alarm) -> str:
    """What was seen when the alarm began, in the active language, or as it was written down."""
    try:
        return words(kind=AlarmKind(alarm.kind), key=alarm.key, facts={"text": alarm.text, **(alarm.facts or {})})
    except KeyError:  # a kind without words, or raised with a text alone
        return alarm.text


def words(*, kind: AlarmKind, key: str, facts: Mapping[str, Any]) -> str:
    shown = {
        name: length_text(timedelta(seconds=value)) if name.endswith("_s") else value for name, value in facts.items()
    }
    return (str(WORDS[kind]) % ({"key": key} | shown))[:TEXT_LENGTH_MAX]


def in_english(*, kind: AlarmKind, key: str, facts: Mapping[str, Any]) -> str:
    """The same for the log and for the row."""
    with translation.override("en"):
        return words(kind=kind, key=key, facts=facts)
