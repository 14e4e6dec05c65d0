"""The JSON objects of orders and refunds, as queries answer them and notifications carry them."""

from typing import Any

from sandbox.clock import rfc3339
from sandbox.models import PayOrder, Refund

TRADE_TYPES = {"jsapi": "JSAPI", "native": "NATIVE", "h5": "MWEB", "app": "APP", "codepay": "MICROPAY"}
STATE_TEXTS = {
    PayOrder.SUCCESS: "支付成功",
    PayOrder.REFUND: "转入退款",
    PayOrder.NOTPAY: "订单未支付",
    PayOrder.CLOSED: "订单已关闭",
    PayOrder.USERPAYING: "用户支付中，需要输入密码",
    PayOrder.REVOKED: "订单已撤销",
    PayOrder.PAYERROR: "支付失败，请重新下单支付",
}
RECEIVED_BY = "支付用户零钱"


def names(order: PayOrder) -> dict[str, Any]:
    """Whose order it is; in partner mode with the prefixes sp_ and sub_."""
    if not order.sub_mchid:
        return {"appid": order.appid, "mchid": order.mchid}
    named = {"sp_appid": order.appid, "sp_mchid": order.mchid, "sub_mchid": order.sub_mchid}
    return named | ({"sub_appid": order.sub_appid} if order.sub_appid else {})


def _payer(order: PayOrder) -> dict[str, str]:
    if not order.sub_mchid:
        return {"openid": order.openid}
    return {"sub_openid" if order.facts.get("payer_is_sub") else "sp_openid": order.openid}


def transaction(order: PayOrder) -> dict[str, Any]:
    """The query's object; an order that was never paid has no transaction_id, payer, bank_type or success_time."""
    body: dict[str, Any] = names(order) | {
        "out_trade_no": order.out_trade_no,
        "trade_type": TRADE_TYPES[order.product],
        "trade_state": order.state,
        "trade_state_desc": STATE_TEXTS[order.state],
        "attach": order.attach,
        "amount": {"total": order.total_fen, "currency": "CNY"},
    }
    if order.transaction_id is None or order.success_time is None:
        return body
    amount = {"total": order.total_fen, "payer_total": order.total_fen, "currency": "CNY", "payer_currency": "CNY"}
    return body | {
        "transaction_id": order.transaction_id,
        "bank_type": "OTHERS",
        "success_time": rfc3339(order.success_time),
        "payer": _payer(order),
        "amount": amount,
    }


def refund(refund: Refund) -> dict[str, Any]:
    """The answer to a refund and to its query."""
    order: PayOrder = refund.order
    body: dict[str, Any] = {
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": order.transaction_id,
        "out_trade_no": order.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": RECEIVED_BY,
        "create_time": rfc3339(refund.created_at),
        "status": refund.status,
        "funds_account": "AVAILABLE",
        "amount": {
            "total": order.total_fen,
            "refund": refund.refund_fen,
            "payer_total": order.total_fen,
            "payer_refund": refund.refund_fen,
            "settlement_total": order.total_fen,
            "settlement_refund": refund.refund_fen,
            "discount_refund": 0,
            "currency": "CNY",
            "refund_fee": 0,
            "from": [],
        },
    }
    if refund.success_time is not None:
        body["success_time"] = rfc3339(refund.success_time)
    return body


def refund_notice(refund: Refund) -> dict[str, Any]:
    """What a refund notification carries: `refund_status`, not `status`; no channel, no create_time."""
    order: PayOrder = refund.order
    named = {"sp_mchid": order.mchid, "sub_mchid": order.sub_mchid} if order.sub_mchid else {"mchid": order.mchid}
    body: dict[str, Any] = named | {
        "out_trade_no": order.out_trade_no,
        "transaction_id": order.transaction_id,
        "out_refund_no": refund.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_status": refund.status,
        "user_received_account": RECEIVED_BY,
        "amount": {
            "total": order.total_fen,
            "refund": refund.refund_fen,
            "payer_total": order.total_fen,
            "payer_refund": refund.refund_fen,
        },
    }
    if refund.success_time is not None:
        body["success_time"] = rfc3339(refund.success_time)
    return body
