"""Alipay's notifications: a form, signed afresh at every attempt, sent eight times in about a day."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sandbox import clock, crypto, notices, options
from sandbox.alipay import bodies, messages, signing
from sandbox.bills import local, yuan
from sandbox.clock import BEIJING
from sandbox.faults import Subject
from sandbox.models import Notification, PayOrder, Refund
from sandbox.plans import NoticePlan

REPEAT_AFTER_S = (240, 600, 600, 3600, 7200, 21_600, 54_000)
STALE = timedelta(days=1)

trade_no = bodies.trade_no


def owe_payment(order: PayOrder, *, now: datetime) -> None:
    """Inside the transaction that made the order paid. Without a notify_url nobody is told."""
    _owe(order, "notify_payment", order.out_trade_no, order.total_fen, "TRADE_SUCCESS", now=now)


def owe_refund(refund: Refund, *, now: datetime) -> None:
    """After a partial refund the same TRADE_SUCCESS comes once more, with the refund in it.

    A refund of the rest closes the trade, which the default subscription does not tell; nor is one that failed told.
    """
    order: PayOrder = refund.order
    is_whole = bodies.sent_back(order) == order.total_fen
    if refund.status == Refund.CLOSED or (is_whole and not options.get("alipay_notify_closed")):
        return
    more = {
        "out_biz_no": refund.out_refund_no,
        "refund_fee": yuan(bodies.sent_back(order)),
        "send_back_fee": yuan(refund.refund_fen),
        "gmt_refund": f"{local(now)}.{now.microsecond // 1000:03d}",
    }
    _owe(order, "notify_refund", refund.out_refund_no, refund.refund_fen, "TRADE_REFUND", now=now, more=more)


def owe_end(order: PayOrder, *, now: datetime) -> None:
    """TRADE_CLOSED of a trade that nobody paid, for those who have subscribed to it."""
    if options.get("alipay_notify_closed") and order.is_known and order.success_time is None:
        more = {"gmt_close": local(now)}
        _owe(order, "notify_payment", order.out_trade_no, order.total_fen, "TRADE_CLOSED", now=now, more=more)


def letter(notification: Notification, flaw: str) -> tuple[bytes, Mapping[str, str]]:
    """The form of one attempt. `notify_time` is that of the sending, `notify_id` stays."""
    sent_at = clock.now() - (STALE if flaw == "stale" else timedelta())
    params: dict[str, str] = json.loads(notification.body) | {"notify_time": local(sent_at), "sign_type": "RSA2"}
    in_cert_mode = notification.order is not None and bool(notification.order.facts.get("cert_mode"))
    key = signing.answer_key(in_cert_mode=in_cert_mode)
    if key.cert_sn:
        params["alipay_cert_sn"] = messages.UNKNOWN_CERT_SN if flaw == "unknown_serial" else key.cert_sn
    message = messages.notice_message(params)
    signature = crypto.sign(message + b" " if flaw == "wrong" else message, key=key.private_key)
    if flaw != "missing":
        params["sign"] = signature
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "User-Agent": "Mozilla/4.0"}
    return urlencode(params).encode(), headers


def _owe(
    order: PayOrder,
    operation: str,
    number: str,
    fen: int,
    event_type: str,
    *,
    now: datetime,
    more: Mapping[str, str] | None = None,
) -> None:
    if not order.notify_url:
        return
    notices.owe(
        subject=Subject(channel=order.channel, operation=operation, number=number, amount_fen=fen),
        order=order,
        url=order.notify_url,
        event_type=event_type,
        write=lambda notification, plan: _content(notification, plan, order, dict(more or {})),
        now=now,
    )


def _content(notification: Notification, plan: NoticePlan, order: PayOrder, more: dict[str, str]) -> str:
    """All but the time and the sign. Empty members are left out."""
    now = notification.created_at
    notification.event_id = (
        f"{now.astimezone(BEIJING):%Y%m%d}00222{now.astimezone(BEIJING):%H%M%S}{notification.pk:015d}"
    )
    content = {
        "notify_type": "trade_status_sync",
        "notify_id": notification.event_id,
        "charset": "utf-8",
        "version": "1.0",
        "app_id": order.appid,
        "auth_app_id": order.appid,
        **bodies.numbers(order),
        **bodies.buyer(order, in_notice=True),
        **bodies.paid_amounts(order),
        "seller_id": order.mchid,
        "seller_email": bodies.SELLER_EMAIL,
        "trade_status": bodies.trade_status(order, now=now),
        "subject": order.description,
        "body": order.facts.get("body", ""),
        "total_amount": yuan(order.total_fen),
        "gmt_create": local(order.created_at),
        "gmt_payment": local(order.success_time),
        "fund_bill_list": _fund_bills(order),
        "passback_params": order.attach,
        **more,
    }
    kept = {name: value for name, value in content.items() if value}
    return json.dumps(_ALTERATIONS[plan.alters](kept), ensure_ascii=False)


def _fund_bills(order: PayOrder) -> str:
    """JSON inside the form, in camelCase here."""
    if order.success_time is None:
        return ""
    bill = [{"amount": yuan(order.total_fen), "fundChannel": bodies.FUND_CHANNEL}]
    return json.dumps(bill, separators=(",", ":"))


def _wrong_amount(content: dict[str, Any]) -> dict[str, Any]:
    """One fen more, in every amount that is one."""
    names = ("total_amount", "receipt_amount", "buyer_pay_amount", "invoice_amount", "refund_fee", "send_back_fee")
    return notices.altered(content, dict.fromkeys(names, _one_fen_more))


def _one_fen_more(amount: str) -> str:
    return yuan(int(amount.replace(".", "")) + 1)


_ALTERATIONS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "": lambda content: content,
    "amount": _wrong_amount,
    "mchid": lambda content: content | {"seller_id": "2088999999999999"},
    "appid": lambda content: content | {"app_id": "2021999999999999"},
    "unknown_order": lambda content: content | {"out_trade_no": "SANDBOXNOSUCHORDER"},
}
