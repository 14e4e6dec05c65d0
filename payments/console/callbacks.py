"""Callbacks: what the channels told us, as it was received."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import MomentFilter, choices_filter
from payments.models import Callback

RECEIVED = cells.column("received_at", cells.moment, title=_("received at"), order_by="received_at")
CALLBACK_ID = cells.column("channel_callback_id", cells.number, title=_("channel's id"))
KIND = cells.column("get_kind_display", lambda display: cells.plain(display()), title=_("kind"))
TYPE = cells.column("event_type", cells.plain, title=_("type"))
EFFECT = cells.column("effect", cells.plain, title=_("effect"))
NUMBER = cells.own_number(title=_("callback"))


@admin.register(Callback)
class CallbackAdmin(ReadOnlyAdmin):
    list_display = [NUMBER, RECEIVED, KIND, TYPE, EFFECT, columns.ORDER, columns.REFUND, columns.ACCOUNT, CALLBACK_ID]
    list_filter = [choices_filter(Callback.Kind), ("received_at", MomentFilter)]
    list_select_related = ["account"]
    ordering = ["-received_at"]
    own_numbers = ("pk",)
    own_texts = ("channel_callback_id",)
    fieldsets = [
        (None, {"fields": [
            (NUMBER, RECEIVED), (KIND, TYPE), (EFFECT, CALLBACK_ID), (columns.ORDER, columns.PAYMENT),
            (columns.REFUND, columns.ACCOUNT), columns.TRACE,
            # Encrypted by the channel, and only ever shown as it came.
            cells.column("body", cells.code_block, title=_("body as received")),
        ]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body")  # the page asks for it, the list must not
