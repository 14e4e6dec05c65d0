"""WeChat Pay's notifications: encrypted once, signed afresh at every attempt, repeated fifteen times in about a day."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sandbox import chance, crypto, notices
from sandbox.clock import BEIJING, rfc3339
from sandbox.faults import Subject
from sandbox.identity import Merchant
from sandbox.models import Notification, PayOrder, Refund
from sandbox.plans import NoticePlan
from sandbox.wechatpay import bodies, signing

REPEAT_AFTER_S = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600)
_SUMMARIES = {
    "TRANSACTION.SUCCESS": "支付成功",
    "REFUND.SUCCESS": "退款成功",
    "REFUND.ABNORMAL": "退款异常",
    "REFUND.CLOSED": "退款关闭",
}


def trade_no(order: PayOrder, now: datetime) -> str:
    """28 digits."""
    return f"4200000001{now.astimezone(BEIJING):%Y%m%d}{order.pk:010d}"


def owe_payment(order: PayOrder, *, now: datetime) -> None:
    """Inside the transaction that made the order paid. A bar-code payment has no notify_url and tells nobody."""
    if not order.notify_url:
        return
    notices.owe(
        subject=Subject(
            channel=order.channel, operation="notify_payment", number=order.out_trade_no, amount_fen=order.total_fen
        ),
        order=order,
        url=order.notify_url,
        event_type="TRANSACTION.SUCCESS",
        write=lambda notification, plan: _envelope(notification, plan, bodies.transaction(order)),
        now=now,
    )


def owe_refund(refund: Refund, *, now: datetime) -> None:
    """Inside the transaction that settled the refund. Without a notify_url in the refund nothing is sent."""
    if not refund.notify_url:
        return
    notices.owe(
        subject=Subject(
            channel=refund.channel, operation="notify_refund", number=refund.out_refund_no, amount_fen=refund.refund_fen
        ),
        order=refund.order,
        url=refund.notify_url,
        event_type=f"REFUND.{refund.status}",
        write=lambda notification, plan: _envelope(notification, plan, bodies.refund_notice(refund)),
        now=now,
    )


def letter(notification: Notification, flaw: str) -> tuple[bytes, Mapping[str, str]]:
    body = notification.body.encode()
    key = signing.notification_key(str(notification.event_id))
    headers = signing.headers(body, key=key, flaw=flaw)
    return body, headers | {"Content-Type": "application/json", "Accept": "*/*", "User-Agent": "Mozilla/4.0"}


def _envelope(notification: Notification, plan: NoticePlan, content: dict[str, Any]) -> str:
    now = notification.created_at
    notification.event_id = f"EV-{now.astimezone(BEIJING):%Y%m%d%H%M%S}{notification.pk:07d}"
    merchant = signing.platform().merchant(notification.mchid)
    if merchant is None:
        raise LookupError(notification.mchid)
    kind = "transaction" if notification.event_type.startswith("TRANSACTION") else "refund"
    envelope = {
        "id": notification.event_id,
        "create_time": rfc3339(now),
        "event_type": notification.event_type,
        "resource_type": "encrypt-resource",
        "summary": _SUMMARIES[notification.event_type],
        "resource": _resource(_ALTERATIONS[plan.alters](content), merchant=merchant, original_type=kind, plan=plan),
    }
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def _resource(
    content: Mapping[str, Any], *, merchant: Merchant, original_type: str, plan: NoticePlan
) -> dict[str, str]:
    nonce = chance.text("gcm_nonce", size=6)
    plaintext = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    sealed = crypto.seal(plaintext, key=merchant.apiv3_key.encode(), nonce=nonce, associated_data=original_type)
    if plan.tampers == "ciphertext":
        sealed = ("B" if sealed[0] == "A" else "A") + sealed[1:]
    return {
        "original_type": original_type,
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": sealed,
        "associated_data": "tampered" if plan.tampers == "aad" else original_type,
        "nonce": nonce,
    }


def _wrong_amount(content: dict[str, Any]) -> dict[str, Any]:
    whole = {name: value + 1 if isinstance(value, int) else value for name, value in content["amount"].items()}
    return content | {"amount": whole}


_ALTERATIONS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "": lambda content: content,
    "amount": _wrong_amount,
    "mchid": lambda content: notices.altered(content, dict.fromkeys(("mchid", "sp_mchid"), lambda _: "1900999999")),
    "appid": lambda content: notices.altered(
        content, dict.fromkeys(("appid", "sp_appid"), lambda _: "wxffffffffffffffff")
    ),
    "unknown_order": lambda content: content | {"out_trade_no": "SANDBOXNOSUCHORDER"},
}
