"""What the gateway and the notifications say of a trade: states, amounts in yuan, times in Beijing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox import options
from sandbox.bills import local, yuan
from sandbox.clock import BEIJING
from sandbox.models import PayOrder, Refund

REFUNDABLE_FOR = timedelta(days=365)
LOGON_ID = "sdb***@sandbox.test"
SELLER_EMAIL = "seller@sandbox.test"
FUND_CHANNEL = "ALIPAYACCOUNT"


def trade_no(order: PayOrder, now: datetime) -> str:
    """28 digits, given out when the trade comes to be and not when it is paid."""
    return f"{now.astimezone(BEIJING):%Y%m%d}22001{order.pk:015d}"


def sent_back(order: PayOrder) -> int:
    """The cumulative refund in fen: what has really left the seller."""
    done = (Refund.SUCCESS, Refund.ABNORMAL)
    return sum(Refund.objects.filter(order=order, status__in=done).values_list("refund_fen", flat=True))


def trade_status(order: PayOrder, *, now: datetime) -> str:
    if order.is_unpaid:
        return "WAIT_BUYER_PAY"
    if not order.is_paid or sent_back(order) == order.total_fen:
        return "TRADE_CLOSED"
    is_over = order.success_time is not None and now > order.success_time + REFUNDABLE_FOR
    return "TRADE_FINISHED" if is_over else "TRADE_SUCCESS"


def buyer(order: PayOrder, *, in_notice: bool = False) -> dict[str, str]:
    """Who paid, named as the app is used to."""
    if not order.openid:
        return {"buyer_logon_id": LOGON_ID}
    by_user_id = "buyer_id" if in_notice else "buyer_user_id"
    named = by_user_id if options.get("alipay_user_ids") or order.openid.startswith("2088") else "buyer_open_id"
    return {"buyer_logon_id": LOGON_ID, named: order.openid}


def paid_amounts(order: PayOrder) -> dict[str, str]:
    """All zero until it is paid."""
    paid = yuan(order.total_fen if order.success_time else 0)
    names = ("receipt_amount", "buyer_pay_amount", "invoice_amount")
    return dict.fromkeys(names, paid) | {"point_amount": yuan(0)}


def numbers(order: PayOrder) -> dict[str, str]:
    found = {"out_trade_no": order.out_trade_no}
    return found | ({"trade_no": order.transaction_id} if order.transaction_id else {})


def trade(order: PayOrder, *, now: datetime) -> dict[str, Any]:
    """The answer of alipay.trade.query."""
    body: dict[str, Any] = {
        **numbers(order),
        **buyer(order),
        **paid_amounts(order),
        "trade_status": trade_status(order, now=now),
        "total_amount": yuan(order.total_fen),
    }
    if order.facts.get("store_id"):
        body["store_id"] = order.facts["store_id"]
    if order.success_time is None:
        return body
    return body | {"send_pay_date": local(order.success_time), "fund_bill_list": fund_bills(order)}


def payment(order: PayOrder) -> dict[str, Any]:
    """The answer of alipay.trade.pay to a payment that is done."""
    return {
        **numbers(order),
        **buyer(order),
        **paid_amounts(order),
        "total_amount": yuan(order.total_fen),
        "gmt_payment": local(order.success_time),
        "fund_bill_list": fund_bills(order),
    }


def fund_bills(order: PayOrder) -> Sequence[dict[str, str]]:
    return [{"amount": yuan(order.total_fen), "fund_channel": FUND_CHANNEL}]
