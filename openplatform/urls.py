"""Addresses of the open platform, to be included under `openapi/v1/`."""

from django.urls import path, register_converter

from openplatform.api.keys import KeysView, ProveKeyView, RetireKeyView, RevokeKeyView
from openplatform.api.views import (
    NotificationsView,
    NotificationView,
    PlatformKeysView,
    ReplayNotificationsView,
    ReplayNotificationView,
    schema_view,
)


class IdConverter:
    """A 63-bit id in decimal, without leading zeros."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number >= 2**63:
            raise ValueError("not an id of ours")
        return number

    def to_url(self, value: int) -> str:
        return str(value)


class SerialConverter:
    """The serial number of a key."""

    regex = "[A-Za-z0-9_]{8,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(IdConverter, "event_id")
register_converter(SerialConverter, "serial_no")

urlpatterns = [
    path("platform-keys", PlatformKeysView.as_view(), name="platform-keys"),
    path("keys", KeysView.as_view(), name="keys"),
    path("keys/<serial_no:serial_no>/prove", ProveKeyView.as_view(), name="key-prove"),
    path("keys/<serial_no:serial_no>/retire", RetireKeyView.as_view(), name="key-retire"),
    path("keys/<serial_no:serial_no>/revoke", RevokeKeyView.as_view(), name="key-revoke"),
    path("notifications", NotificationsView.as_view(), name="notifications"),
    path("notifications/replay", ReplayNotificationsView.as_view(), name="notifications-replay"),
    path("notifications/<event_id:event_id>", NotificationView.as_view(), name="notification"),
    path("notifications/<event_id:event_id>/replay", ReplayNotificationView.as_view(), name="notification-replay"),
    path("schema.json", schema_view, name="openapi-schema"),
]
