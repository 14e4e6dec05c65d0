"""The model's callbacks: signed JSON to backUrl until the answer is `success`."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sandbox import notices
from sandbox.clock import BEIJING
from sandbox.faults import Subject
from sandbox.models import Notification, PayOrder, Refund
from sandbox.plans import NoticePlan
from sandbox.unionpay import signing

REPEAT_AFTER_S = (60, 120, 300, 900, 3600)


def trade_no(order: PayOrder, now: datetime) -> str:
    """The channel's transIndex."""
    return f"{now.astimezone(BEIJING):%Y%m%d}88{order.pk:014d}"


def owe_payment(order: PayOrder, *, now: datetime) -> None:
    """Inside the transaction that made the order paid."""
    if not order.notify_url:
        return
    notices.owe(
        subject=Subject(
            channel=order.channel, operation="notify_payment", number=order.out_trade_no, amount_fen=order.total_fen
        ),
        order=order,
        url=order.notify_url,
        event_type="PAY",
        write=lambda notification, plan: _content(notification, plan, order),
        now=now,
    )


def owe_refund(refund: Refund, *, now: datetime) -> None:
    """The model tells nobody of refunds: they are asked about."""


def letter(notification: Notification, flaw: str) -> tuple[bytes, Mapping[str, str]]:
    params = signing.signed(json.loads(notification.body), flaw=flaw)
    body = json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode()
    return body, {"Content-Type": "application/json; charset=utf-8"}


def _content(notification: Notification, plan: NoticePlan, order: PayOrder) -> str:
    notification.event_id = f"UP{notification.pk:012d}"
    content = {
        "merId": order.mchid,
        "orderNo": order.out_trade_no,
        "transIndex": order.transaction_id,
        "txnAmt": str(order.total_fen),
        "currencyCode": "156",
        "respCode": "00",
        "origRespCode": "00",
        "payTime": f"{notification.created_at.astimezone(BEIJING):%Y%m%d%H%M%S}",
        "userId": order.openid,
    }
    return json.dumps(_ALTERATIONS[plan.alters](content), ensure_ascii=False)


_ALTERATIONS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "": lambda content: content,
    "amount": lambda content: content | {"txnAmt": str(int(content["txnAmt"]) + 1)},
    "mchid": lambda content: content | {"merId": "898099999999999"},
    "appid": lambda content: content | {"merId": "898099999999999"},
    "unknown_order": lambda content: content | {"orderNo": "SANDBOXNOSUCHORDER"},
}
