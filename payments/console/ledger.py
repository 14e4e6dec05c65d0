"""The ledger: entries with their debit and credit lines."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import MomentFilter, choices_filter
from payments.console.timeline import ledger_lines
from payments.models import LedgerAccount, LedgerEntry

NUMBER = cells.own_number(title=_("entry no."))
AT = cells.column("created_at", cells.moment, title=_("at"))
KIND = cells.column("get_kind_display", lambda display: cells.plain(display()), title=_("kind"))


def postings(entry: LedgerEntry) -> str:
    return render_to_string("console/ledger_lines.html", {"lines": ledger_lines(entry)})


postings.short_description = _("debit and credit (yuan)")  # type: ignore[attr-defined]


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = [NUMBER, AT, KIND, columns.ORDER, postings]
    list_filter = [choices_filter(LedgerEntry.Kind), ("created_at", MomentFilter)]
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": [
            (NUMBER, AT), (KIND, columns.ORDER), (columns.PAYMENT, columns.REFUND), postings, columns.TRACE,
        ]}),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("postings")


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    """The pots. Their balances are sums over all postings and belong to the reports, not to a list."""

    list_display = [cells.own_number(title=_("code")), KIND]
    ordering = ["code"]
    own_texts = ("pk",)
    search_help_text = _("Code in full")
    order_path = app_path = ""
    fieldsets = [(None, {"fields": [(cells.own_number(title=_("code")), KIND)]})]
