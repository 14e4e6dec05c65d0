"""Refunds: money on its way back."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import ChannelFilter, MomentFilter, YuanFilter, status_filter
from payments.models import Refund
from payments.states import RefundStatus

NUMBER = cells.own_number(title=_("refund no."))
OUT_REFUND_NO = cells.column("out_refund_no", cells.number, title=_("merchant's refund no."))
CHANNEL_REFUND_NO = cells.column("channel_refund_no", cells.number, title=_("channel's number"))
SUCCEEDED = cells.column("succeeded_at", cells.moment, title=_("succeeded at"))


class PaymentChannelFilter(ChannelFilter):
    """A refund goes back over its payment's channel."""

    path = "payment__channel"


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = [
        NUMBER, OUT_REFUND_NO, columns.ORDER, columns.AMOUNT, columns.STATUS, CHANNEL_REFUND_NO,
        columns.CREATED_SORTED, SUCCEEDED, columns.NEXT_CHECK,
    ]  # fmt: skip
    list_filter = [
        status_filter(RefundStatus), PaymentChannelFilter, ("created_at", MomentFilter), ("amount_fen", YuanFilter),
    ]  # fmt: skip
    ordering = ["-created_at"]
    own_numbers = ("pk",)
    own_texts = ("out_refund_no", "channel_refund_no")
    app_path = "app"
    fieldsets = [
        (_("Refund"), {"fields": [
            (NUMBER, OUT_REFUND_NO), (columns.ORDER, columns.PAYMENT), (columns.AMOUNT, columns.STATUS),
            (CHANNEL_REFUND_NO, SUCCEEDED), ("reason", columns.FAILURE), (columns.APP, columns.VERSION),
            (columns.CREATED, columns.TRACE), columns.NOTIFY_URL,
        ]}),
        (_("Asking the channel"), {"fields": [
            (columns.NEXT_CHECK, columns.LAST_ANSWER),
            (columns.ASKED, cells.column("checks_count", cells.plain, title=_("checks since the last move"))),
            (cells.column("lease_until", cells.moment, title=_("held by a worker until")),
             cells.column("hinted_at", cells.moment, title=_("worker last woken at"))),
        ]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("app")
