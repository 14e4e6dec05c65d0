"""Notifications, as openplatform shows them, with the way back to the order: openplatform knows nothing of money."""

from urllib.parse import urlencode

from django.contrib import admin
from django.urls import reverse
from django.utils.translation import gettext_lazy

from openplatform.console.notifications import NotificationAdmin
from openplatform.models import Notification
from openplatform.tracing import trace_id_of
from payments.console import cells

NUMBER = cells.own_number(title=gettext_lazy("event id"))
STATUS = cells.column("status", cells.status, title=gettext_lazy("status"))
CREATED = cells.column("created_at", cells.moment, title=gettext_lazy("created at"))
NEXT = cells.column("next_attempt_at", cells.moment, title=gettext_lazy("next attempt at"))
PAUSED = cells.column("paused_at", cells.moment, title=gettext_lazy("paused since"))
DELIVERED = cells.column("delivered_at", cells.moment, title=gettext_lazy("delivered at"))
TRACE = cells.column("traceparent", lambda value: cells.trace(trace_id_of(value)), title=gettext_lazy("trace"))


def about(notification: Notification) -> str:
    """The order's or the refund's number, linked to the order. Only a click asks the database which one it is."""
    query = urlencode({"number": notification.object_no})
    return cells.number(notification.object_no, url=f"{reverse('admin:payments_order_find')}?{query}")


about.short_description = gettext_lazy("about")  # type: ignore[attr-defined]

admin.site.unregister(Notification)


@admin.register(Notification)
class OrderNotificationAdmin(NotificationAdmin):
    list_display = [  # type: ignore[assignment]
        NUMBER, "event_type", about, STATUS, PAUSED, "attempts_count", NEXT,
        CREATED, DELIVERED, "app",
    ]  # fmt: skip
    list_display_links = None
    list_fullwidth = True
    fields = [  # type: ignore[assignment]
        (NUMBER, about), ("event_type", "object_version"), ("app", STATUS),
        ("notify_url", PAUSED), ("attempts_count", NEXT), (CREATED, DELIVERED), TRACE, "shown_data",
    ]  # fmt: skip
    readonly_fields = [  # type: ignore[assignment]
        NUMBER,
        about,
        STATUS,
        PAUSED,
        NEXT,
        CREATED,
        DELIVERED,
        TRACE,
        "shown_data",
    ]
