"""Orders and refunds in WeChat Pay's words, as answers and notifications show them to clients of theirs.

Source: pay.weixin.qq.com/doc/v3/merchant/4012791859 (query), 4012791861 (told), 4013071041 and 4013071193 (refund).
What we do not know is not said: which bank paid, which coupons were used, which account a refund reached.
"""

from datetime import datetime
from typing import Any

from openplatform.apiv3 import beijing
from payments.models import Order, Refund
from payments.queries import decided_status
from payments.states import OrderStatus, RefundStatus

# Orders of our own door are shown too, and that one knows more methods.
TRADE_TYPES = {"jsapi": "JSAPI", "native": "NATIVE", "app": "APP", "h5": "MWEB", "barcode": "MICROPAY"}
# An order that is open is one that the payer has not paid yet: theirs has no word for not knowing.
_TRADE_STATES = {
    OrderStatus.SUCCEEDED: "SUCCESS",
    OrderStatus.SUCCEEDED_LATE: "SUCCESS",
    OrderStatus.CLOSED: "CLOSED",
    OrderStatus.FAILED: "PAYERROR",
}
_TRADE_STATE_TEXTS = {
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款",
    "NOTPAY": "订单未支付",
    "CLOSED": "订单已关闭",
    "PAYERROR": "支付失败：渠道拒绝下单",
}
_REFUND_STATES = {
    RefundStatus.SUCCEEDED: "SUCCESS",
    RefundStatus.FAILED: "CLOSED",
    RefundStatus.ABNORMAL: "ABNORMAL",
}
_PAID_STATES = frozenset({"SUCCESS", "REFUND"})
# Our event: theirs, and its summary. An order that is closed or refused is none of their events.
_ORDER_EVENTS = dict.fromkeys(("order.succeeded", "order.succeeded_late"), ("TRANSACTION.SUCCESS", "支付成功"))
_REFUND_EVENTS = {
    "refund.succeeded": ("REFUND.SUCCESS", "退款成功"),
    "refund.succeeded_late": ("REFUND.SUCCESS", "退款成功"),
    "refund.failed": ("REFUND.CLOSED", "退款关闭"),
    "refund.abnormal": ("REFUND.ABNORMAL", "退款异常"),
}


def trade(order: Order) -> dict[str, Any]:
    """The answer to a query, and what a notification of a payment holds."""
    payment = order.shown_payment()
    if payment is None:
        raise LookupError("an order without a payment cannot be placed")
    state = _trade_state(order)
    found: dict[str, Any] = {
        "appid": payment.account.settings["appid"],
        "mchid": str(order.app_id),
        "out_trade_no": order.out_trade_no,
        "trade_type": TRADE_TYPES[order.method],
        "trade_state": state,
        "trade_state_desc": _TRADE_STATE_TEXTS[state],
        "attach": order.metadata.get("attach", ""),
        "amount": {
            "total": order.amount_fen, "payer_total": order.amount_fen,
            "currency": order.currency, "payer_currency": order.currency,
        },
    }  # fmt: skip
    if payment.payer_id and order.method == "jsapi":  # of a bar code it is the code, which pays
        found["payer"] = {"openid": payment.payer_id}
    if state in _PAID_STATES:
        found |= {
            "transaction_id": payment.channel_trade_no, "success_time": _moment(payment.paid_at), "bank_type": "OTHERS",
        }  # fmt: skip
    return found


def refund(refund: Refund) -> dict[str, Any]:
    """The answer to a refund and to a query of it."""
    return {
        **_of_refund(refund),
        "channel": "ORIGINAL",
        "create_time": beijing(refund.created_at),
        "status": _refund_state(refund),
        "amount": _amount(refund)
        | {
            "settlement_total": refund.order.amount_fen, "settlement_refund": refund.amount_fen, "discount_refund": 0,
            "currency": refund.order.currency, "from": [],
        },
    }  # fmt: skip


def told(row: Order | Refund, *, event_type: str) -> dict[str, Any] | None:
    """What the envelope of a notification needs; None for an event that WeChat Pay has no word for."""
    events = _ORDER_EVENTS if isinstance(row, Order) else _REFUND_EVENTS
    if event_type not in events or (isinstance(row, Refund) and not row.counts_on_order):
        return None  # a second payment that went back by itself never was the order's money
    if isinstance(row, Order) and _trade_state(row) != "SUCCESS":
        return None  # a late payment that goes back, or waits for a person: programs ship on their word for it
    event, summary = events[event_type]
    kind, resource = ("transaction", trade(row)) if isinstance(row, Order) else ("refund", _told_refund(row))
    return {"event_type": event, "summary": summary, "original_type": kind, "resource": resource}


def _told_refund(refund: Refund) -> dict[str, Any]:
    """A notification names the status otherwise than an answer does, and says less."""
    return {
        "mchid": str(refund.app_id), **_of_refund(refund), "refund_status": _refund_state(refund),
        "amount": _amount(refund),
    }  # fmt: skip


def _of_refund(refund: Refund) -> dict[str, Any]:
    found: dict[str, Any] = {
        "out_refund_no": refund.out_refund_no,
        "transaction_id": refund.payment.channel_trade_no,
        "out_trade_no": refund.order.out_trade_no,
        "user_received_account": "原支付账户",
    }
    if refund.channel_refund_no:
        found["refund_id"] = refund.channel_refund_no
    if refund.succeeded_at:
        found["success_time"] = beijing(refund.succeeded_at)
    return found


def _amount(refund: Refund) -> dict[str, Any]:
    total, returned = refund.order.amount_fen, refund.amount_fen
    return {"total": total, "refund": returned, "payer_total": total, "payer_refund": returned}


def _trade_state(order: Order) -> str:
    """REFUND after any refund, also a partial one and one that is still on its way. Late money that waits for a person
    is not told: the order still is what it was.
    """
    state = _TRADE_STATES.get(decided_status(order), "NOTPAY")
    return "REFUND" if state == "SUCCESS" and order.refunded_fen + order.refund_reserved_fen else state


def _refund_state(refund: Refund) -> str:
    return _REFUND_STATES.get(RefundStatus(refund.status), "PROCESSING")


def _moment(at: datetime | None) -> str | None:
    return beijing(at) if at else None
