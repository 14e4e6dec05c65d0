"""Notifications to merchants, with each attempt; they can be sent again."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import TabularInline

from openplatform.console.base import RecordAdmin, column, deed, readable_json
from openplatform.models import Notification, NotificationAttempt
from openplatform.models.notification import NotificationStatus
from openplatform.notifications.replay import replay_many

_LABELS = {
    NotificationStatus.OWED.value: "info",
    NotificationStatus.DELIVERED.value: "success",
    NotificationStatus.HELD.value: "danger",
    NotificationStatus.GONE.value: "warning",
}


class AttemptInline(TabularInline):  # type: ignore[misc]
    model = NotificationAttempt
    fields = ("attempt_no", "attempted_at", "duration_ms", "status_code", "error", "response_excerpt")
    readonly_fields = fields
    extra = 0
    can_delete = False
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Notification)
class NotificationAdmin(RecordAdmin):
    list_display = (
        "id", "app", "event_type", "object_no", "shown_status", "attempts_count", "next_attempt_at", "created_at",
    )  # fmt: skip
    list_filter = ("status", "event_type")
    list_select_related = ("app",)
    search_fields = ("=id", "=object_no", "=app__app_id", "notify_url")
    fields = (
        "id", "app", "event_type", "object_no", "object_version", "shown_status", "notify_url", "attempts_count",
        "next_attempt_at", "created_at", "delivered_at", "shown_data",
    )  # fmt: skip
    readonly_fields = ("id", "shown_status", "shown_data")
    ordering = ("-id",)
    inlines = (AttemptInline,)
    actions = ("replay",)

    @column(_("status"), labels=_LABELS, ordering="status")
    def shown_status(self, row: Notification) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @column(_("data"))
    def shown_data(self, row: Notification) -> str:
        return readable_json(row.data)

    @deed(_("Send again"), permission="replay")
    def replay(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        replayed = replay_many(notification_ids=queryset.values_list("pk", flat=True), now=timezone.now())
        count = replayed.count
        done = ngettext("%(count)d notification is sent again.", "%(count)d notifications are sent again.", count)
        self.message_user(request, done % {"count": count}, messages.SUCCESS)
        if replayed.has_more:
            self.message_user(
                request, _("More were chosen than are sent again at once: do it again."), messages.WARNING
            )

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "replay_notification")
