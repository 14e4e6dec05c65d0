"""How the merchant sees things: ids as strings, money in yuan and in fen, and when to ask again."""

from datetime import datetime
from typing import Any

from openplatform.envelopes import seal_envelope
from openplatform.keyring import find_recipient
from payments import queries
from payments.models import Order, Payment, Refund
from payments.operations.accounts import cashier_url, open_account
from payments.operations.notices import moment, order_data, refund_data
from payments.operations.schedules import resolve_by
from payments.states import ORDER_OPEN, REFUND_OPEN, OrderStatus, PaymentStatus, RefundStatus

ADDRESSES = {"code_url", "h5_url", "pay_url"}


def present_order(order: Order, *, now: datetime) -> dict[str, Any]:
    """An order with what the payer's page needs, signed at `now`, while it can be paid."""
    payment = queries.visible_payment(order)
    data = {
        "app_id": str(order.app_id),
        **order_data(order),
        "payer": None,
        "cashier_url": cashier_url(order),
        "jsapi": None,
        "app": None,
        "code_url": None,
        "h5_url": None,
        "pay_url": None,
        "next_check_at": None,
        "resolve_by": None,
        "trace_id": order.trace_id or None,
    }
    if payment is None:
        return data
    data["payer"] = _sealed_payer(payment, app_id=order.app_id, now=now)
    is_payable = (order.status, payment.status) == (OrderStatus.PAYING, PaymentStatus.PAYING)
    if is_payable and payment.prepay and not payment.prepay_has_run_out(now=now):
        page = open_account(payment.account).page_parameters(payment.prepay, now=now)
        data |= _for_the_page(page, method=payment.method)
    if OrderStatus(order.status) in ORDER_OPEN:
        data |= {"next_check_at": moment(payment.next_check_at), "resolve_by": moment(resolve_by(order.expires_at))}
    return data


def _for_the_page(page: dict[str, str], *, method: str) -> dict[str, Any]:
    """Under the name that says where it goes: an address as it is, or the values for a bridge or an app's SDK."""
    if page.keys() & ADDRESSES:
        return dict(page)
    return {"app": page} if method == "app" else {"jsapi": page}


def _sealed_payer(payment: Payment, *, app_id: int, now: datetime) -> str | None:
    """Who pays, encrypted to the app's own key. Nobody is told in clear, not even over TLS: bodies end in logs."""
    recipient = find_recipient(app_id=app_id, now=now)
    if recipient is None or not payment.payer_id:
        return None
    return seal_envelope({"openid": payment.payer_id}, to=recipient)


def present_refund(refund: Refund) -> dict[str, Any]:
    return {
        "app_id": str(refund.app_id),
        **refund_data(refund),
        "next_check_at": moment(refund.next_check_at) if RefundStatus(refund.status) in REFUND_OPEN else None,
        "trace_id": refund.trace_id or None,
    }
