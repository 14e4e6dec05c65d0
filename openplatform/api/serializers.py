"""Shapes of the open platform's own questions and answers."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from openplatform.key_material import Purpose
from openplatform.models import Notification, NotificationAttempt, PlatformKey
from openplatform.models.notification import AttemptKind, NotificationStatus
from openplatform.notifications.replay import Filter, Replayed
from openplatform.serializers import MomentField, StrictSerializer

LIMIT_DEFAULT = 50
ID = r"^[1-9][0-9]{0,18}$"


class NotificationQuerySerializer(serializers.Serializer[Any]):
    """The query of `GET /notifications`; the grammar of the target has refused unknown names already."""

    cursor = serializers.RegexField(ID, required=False, help_text="`next_cursor` of the page before")
    limit = serializers.RegexField(r"^([1-9][0-9]?|100)$", required=False, help_text="1 to 100, 50 when not given")
    status = serializers.ChoiceField(NotificationStatus.values, required=False)
    event_type = serializers.RegexField(r"^[a-z_.]{1,64}$", required=False)
    object_no = serializers.RegexField(ID, required=False, help_text="of the order or the refund")

    def wanted(self) -> dict[str, Any]:
        """The arguments of `own_notifications`."""
        data = self.validated_data
        return {
            "below": int(data["cursor"]) if "cursor" in data else None,
            "limit": int(data.get("limit", LIMIT_DEFAULT)),
            "status": data.get("status", ""),
            "event_type": data.get("event_type", ""),
            "object_no": int(data["object_no"]) if "object_no" in data else None,
        }


class ReplaySerializer(StrictSerializer):
    """Which of the app's notifications; what is given must fit all together, and something must be given."""

    status = serializers.ChoiceField(NotificationStatus.values, required=False)
    event_type = serializers.RegexField(r"^[a-z_.]{1,64}$", required=False)
    object_no = serializers.RegexField(ID, required=False, help_text="of the order or the refund")
    created_from = MomentField(required=False, help_text="created at this time or later")
    created_until = MomentField(required=False, help_text="created before this time")
    cursor = serializers.CharField(
        required=False, help_text="`next_cursor` of the answer before; the rest of the request stays as it was"
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if not set(data) - {"cursor"}:
            names = [name for name in self.get_fields() if name != "cursor"]
            raise serializers.ValidationError("name at least one of " + ", ".join(names))
        start, end = data.get("created_from"), data.get("created_until")
        if start and end and start >= end:
            raise serializers.ValidationError({"created_until": ["must be after created_from"]})
        return data

    def wanted(self, *, app_id: int) -> dict[str, Any]:
        """The arguments of `replay_matching`: of that app and of no other."""
        parts = dict(self.validated_data)
        cursor = parts.pop("cursor", "")
        if "object_no" in parts:
            parts["object_no"] = int(parts["object_no"])
        return {"matching": Filter(app_id=app_id, **parts), "cursor": cursor}


class ReplayedSerializer(serializers.Serializer[Any]):
    app_id = serializers.CharField()
    replayed_count = serializers.IntegerField(help_text="at most 1000, the oldest first")
    has_more = serializers.BooleanField(help_text="whether there is a next_cursor")
    next_cursor = serializers.CharField(
        allow_null=True,
        help_text="the same request with this as its `cursor` goes on with the rest; null: that was all",
    )


class AttemptSerializer(serializers.Serializer[Any]):
    attempt_no = serializers.IntegerField()
    kind = serializers.ChoiceField(
        AttemptKind.values,
        help_text="`probe`: your host is paused; `sign_test`: wrongly signed, refuse it; neither is of the schedule",
    )
    attempted_at = serializers.CharField()
    duration_ms = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    response_excerpt = serializers.CharField(allow_null=True)


class NotificationSerializer(serializers.Serializer[Any]):
    app_id = serializers.CharField()
    event_id = serializers.CharField()
    type = serializers.CharField()
    object_no = serializers.CharField()
    object_version = serializers.IntegerField()
    status = serializers.ChoiceField(NotificationStatus.values)
    notify_url = serializers.CharField()
    attempts_count = serializers.IntegerField()
    next_attempt_at = serializers.CharField(allow_null=True)
    paused_since = serializers.CharField(
        allow_null=True, help_text="it is owed, and its host did not answer too often: nothing but probes is sent there"
    )
    created_at = serializers.CharField()
    delivered_at = serializers.CharField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]


class NotificationDetailSerializer(NotificationSerializer):
    attempts = AttemptSerializer(many=True)


class NotificationPageSerializer(serializers.Serializer[Any]):
    app_id = serializers.CharField()
    notifications = NotificationSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class PlatformKeySerializer(serializers.Serializer[Any]):
    serial_no = serializers.CharField()
    purpose = serializers.ChoiceField(list(Purpose), help_text="sign: we sign with it; encrypt: you encrypt to it")
    algorithm = serializers.CharField()
    public_key_pem = serializers.CharField()
    status = serializers.CharField()
    not_before = serializers.CharField()
    not_after = serializers.CharField()


class PlatformKeysSerializer(serializers.Serializer[Any]):
    app_id = serializers.CharField()
    platform_keys = PlatformKeySerializer(many=True)


def present_notification(notification: Notification) -> dict[str, Any]:
    return {
        "app_id": str(notification.app_id),
        "event_id": str(notification.pk),
        "type": notification.event_type,
        "object_no": str(notification.object_no),
        "object_version": notification.object_version,
        "status": notification.status,
        "notify_url": notification.notify_url,
        "attempts_count": notification.attempts_count,
        "next_attempt_at": moment(notification.next_attempt_at),
        "paused_since": moment(notification.paused_at),
        "created_at": moment(notification.created_at),
        "delivered_at": moment(notification.delivered_at),
        "data": notification.data,
    }


def present_attempt(attempt: NotificationAttempt) -> dict[str, Any]:
    return {
        "attempt_no": attempt.attempt_no,
        "kind": attempt.kind,
        "attempted_at": moment(attempt.attempted_at),
        "duration_ms": attempt.duration_ms,
        "status_code": attempt.status_code,
        "error": attempt.error or None,
        "response_excerpt": attempt.response_excerpt or None,
    }


def present_replayed(replayed: Replayed) -> dict[str, Any]:
    return {
        "replayed_count": replayed.count,
        "has_more": replayed.next_cursor is not None,
        "next_cursor": replayed.next_cursor,
    }


def present_platform_key(key: PlatformKey) -> dict[str, Any]:
    return {
        "serial_no": key.serial_no,
        "purpose": key.purpose,
        "algorithm": key.algorithm,
        "public_key_pem": key.public_key_pem,
        "status": key.status,
        "not_before": moment(key.not_before),
        "not_after": moment(key.not_after),
    }


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
