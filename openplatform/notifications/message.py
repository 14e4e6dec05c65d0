"""The request that tells a merchant's server: body, signature headers, built anew for each attempt."""

import json
import secrets
from datetime import UTC, datetime

from openplatform.keys import signer
from openplatform.models import Notification
from openplatform.signature import SCHEMES, answer_message


def build_body(notification: Notification) -> bytes:
    """The same bytes at every attempt: the facts are those of the event."""
    document = {
        "event_id": str(notification.pk),
        "type": notification.event_type,
        "created_at": notification.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "object_version": notification.object_version,
        "app_id": str(notification.app_id),
        "data": notification.data,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def build_headers(notification: Notification, *, body: bytes, now: datetime) -> dict[str, str]:
    """The signature over this attempt's own timestamp and nonce. Nothing of our traces or of other requests is here."""
    timestamp, nonce = str(int(now.timestamp())), secrets.token_urlsafe(24)
    key = signer(now=now, event_id=notification.pk)
    prefix = SCHEMES[key.scheme].header_prefix
    return {
        "Content-Type": "application/json",
        f"{prefix}-Notification-Id": str(notification.pk),
        f"{prefix}-Timestamp": timestamp,
        f"{prefix}-Nonce": nonce,
        f"{prefix}-Serial": key.serial_no,
        f"{prefix}-Signature": key.sign(answer_message(timestamp=timestamp, nonce=nonce, body=body)),
        f"{prefix}-Signature-Type": key.scheme,
    }
