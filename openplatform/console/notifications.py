"""Notifications to merchants, with each attempt; they can be sent again; and the hosts that are told."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import RangeDateTimeFilter

from openplatform.console.base import RecordAdmin, column, deed, readable_json
from openplatform.models import Notification, NotificationAttempt, NotifyEndpoint
from openplatform.models.notification import NotificationStatus
from openplatform.notifications.queries import with_pause
from openplatform.notifications.replay import replay_chosen

_LABELS = {
    NotificationStatus.OWED.value: "info",
    NotificationStatus.DELIVERED.value: "success",
    NotificationStatus.HELD.value: "danger",
    NotificationStatus.GONE.value: "warning",
}


class AttemptInline(TabularInline):  # type: ignore[misc]
    model = NotificationAttempt
    fields = ("attempt_no", "kind", "attempted_at", "duration_ms", "status_code", "error", "response_excerpt")
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
        "id", "app", "event_type", "object_no", "shown_status", "paused_since", "attempts_count", "next_attempt_at",
        "created_at",
    )  # fmt: skip
    list_filter = ("status", "event_type", ("created_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("app",)
    search_fields = ("=id", "=object_no", "=app__app_id", "notify_url")
    fields = (
        "id", "app", "event_type", "object_no", "object_version", "shown_status", "paused_since", "notify_url",
        "attempts_count", "next_attempt_at", "created_at", "delivered_at", "shown_data",
    )  # fmt: skip
    readonly_fields = ("id", "shown_status", "paused_since", "shown_data")
    ordering = ("-id",)
    inlines = (AttemptInline,)
    actions = ("replay",)

    @column(_("status"), labels=_LABELS, ordering="status")
    def shown_status(self, row: Notification) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @column(_("paused since"))
    def paused_since(self, row: Notification) -> Any:
        """It waits because its host did not answer too often."""
        return row.paused_at

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        return with_pause(super().get_queryset(request))

    @column(_("data"))
    def shown_data(self, row: Notification) -> str:
        return readable_json(row.data)

    @deed(_("Send again"), permission="replay")
    def replay(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        count, last = replay_chosen(chosen=queryset, now=timezone.now())
        done = ngettext("%(count)d notification is sent again.", "%(count)d notifications are sent again.", count)
        self.message_user(request, done % {"count": count}, messages.SUCCESS)
        if last is not None:
            created_at = timezone.localtime(last.created_at).strftime("%Y-%m-%d %H:%M:%S")
            more = gettext("More were chosen than are sent again at once: choose those after %(time)s and do it again.")
            self.message_user(request, more % {"time": created_at}, messages.WARNING)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "replay_notification")


@admin.register(NotifyEndpoint)
class NotifyEndpointAdmin(RecordAdmin):
    list_display = ("host", "app", "shown_state", "failures_count", "last_reason", "paused_at", "probe_at", "verifies")
    list_filter = (("paused_at", EmptyFieldListFilter), "verifies")
    list_select_related = ("app",)
    search_fields = ("host", "=app__app_id", "app__name")
    fields = (
        "app", "host", "failures_count", "last_reason", "paused_at", "probes_count", "probe_at", "sign_tested_at",
        "verifies",
    )  # fmt: skip
    ordering = ("-paused_at", "host")
    actions = ("probe",)

    @column(_("state"), labels={"well": "success", "failing": "warning", "paused": "danger"})
    def shown_state(self, row: NotifyEndpoint) -> tuple[str, Any]:
        if row.is_paused:
            return "paused", _("paused")
        return ("failing", _("failing")) if row.failures_count else ("well", _("well"))

    @deed(_("Try paused hosts now"), permission="probe")
    def probe(self, request: HttpRequest, queryset: QuerySet[NotifyEndpoint]) -> None:
        rows = list(queryset)
        count = NotifyEndpoint.probe_soon(now=timezone.now(), pk__in=[row.pk for row in rows])
        for row in rows:
            self.log_change(request, row, "probe")
        done = ngettext("%(count)d paused host is tried.", "%(count)d paused hosts are tried.", count)
        self.message_user(request, done % {"count": count}, messages.SUCCESS)

    def has_probe_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "probe_notifyendpoint")
