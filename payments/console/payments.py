"""Payments: each try on a channel."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from openplatform.tracing import trace_id_of
from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import ChannelFilter, MomentFilter, YuanFilter, status_filter
from payments.models import Payment
from payments.states import PaymentStatus


def masked(payer_id: str) -> str:
    """Enough to compare it with what a merchant or a payer names, not enough to use it."""
    return cells.plain(f"{payer_id[:4]}…{payer_id[-4:]}" if len(payer_id) >= 12 else "…" if payer_id else "")


NUMBER = cells.own_number(title=_("payment no."))
CHANNEL_TRADE_NO = cells.column("channel_trade_no", cells.number, title=_("channel's number"))
CHANNEL_PAID = cells.column("paid_at", cells.moment, title=_("paid at, as the channel says"))
TRACE = cells.column("traceparent", lambda value: cells.trace(trace_id_of(value)), title=_("trace"))


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = [
        NUMBER, columns.ORDER, columns.AMOUNT, columns.STATUS, columns.CHANNEL, CHANNEL_TRADE_NO,
        columns.CREATED, columns.NEXT_CHECK, columns.ASKED,
    ]  # fmt: skip
    list_filter = [
        status_filter(PaymentStatus), ChannelFilter, ("created_at", MomentFilter), ("amount_fen", YuanFilter),
    ]  # fmt: skip
    ordering = ["-payment_no"]  # numbers grow with time, and their index is there
    own_numbers = ("pk",)
    own_texts = ("channel_trade_no",)
    fieldsets = [
        (_("Payment"), {"fields": [
            (NUMBER, columns.ORDER), (columns.AMOUNT, columns.STATUS), (CHANNEL_TRADE_NO, CHANNEL_PAID),
            (columns.ACCOUNT, columns.CHANNEL),
            (columns.METHOD, cells.column("payer_id", masked, title=_("payer"))), (columns.CREATED, TRACE),
        ]}),
        (_("Asking the channel"), {"fields": [
            (columns.NEXT_CHECK, columns.LAST_ANSWER),
            (columns.ASKED, cells.column("checks_count", cells.plain, title=_("checks since the last move"))),
            (cells.column("recheck_at", cells.moment, title=_("asked again, ended unpaid, at")),
             cells.column("confirmed_unpaid_at", cells.moment, title=_("bills say unpaid since"))),
            cells.column("lease_until", cells.moment, title=_("held by a worker until")),
            (cells.column("hinted_at", cells.moment, title=_("worker last woken at")),
             cells.column("prepay_expires_at", cells.moment, title=_("prepay expires at"))),
            cells.column("prepay", cells.document, title=_("prepay")),
        ]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("account").defer("payer_sealed")
