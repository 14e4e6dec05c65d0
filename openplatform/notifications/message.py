"""The request that tells a merchant's server: body, signature headers, built anew for each attempt."""

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from openplatform import apiv3
from openplatform.key_material import Algorithm
from openplatform.keys import signer
from openplatform.models import Notification
from openplatform.models.notification import NotificationShape
from openplatform.signature import SCHEMES, WECHATPAY_SCHEME, answer_message


def build_body(notification: Notification) -> bytes:
    """The facts are those of the event, at every attempt; only an encrypted envelope is another one each time."""
    is_enveloped = notification.shape == NotificationShape.WECHATPAY
    return _json(_enveloped(notification) if is_enveloped else _native(notification))


def _native(notification: Notification) -> dict[str, Any]:
    return {
        "event_id": str(notification.pk),
        "type": notification.event_type,
        "created_at": notification.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "object_version": notification.object_version,
        "app_id": str(notification.app_id),
        "data": notification.data,
    }


def _enveloped(notification: Notification) -> dict[str, Any]:
    """WeChat Pay's form: pay.weixin.qq.com/doc/v3/merchant/4012791861."""
    told = notification.data
    kind = told["original_type"]
    sealed = apiv3.envelope(_json(told["resource"]), api_key=notification.app.apiv3_key(), associated_data=kind)
    return {
        "id": str(notification.pk),
        "create_time": apiv3.beijing(notification.created_at),
        "event_type": told["event_type"],
        "resource_type": "encrypt-resource",
        "summary": told["summary"],
        "resource": {"original_type": kind, **sealed},
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def build_headers(notification: Notification, *, body: bytes, now: datetime) -> dict[str, str]:
    """The signature over this attempt's own timestamp and nonce. Nothing of our traces or of other requests is here."""
    timestamp, nonce = str(int(now.timestamp())), secrets.token_urlsafe(24)
    # Clients of WeChat Pay know RSA and its name for it only.
    is_native = notification.shape == NotificationShape.NATIVE
    key = signer(now=now, event_id=notification.pk) if is_native else signer(now=now, algorithm=Algorithm.RSA_SHA256)
    scheme = key.scheme if is_native else WECHATPAY_SCHEME
    prefix = SCHEMES[scheme].header_prefix
    return {
        "Content-Type": "application/json",
        f"{prefix}-Notification-Id": str(notification.pk),
        f"{prefix}-Timestamp": timestamp,
        f"{prefix}-Nonce": nonce,
        f"{prefix}-Serial": key.serial_no,
        f"{prefix}-Signature": key.sign(answer_message(timestamp=timestamp, nonce=nonce, body=body)),
        f"{prefix}-Signature-Type": scheme,
    }
