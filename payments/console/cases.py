"""Cases: trouble that a person must see."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.filters import MomentFilter, choices_filter, status_filter
from payments.models import Case
from payments.money import yuan_text

OPENED = cells.column("opened_at", cells.moment, title=_("opened at"), order_by="opened_at")
KIND = cells.column("get_kind_display", lambda display: cells.badge(display(), tone="warn"), title=_("kind"))
NUMBER = cells.own_number(title=_("case"))
SEEN = cells.column("seen_count", cells.plain, title=_("times seen"))


def _in_yuan(details: dict[str, Any]) -> str:
    """The details, with amounts as yuan: `expected_fen: 4030` reads `expected: "40.30 CNY"`."""
    return cells.document(dict(_fact_in_yuan(name, value) for name, value in details.items()))


def _fact_in_yuan(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_fen") and isinstance(value, int):
        return name.removesuffix("_fen"), f"{yuan_text(value)} CNY"
    return name, value


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    list_display = [NUMBER, KIND, columns.STATUS, columns.ORDER, columns.PAYMENT, columns.REFUND, SEEN, OPENED]
    list_filter = [status_filter([*Case.Status.values]), choices_filter(Case.Kind), ("opened_at", MomentFilter)]
    ordering = ["-opened_at"]
    own_numbers = ("pk",)
    fieldsets = [
        (None, {"fields": [
            (NUMBER, columns.STATUS), (KIND, OPENED), (columns.ORDER, columns.PAYMENT),
            (columns.REFUND, columns.ACCOUNT), SEEN,
            cells.column("details", _in_yuan, title=_("details")),
        ]}),
    ]  # fmt: skip
