"""What a person decides about a case: written down with a name, and done by the same graph and ledger as everything."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from payments.errors import PaymentsError
from payments.models import Case, Order, Payment, Refund
from payments.operations.notices import owe_late_decision
from payments.operations.returns import return_late


class CaseResolved(PaymentsError):
    """The case is resolved already."""

    code = "CASE_RESOLVED"


class NotThatKind(PaymentsError):
    """This decision does not fit this kind of case."""

    code = "CASE_OF_ANOTHER_KIND"


def resolve_case(*, case_id: int, note: str, by: str, now: datetime) -> None:
    """Somebody has looked at it; `note` says what was found and done. Raises CaseResolved."""
    _decide(case_id, resolution=note, by=by, now=now)


def give_late_payment_back(*, case_id: int, by: str, now: datetime) -> Refund:
    """Refund a late payment whole. Raises NotThatKind, CaseResolved, RefundExceedsPaid."""
    done: list[Refund] = []

    def give_back(case: Case, order: Order) -> str:
        if case.kind != Case.Kind.PAID_LATE or case.payment_id is None:
            raise NotThatKind
        done.append(return_late(Payment.lock(case.payment_id), order=order, now=now))
        return f"refund {done[0].pk}"

    _decide(case_id, resolution=give_back, by=by, now=now)
    return done[0]


def _decide(case_id: int, *, resolution: str | Callable[[Case, Order], str], by: str, now: datetime) -> None:
    """Under the order's lock, so that of two persons exactly one decides."""
    with transaction.atomic(durable=True):
        order_no = Case.objects.values_list("order_id", flat=True).get(pk=case_id)
        order = Order.lock(order_no) if order_no else None
        case = Case.lock(case_id)
        if case.status != Case.Status.OPEN:
            raise CaseResolved
        if isinstance(resolution, str):
            case.resolve(resolution=resolution, by=by, now=now)
        elif order is None:
            raise NotThatKind
        else:
            case.resolve(resolution=resolution(case, order), by=by, now=now)
        if order is not None and case.kind == Case.Kind.PAID_LATE:
            owe_late_decision(order, now=now)  # nothing when the money goes back
