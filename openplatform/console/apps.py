"""Merchants and their apps."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from openplatform.console.base import RecordAdmin, column, deed
from openplatform.models import App, Merchant
from openplatform.models.app import AppStatus

_LABELS = {AppStatus.ACTIVE.value: "success", AppStatus.DISABLED.value: "danger"}


class SwitchableAdmin(RecordAdmin):
    """Enabling and disabling, in force on every process within five seconds."""

    actions = ("enable", "disable")

    @column(_("status"), labels=_LABELS, ordering="status")
    def shown_status(self, row: Merchant | App) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @deed(_("Enable"), permission="switch")
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, queryset, verb="enable")

    @deed(_("Disable: refuse all its requests"), permission="switch")
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, queryset, verb="disable")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return self.may(request, f"switch_{self.opts.model_name}")

    def _switch(self, request: HttpRequest, queryset: QuerySet[Any], *, verb: str) -> None:
        rows = list(queryset)
        for row in rows:
            getattr(row, verb)()
            self.log_change(request, row, [verb])
        done = ngettext("%(count)d row changed.", "%(count)d rows changed.", len(rows)) % {"count": len(rows)}
        self.message_user(request, done, messages.SUCCESS)


@admin.register(Merchant)
class MerchantAdmin(SwitchableAdmin):
    list_display = ("id", "name", "shown_status", "created_at")
    list_filter = ("status",)
    search_fields = ("=id", "name")
    fields = ("id", "name", "shown_status", "created_at")
    readonly_fields = ("id", "shown_status", "created_at")
    add_fields = ("name",)
    ordering = ("-id",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        registered = Merchant.register(name=form.cleaned_data["name"], now=timezone.now())
        obj.pk, obj.created_at = registered.pk, registered.created_at


@admin.register(App)
class AppAdmin(SwitchableAdmin):
    list_display = ("app_id", "name", "merchant", "shown_status", "accepts_wechatpay_scheme", "created_at")
    list_filter = ("status", "accepts_wechatpay_scheme")
    list_select_related = ("merchant",)
    search_fields = ("=app_id", "name", "merchant__name")
    fields = ("app_id", "name", "merchant", "shown_status", "accepts_wechatpay_scheme", "created_at")
    readonly_fields = ("app_id", "shown_status", "created_at")
    add_fields = ("merchant", "name", "accepts_wechatpay_scheme")
    autocomplete_fields = ("merchant",)
    ordering = ("-created_at",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        registered = App.register(**form.cleaned_data, now=timezone.now())
        obj.pk, obj.created_at = registered.pk, registered.created_at
