"""The request that tells a merchant's server: body and signature headers, built anew for each attempt."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from openplatform import apiv3
from openplatform.key_material import Algorithm
from openplatform.keys import Signer, signer
from openplatform.models import Notification
from openplatform.models.notification import NotificationShape
from openplatform.notifications.webhooks import webhook_headers
from openplatform.signature import SCHEMES, WECHATPAY_SCHEME, answer_message


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is POSTed in one attempt."""

    headers: dict[str, str]
    body: bytes


def message_for(notification: Notification, *, now: datetime) -> Message:
    """The one way in which a notification becomes a request. Nothing of our traces or of other requests is in it."""
    body = build_body(notification)
    event_id = str(notification.pk)
    if notification.shape == NotificationShape.WECHATPAY:
        # Its clients know RSA and its name for it only.
        key = signer(now=now, algorithm=Algorithm.RSA_SHA256)
        headers = signed_headers(event_id=event_id, body=body, now=now, key=key, scheme=WECHATPAY_SCHEME)
    else:
        headers = signed_headers(event_id=event_id, body=body, now=now, key=signer(now=now, event_id=notification.pk))
        headers |= webhook_headers(app_id=notification.app_id, event_id=event_id, body=body, now=now)
    return Message(headers=headers, body=body)


def build_body(notification: Notification) -> bytes:
    """The facts are those of the event, at every attempt; only an encrypted envelope is another one each time."""
    is_enveloped = notification.shape == NotificationShape.WECHATPAY
    return json_bytes(_enveloped(notification) if is_enveloped else _native(notification))


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
    sealed = apiv3.envelope(json_bytes(told["resource"]), api_key=notification.app.apiv3_key(), associated_data=kind)
    return {
        "id": str(notification.pk),
        "create_time": apiv3.beijing(notification.created_at),
        "event_type": told["event_type"],
        "resource_type": "encrypt-resource",
        "summary": told["summary"],
        "resource": {"original_type": kind, **sealed},
    }


def json_bytes(document: dict[str, Any]) -> bytes:
    """As every notification is written: UTF-8, without spaces."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def signed_headers(*, event_id: str, body: bytes, now: datetime, key: Signer, scheme: str = "") -> dict[str, str]:
    """The signature over this attempt's own timestamp and nonce, under the key's own scheme when none is named."""
    scheme = scheme or key.scheme
    timestamp, nonce = str(int(now.timestamp())), secrets.token_urlsafe(24)
    prefix = SCHEMES[scheme].header_prefix
    return {
        "Content-Type": "application/json",
        f"{prefix}-Notification-Id": event_id,
        f"{prefix}-Timestamp": timestamp,
        f"{prefix}-Nonce": nonce,
        f"{prefix}-Serial": key.serial_no,
        f"{prefix}-Signature": key.sign(answer_message(timestamp=timestamp, nonce=nonce, body=body)),
        f"{prefix}-Signature-Type": scheme,
    }
