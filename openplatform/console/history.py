"""What happened to keys: on the key's own page, and all of it in one list."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from openplatform.console.base import RecordAdmin, column, readable_json
from openplatform.key_states import ActorKind
from openplatform.models import AppKey, KeyEvent, PlatformKey

_ACTORS = {ActorKind.KEY: _("key"), ActorKind.OPERATOR: _("operator"), ActorKind.SYSTEM: _("system")}


def history_of(key: AppKey | PlatformKey) -> str:
    """The newest first: what, when, and by whom."""
    lines = [
        (timezone.localtime(event.created_at).strftime("%Y-%m-%d %H:%M:%S"), event.get_kind_display(), who(event))
        for event in key.events.all()[:50]
    ]
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{} · {} · {}</li>", lines)) if lines else "–"


def who(event: KeyEvent) -> str:
    return f"{_ACTORS[ActorKind(event.actor_kind)]} {event.actor}".strip()


@admin.register(KeyEvent)
class KeyEventAdmin(RecordAdmin):
    list_display = ("created_at", "kind", "shown_key", "shown_actor")
    list_filter = ("kind", "actor_kind")
    search_fields = ("=key__serial_no", "=platform_key__serial_no", "=actor")
    fields = ("created_at", "kind", "key", "platform_key", "shown_actor", "shown_detail")
    readonly_fields = ("shown_actor", "shown_detail")
    ordering = ("-id",)

    @column(_("key"))
    def shown_key(self, row: KeyEvent) -> str:
        return row.key_id or row.platform_key_id or ""

    @column(_("by"))
    def shown_actor(self, row: KeyEvent) -> str:
        return who(row)

    @column(_("detail"))
    def shown_detail(self, row: KeyEvent) -> str:
        return readable_json(row.detail) if row.detail else gettext("Nothing more.")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False
