"""The headers of the Standard Webhooks specification (standardwebhooks.com), beside ours, for apps with a secret.

Signed is `id.timestamp.body`. `webhook-signature` holds one signature or several with spaces between them, each with
its version before a comma: `v1` is HMAC-SHA256 under the shared secret, `v1a` Ed25519 under a key of the platform's.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime

from openplatform.models import WebhookSecret

Signatures = Callable[[int, bytes, datetime], list[str]]


def webhook_headers(*, app_id: int, event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers; none for an app that nobody gave a secret."""
    timestamp = str(int(now.timestamp()))
    message = f"{event_id}.{timestamp}.".encode() + body
    signatures = [signature for sign in SIGNERS for signature in sign(app_id, message, now)]
    if not signatures:
        return {}
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _by_shared_secret(app_id: int, message: bytes, now: datetime) -> list[str]:
    """One for each secret that is in force: two while one follows another."""
    return [
        "v1," + base64.b64encode(hmac.digest(secret.material(), message, hashlib.sha256)).decode()
        for secret in WebhookSecret.live(app_id=app_id, now=now)
    ]


# Each gives its signatures for an app; a platform key that signs `v1a` is one more line here.
SIGNERS: tuple[Signatures, ...] = (_by_shared_secret,)
