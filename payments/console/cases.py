"""Cases: trouble that a person must see."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from payments.console import cells, columns
from payments.console.base import ReadOnlyAdmin
from payments.console.confirm import Question, confirm
from payments.console.filters import MomentFilter, choices_filter, status_filter
from payments.models import Case
from payments.money import yuan_text
from payments.operations import cases

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
    actions_detail = ["give_back", "resolve"]
    fieldsets = [
        (None, {"fields": [
            (NUMBER, columns.STATUS), (KIND, OPENED), (columns.ORDER, columns.PAYMENT),
            (columns.REFUND, columns.ACCOUNT), SEEN,
            cells.column("details", _in_yuan, title=_("details")),
            cells.column("resolution", cells.plain, title=_("what was decided")),
            (cells.column("resolved_by", cells.plain, title=_("resolved by")),
             cells.column("resolved_at", cells.moment, title=_("resolved at"))),
        ]}),
    ]  # fmt: skip

    def has_resolve_permission(self, request: HttpRequest, object_id: object = None) -> bool:  # noqa: ARG002
        return bool(request.user.has_perm("payments.resolve_case"))

    @action(  # type: ignore[untyped-decorator]
        description=_("Mark as resolved"), url_path="resolve", permissions=["resolve"], icon="task_alt"
    )
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Somebody has looked at it, and says what was found and done."""
        by, note = request.user.get_username(), request.POST.get("note", "").strip()

        def act(case: Case) -> str:
            cases.resolve_case(case_id=case.pk, note=note or gettext("looked at"), by=by, now=timezone.now())
            return gettext("The case is resolved.")

        return confirm(self, request, object_id, question=_resolve_question, act=act)

    @action(  # type: ignore[untyped-decorator]
        description=_("Give the late payment back"), url_path="give-back", permissions=["resolve"], icon="undo"
    )
    def give_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Refund it whole; the case is resolved by that."""
        by = request.user.get_username()

        def act(case: Case) -> str:
            refund = cases.give_late_payment_back(case_id=case.pk, by=by, now=timezone.now())
            return gettext("Refund %(number)s is on its way.") % {"number": refund.pk}

        return confirm(self, request, object_id, question=_give_back_question, act=act)


def _resolve_question(case: Case) -> Question:
    return Question(
        title=gettext("Mark this case as resolved?"),
        text=gettext("No money moves by this. Say what was found and done: the next one who looks will want to know."),
        button=gettext("Mark as resolved"),
        answer=case.status,
        note_label=gettext("what was found and done"),
    )


def _give_back_question(case: Case) -> Question:
    amount = yuan_text(case.payment.amount_fen) if case.payment else "0.00"
    return Question(
        title=gettext("Give the late payment back?"),
        text=gettext("The payer gets %(amount)s CNY back, all of it. There is no way back.") % {"amount": amount},
        button=gettext("Refund %(amount)s CNY") % {"amount": amount},
        answer=case.status,
        is_dangerous=True,
    )
