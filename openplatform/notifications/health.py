"""What an attempt says about the host: too many failures in a row pause it, one answer ends the pause."""

from datetime import datetime
from typing import Any

from django.conf import settings

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.models import Notification, NotifyEndpoint
from openplatform.models.alarm import AlarmKind
from openplatform.notifications.sending import Outcome
from openplatform.notifications.turns import probe_wait


def note(claimed: Notification, *, outcome: Outcome, now: datetime) -> bool:
    """Write it down, inside the caller's transaction and before it locks a notification. Whether a pause has ended.

    What our own rules refused says nothing about the host. 410 is an answer: the host is well.
    """
    if not outcome.is_of_the_merchant:
        return False
    app_id, host = claimed.app_id, claimed.notify_host
    if outcome.is_delivered or outcome.is_gone:
        return _recovered(NotifyEndpoint.lock(app_id=app_id, host=host), now=now)
    endpoint = NotifyEndpoint.lock_or_add(app_id=app_id, host=host)
    endpoint.fail(reason=outcome.word)
    if not endpoint.is_paused and endpoint.failures_count >= settings.NOTIFICATION_PAUSE_AFTER:
        endpoint.pause(now=now, probe_wait=probe_wait())
        raise_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key=alarm_key(endpoint), facts=_facts(endpoint), now=now)
    return False


def _recovered(endpoint: NotifyEndpoint | None, *, now: datetime) -> bool:
    if endpoint is None or not endpoint.failures_count:
        return False
    was_paused = endpoint.is_paused
    endpoint.recover()
    if was_paused:
        close_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key=alarm_key(endpoint), now=now)
    return was_paused


def alarm_key(endpoint: NotifyEndpoint) -> str:
    return f"{endpoint.app_id} {endpoint.host}"


def _facts(endpoint: NotifyEndpoint) -> dict[str, Any]:
    return {
        "app": str(endpoint.app_id), "host": endpoint.host, "count": endpoint.failures_count,
        "reason": endpoint.last_reason,
    }  # fmt: skip
