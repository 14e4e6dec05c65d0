"""Wrongly signed notifications, which a merchant must refuse: whoever takes one would take a forger's too.

The signature begins with a text that nobody could take for a signature of ours, once a person looks at it.
"""

import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from openplatform.models import App, Notification, NotificationAttempt, NotifyEndpoint
from openplatform.models.notification import NotificationStatus
from openplatform.notifications.message import Message, message_for
from openplatform.notifications.sending import Outcome, post

PREFIX = "FENPAY/SIGNTEST/"
EVERY = timedelta(minutes=10)
RSA_SIGNATURE_BYTES, HMAC_BYTES = 256, 32


def test_if_due(delivered: Notification, *, clock: Callable[[], datetime]) -> None:
    """After a delivery: send the same once more, wrongly signed, unless this app was tested a moment ago.

    It holds a worker beside the app's places, so an app has one such test at a time, answered or not.
    """
    now = clock()
    if not (settings.NOTIFICATION_SIGN_TESTS or delivered.app.is_sign_tested) or not _begin(delivered, now=now):
        return
    message = wrongly_signed(message_for(delivered, now=now))
    started = time.monotonic()
    outcome = post(message, app_id=delivered.app_id, url=delivered.notify_url, now=now)
    _record(delivered, outcome=outcome, attempted_at=now, duration_ms=int((time.monotonic() - started) * 1000))


def wrongly_signed(message: Message) -> Message:
    """The same message with signatures that are chance behind PREFIX."""
    wrong = {
        name: "v1," + visibly_false(HMAC_BYTES) if name == "webhook-signature" else visibly_false(RSA_SIGNATURE_BYTES)
        for name in message.headers
        if name == "webhook-signature" or name.endswith("-Signature")
    }
    return replace(message, headers=message.headers | wrong)


def visibly_false(length: int, *, prefix: str = PREFIX) -> str:
    """Base64 of `length` bytes, so that nothing but the signature itself is wrong with it."""
    whole = base64.b64encode(secrets.token_bytes(length)).decode()
    return prefix + whole[len(prefix) :]


def _begin(delivered: Notification, *, now: datetime) -> bool:
    """Take the app's turn, if it has come."""
    with transaction.atomic():
        App.lock_delivery(delivered.app_id)
        if NotifyEndpoint.objects.filter(app_id=delivered.app_id, sign_tested_at__gt=now - EVERY).exists():
            return False
        NotifyEndpoint.lock_or_add(app_id=delivered.app_id, host=delivered.notify_host).begin_sign_test(now=now)
    return True


def _record(delivered: Notification, *, outcome: Outcome, attempted_at: datetime, duration_ms: int) -> None:
    with transaction.atomic():
        endpoint = NotifyEndpoint.lock_or_add(app_id=delivered.app_id, host=delivered.notify_host)
        if outcome.status_code is not None:  # without an answer nothing was found out
            endpoint.note_sign_test(verifies=not outcome.is_delivered)
        row = Notification.objects.select_for_update().get(pk=delivered.pk)
        if row.status != NotificationStatus.DELIVERED:
            return  # replayed meanwhile: an attempt in between would look like one of the schedule's
        row.count_sign_test()
        NotificationAttempt.record(
            claimed=row, attempted_at=attempted_at, duration_ms=duration_ms, status_code=outcome.status_code,
            error=outcome.error, response_excerpt=outcome.response_excerpt,
        )  # fmt: skip
