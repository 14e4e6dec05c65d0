"""The answer to a create: what the payer's page or picture needs."""

from datetime import datetime
from typing import Any

from payments import queries
from payments.api.presenters import present_order
from payments.api.wechatpay.errors import Refused, channel_refusal
from payments.models import Order
from payments.states import ORDER_PAID, OrderStatus

_CLOSED = frozenset({OrderStatus.CLOSED, OrderStatus.CLOSING})


def present_prepay(order: Order, *, now: datetime) -> dict[str, Any]:
    """`prepay_id` or `code_url`, signed at `now`. Raises Refused when the order cannot be paid, or not yet for all we
    know: then the same request may be sent again.
    """
    status = queries.decided_status(order)
    if status == OrderStatus.FAILED:
        raise channel_refusal(order.failure_code)
    if status in ORDER_PAID:
        raise Refused("OUT_TRADE_NO_USED", "订单已支付")
    if status in _CLOSED:
        raise Refused("ORDER_CLOSED")
    shown = present_order(order, now=now)
    if shown["code_url"]:
        return {"code_url": shown["code_url"]}
    if shown["jsapi"]:
        # The page's parameters are signed with the key that WeChat Pay knows, and that one is with us: their own
        # program cannot sign them (docs/adr/0016-who-signs-the-payers-page.md).
        return {
            "prepay_id": shown["jsapi"]["package"].removeprefix("prepay_id="),
            "fenpay": {"jsapi": shown["jsapi"], "cashier_url": shown["cashier_url"]},
        }
    raise Refused("SYSTEM_ERROR")
