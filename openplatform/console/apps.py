"""Merchants and their apps."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action

from openplatform.console import delivery, face
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
    add_fields = ("merchant", "name")
    actions_detail = ("delivery", "wechatpay_face")
    autocomplete_fields = ("merchant",)
    ordering = ("-created_at",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        registered = App.register(**form.cleaned_data, now=timezone.now())
        obj.pk, obj.created_at = registered.pk, registered.created_at

    def get_queryset(self, request: HttpRequest) -> QuerySet[App]:
        queryset: QuerySet[App] = super().get_queryset(request)
        return queryset.defer("apiv3_key_sealed")

    @action(  # type: ignore[untyped-decorator]
        description=_("Notifications"), url_path="notifications", permissions=["delivery"], icon="outgoing_mail"
    )
    def delivery(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Its hosts and how they are doing, its webhook secret, its tests."""
        return delivery.page(self, request, object_id)

    def has_delivery_permission(self, request: HttpRequest, object_id: object = None) -> bool:  # noqa: ARG002
        return self.may(request, "view_app")

    @action(  # type: ignore[untyped-decorator]
        description=_("WeChat Pay interface"), url_path="wechatpay-interface", permissions=["face"], icon="swap_horiz"
    )
    def wechatpay_face(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Open and close it, and replace its APIv3 key."""
        return face.page(self, request, object_id)

    def has_face_permission(self, request: HttpRequest, object_id: object = None) -> bool:  # noqa: ARG002
        return self.may(request, "change_wechatpay_face")
