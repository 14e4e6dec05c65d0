"""Alarms: what is open, who looks at it, and whether whoever is on call was told."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from openplatform import alarms
from openplatform.alarms.wording import seen
from openplatform.console.base import RecordAdmin, column
from openplatform.console.deeds import Deed, perform
from openplatform.models import Alarm, AlarmMessage
from openplatform.models.alarm import NOTE_LENGTH_MAX, Severity
from openplatform.models.alarm_message import MessageStatus
from openplatform.notifications.queries import open_alarms_count

_TOLD = {
    MessageStatus.OWED.value: "warning",
    MessageStatus.DELIVERED.value: "success",
    MessageStatus.HELD.value: "danger",
    MessageStatus.DROPPED.value: "info",
}


class AcknowledgeForm(forms.Form):
    note = forms.CharField(
        label=_("What you are doing about it"), max_length=NOTE_LENGTH_MAX, widget=UnfoldAdminTextInputWidget
    )


class MessageInline(TabularInline):  # type: ignore[misc]
    model = AlarmMessage
    fields = ("event", "shown_status", "is_summed_up", "attempts_count", "sent_at", "delivered_at", "last_error")
    readonly_fields = fields
    extra = 0
    can_delete = False

    @column(_("status"), labels=_TOLD)
    def shown_status(self, row: AlarmMessage) -> tuple[str, str]:
        return row.status, row.get_status_display()

    def has_add_permission(self, request: HttpRequest, obj: Alarm | None = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Alarm | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Alarm)
class AlarmAdmin(RecordAdmin):
    list_display = (
        "shown_kind",
        "shown_severity",
        "key",
        "shown_state",
        "opened_at",
        "closed_at",
        "told",
        "shown_seen",
    )
    list_filter = (("closed_at", EmptyFieldListFilter), ("acknowledged_at", EmptyFieldListFilter), "kind")
    search_fields = ("key", "text")
    fields = (
        "kind", "shown_severity", "key", "shown_state", "shown_seen", "text", "opened_at", "closed_at",
        "acknowledged_at", "acknowledged_by", "note",
    )  # fmt: skip
    readonly_fields = ("shown_severity", "shown_state", "shown_seen")
    ordering = ("-opened_at",)
    inlines = (MessageInline,)
    actions_detail = ("acknowledge",)

    @column(_("kind"), labels={"open": "danger", "closed": "success"}, ordering="kind")
    def shown_kind(self, row: Alarm) -> tuple[str, str]:
        """In the colour of whether it is over."""
        return "closed" if row.closed_at else "open", row.get_kind_display()

    @column(_("severity"), labels={Severity.CRITICAL.value: "danger", Severity.WARNING.value: "warning"})
    def shown_severity(self, row: Alarm) -> tuple[str, Any]:
        return row.severity.value, row.severity.label

    @column(_("state"), labels={"open": "danger", "acknowledged": "warning", "closed": "success"})
    def shown_state(self, row: Alarm) -> tuple[str, str]:
        if row.closed_at is not None:
            return "closed", gettext("over")
        if row.acknowledged_at is not None:
            return "acknowledged", gettext("%(who)s looks at it") % {"who": row.acknowledged_by}
        return "open", gettext("open")

    @column(_("told"), labels=_TOLD)
    def told(self, row: Alarm) -> tuple[str, str] | None:
        """What became of the last message about it; nothing where there is no webhook."""
        messages = sorted(row.messages.all(), key=lambda message: message.pk)
        if not messages:
            return None
        last = messages[-1]
        return last.status, f"{last.get_event_display()}: {last.get_status_display()}"

    @column(_("what was seen"))
    def shown_seen(self, row: Alarm) -> str:
        return seen(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alarm]:
        rows: QuerySet[Alarm] = super().get_queryset(request)
        return rows.prefetch_related("messages")

    @action(description=_("Acknowledge"), url_path="acknowledge", permissions=["acknowledge"], icon="front_hand")  # type: ignore[untyped-decorator]
    def acknowledge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def act(row: Alarm, data: dict[str, Any]) -> str:
            by, now = request.user.get_username(), timezone.now()
            if alarms.acknowledge(alarm_id=row.pk, by=by, note=data["note"], now=now):
                return gettext("Everybody sees now that you look at it. It is told again when it is over.")
            return gettext("It is over, or somebody else was faster. Nothing was done.")

        text = _("It stays open and stops ringing. The next trouble of this kind rings again.")
        page = Deed(
            title=_("Acknowledge"), text=text, button=_("I look at it"), act=act, form_class=AcknowledgeForm
        )  # fmt: skip
        return perform(self, request, object_id, deed=page)

    def has_acknowledge_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        """For whoever may, while it is open and nobody has."""
        waiting = Alarm.objects.filter(closed_at=None, acknowledged_at=None)
        is_there = object_id is None or (str(object_id).isdigit() and waiting.filter(pk=str(object_id)).exists())
        return self.may(request, "acknowledge_alarm") and is_there


def open_alarms_badge(request: HttpRequest) -> str:
    """The number beside “Alarms” in the sidebar; "" when there are none."""
    if not request.user.has_perm("openplatform.view_alarm"):
        return ""
    return str(open_alarms_count() or "")
