"""What OpenAPI says about the operations that are not about money. The examples are held to the shapes by a test."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema

from openplatform.api.serializers import (
    NotificationDetailSerializer,
    NotificationPageSerializer,
    NotificationQuerySerializer,
    NotificationSerializer,
    PlatformKeysSerializer,
    ReplayedSerializer,
    ReplaySerializer,
)
from openplatform.documents import answer, problems
from openplatform.problems import CursorUnknown

TAG_KEYS, TAG_NOTIFICATIONS = ["keys"], ["notifications"]
APP_ID = "249831726539776001"

_PLATFORM_KEY = {
    "serial_no": "3D0A8E4C7F1B2A6D9E5C8B7A6F5E4D3C2B1A0F9E", "purpose": "sign", "algorithm": "RSA-SHA256",
    "public_key_pem": "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0B…\n-----END PUBLIC KEY-----\n",
    "status": "current", "not_before": "2026-01-01T00:00:00Z", "not_after": "2028-01-01T00:00:00Z",
}  # fmt: skip
_NOTIFICATION: dict[str, Any] = {
    "app_id": APP_ID, "event_id": "249832150399651842", "type": "order.succeeded",
    "object_no": "249831802119487490", "object_version": 3, "status": "owed",
    "notify_url": "https://shop.example/notify", "attempts_count": 1, "next_attempt_at": "2026-01-02T04:01:30Z",
    "paused_since": None, "created_at": "2026-01-02T04:01:12Z", "delivered_at": None,
    "data": {"order_no": "249831802119487490", "status": "SUCCEEDED", "amount_fen": 4030},
}  # fmt: skip
_ATTEMPT = {
    "attempt_no": 1, "kind": "scheduled", "attempted_at": "2026-01-02T04:01:12Z", "duration_ms": 5003,
    "status_code": None, "error": "timeout", "response_excerpt": None,
}  # fmt: skip
_ONE_MORNING = {
    "status": "held", "created_from": "2026-01-02T00:00:00Z", "created_until": "2026-01-02T04:00:00Z",
}  # fmt: skip
_CURSOR = "A3eVBGILEAIABkdfvkYwAG9hf0zXqdDfc2TzzsUNVww"

list_platform_keys = extend_schema(
    tags=TAG_KEYS, operation_id="listPlatformKeys", summary="Our public keys",
    description="The key that signs, the next one before it does, and the last one while it still may. Trust what a key"
    " that you know has signed, and fetch them again from time to time.",
    responses={
        200: answer(PlatformKeysSerializer, "The live keys, the newest first.",
                    one_key={"app_id": APP_ID, "platform_keys": [_PLATFORM_KEY]}),
    },
)  # fmt: skip
list_notifications = extend_schema(
    tags=TAG_NOTIFICATIONS, operation_id="listNotifications", summary="What we told you, or still owe you",
    description="The newest first. For the next page give `next_cursor` as `cursor`; it is null on the last page.",
    parameters=[NotificationQuerySerializer],
    responses={
        200: answer(NotificationPageSerializer, "One page.",
                    last_page={"app_id": APP_ID, "notifications": [_NOTIFICATION], "next_cursor": None}),
    },
)  # fmt: skip
get_notification = extend_schema(
    tags=TAG_NOTIFICATIONS, operation_id="getNotification", summary="One notification, with its attempts",
    responses={
        200: answer(NotificationDetailSerializer, "The notification.",
                    one_attempt=_NOTIFICATION | {"attempts": [_ATTEMPT]}),
        **problems(404),
    },
)  # fmt: skip
replay_notification = extend_schema(
    tags=TAG_NOTIFICATIONS, operation_id="replayNotification", summary="Send a notification again", request=None,
    description="From the beginning of the schedule, under the same event id: your side must bear it twice anyway.",
    responses={
        202: answer(NotificationSerializer, "It is owed again.", owed=_NOTIFICATION | {"attempts_count": 0}),
        **problems(404),
    },
)  # fmt: skip
replay_notifications = extend_schema(
    tags=TAG_NOTIFICATIONS, operation_id="replayNotifications", summary="Send many notifications again",
    description="All that match, at most 1000 at once, the oldest first; they go out a few at a time. The same request"
    " with `next_cursor` as its `cursor` goes on with the rest, until that is null: each is sent again once, however"
    " many there are and whatever becomes of them meanwhile. After an answer that got lost send the same request once"
    " more; the first one, which has no cursor, within a minute. Left out are notifications that are at the beginning"
    " of their schedule already, and those that are newer than the first request.",
    request=ReplaySerializer,
    examples=[
        OpenApiExample(
            "one morning", request_only=True,
            value=_ONE_MORNING,
        ),
        OpenApiExample("the next part", request_only=True, value=_ONE_MORNING | {"cursor": _CURSOR}),
    ],
    responses={
        202: answer(ReplayedSerializer, "They are owed again.",
                    all_of_them={"app_id": APP_ID, "replayed_count": 12, "has_more": False, "next_cursor": None},
                    a_part={"app_id": APP_ID, "replayed_count": 1000, "has_more": True, "next_cursor": _CURSOR}),
        **problems(also=[CursorUnknown()]),
    },
)  # fmt: skip
