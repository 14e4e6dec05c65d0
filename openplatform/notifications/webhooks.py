"""The headers of the Standard Webhooks specification (standardwebhooks.com), beside ours.

Signed is `id.timestamp.body`. `webhook-signature` holds one signature or several with spaces between them, each with
its version before a comma: `v1` is HMAC-SHA256 under the app's secret, `v1a` Ed25519 under a key of the platform's.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime

from openplatform.key_material import Algorithm
from openplatform.keys import signer
from openplatform.models import WebhookSecret

Signatures = Callable[[int, bytes, datetime], list[str]]


def webhook_headers(
    *, app_id: int, event_id: str, body: bytes, now: datetime, said_at: datetime | None = None
) -> dict[str, str]:
    """The three headers; none for an app without a secret while we have no Ed25519 key.

    `said_at` is the timestamp when it is not `now`, whose keys sign: for the conformance kit's recordings.
    """
    timestamp = str(int((said_at or now).timestamp()))
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


def _by_platform_key(_app_id: int, message: bytes, now: datetime) -> list[str]:
    """One when we have a current Ed25519 key: it needs no secret, only our public key."""
    key = signer(now=now, algorithm=Algorithm.ED25519)
    return [f"v1a,{key.sign(message)}"] if key.algorithm is Algorithm.ED25519 else []


SIGNERS: tuple[Signatures, ...] = (_by_shared_secret, _by_platform_key)
