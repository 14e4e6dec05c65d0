"""Notifications to merchants: owed with the state they tell, encrypted once, signed afresh at every attempt.

Delivered is 200 or 204 within five seconds; anything else is repeated fifteen times in about a day (compressible).
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import requests
from django.db import connection

from sandbox import clock, crypto, options, runtime
from sandbox.clock import BEIJING, rfc3339
from sandbox.faults import ORDINARY_NOTICE, NoticePlan, Subject, notice_from
from sandbox.identity import Merchant
from sandbox.models import Attempt, Notification, PayOrder, Refund
from sandbox.store import writing
from sandbox.wechatpay import bodies, signing

REPEAT_AFTER_S = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600)
ANSWER_WITHIN_S = 5.0
ANSWER_BYTES_MAX = 2_048
LOOK_EVERY_S = 0.02
_SUMMARIES = {"SUCCESS": "退款成功", "ABNORMAL": "退款异常", "CLOSED": "退款关闭"}
log = logging.getLogger("sandbox.notifications")


@dataclass(frozen=True, kw_only=True)
class _Reply:
    status: int  # 0: no HTTP answer
    body: str
    error: str
    latency_ms: int


def owe_payment(order: PayOrder, *, now: datetime) -> None:
    """Inside the transaction that made the order paid."""
    subject = Subject(operation="notify_payment", number=order.out_trade_no, amount_fen=order.total_fen)
    _owe(
        subject=subject,
        mchid=order.mchid,
        url=order.notify_url,
        kind=("TRANSACTION.SUCCESS", "transaction", "支付成功"),
        content=bodies.transaction(order),
        now=now,
    )


def owe_refund(refund: Refund, *, now: datetime) -> None:
    """Inside the transaction that settled the refund. Without a notify_url in the refund nothing is sent."""
    if not refund.notify_url:
        return
    subject = Subject(operation="notify_refund", number=refund.out_refund_no, amount_fen=refund.refund_fen)
    _owe(
        subject=subject,
        mchid=refund.mchid,
        url=refund.notify_url,
        kind=(f"REFUND.{refund.status}", "refund", _SUMMARIES[refund.status]),
        content=bodies.refund_notice(refund),
        now=now,
    )


def send_due(*, now: datetime, room: int) -> int:
    """Start at most `room` deliveries that are due, each on a thread of its own. Returns how many."""
    due = Notification.objects.filter(state=Notification.WAITING, next_at__lte=now).order_by("next_at")[:room]
    claimed = [notification for notification in due if _claim(notification)]
    for notification in claimed:
        threading.Thread(target=_deliver_on_thread, args=(notification,), daemon=True).start()
    return len(claimed)


def deliver_now(*, order: PayOrder) -> None:
    """Have the order's notification attempted once before this returns: the callback that overtakes the response."""
    owed = Notification.objects.filter(mchid=order.mchid, number=order.out_trade_no, attempt_count=0)
    until = time.monotonic() + ANSWER_WITHIN_S
    while time.monotonic() < until and not runtime.stopping.is_set():
        waiting = owed.exclude(state=Notification.HELD).first()
        if waiting is None:
            return
        if _claim(waiting):
            deliver(waiting)
        else:  # the background was quicker: wait for it to end
            runtime.stopping.wait(LOOK_EVERY_S)


def resend(notification: Notification, *, now: datetime) -> None:
    """One more round from now on, whatever became of it before."""
    with writing():
        notification.state, notification.next_at = Notification.WAITING, now
        notification.save(update_fields=["state", "next_at"])
    runtime.wake.set()


def recover() -> None:
    """At the start of the process: what was being sent when the last one ended is due again."""
    with writing():
        Notification.objects.filter(state=Notification.SENDING).update(state=Notification.WAITING)


def deliver(notification: Notification) -> None:
    """One attempt (in as many copies as the plan wants), and what follows from it."""
    plan = notice_from(notification.plan)
    replies: list[_Reply] = []
    copies = [
        threading.Thread(target=lambda: replies.append(_post(notification, plan)), daemon=True)
        for _ in range(plan.copies)
    ]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join()
    _record(notification, replies, now=clock.now())


def _owe(
    *, subject: Subject, mchid: str, url: str, kind: tuple[str, str, str], content: dict[str, Any], now: datetime
) -> None:
    from sandbox.wechatpay.endpoint import choose  # noqa: PLC0415 - the operations of endpoint reach here

    plan = choose(subject).notice
    merchant = signing.platform().merchant(mchid)
    if merchant is None:
        raise LookupError(mchid)
    event_type, original_type, summary = kind
    notification = Notification.objects.create(
        mchid=mchid,
        number=subject.number,
        event_type=event_type,
        url=url,
        plan={} if plan == ORDINARY_NOTICE else asdict(plan),
        state=Notification.HELD if plan.never else Notification.WAITING,
        created_at=now,
        next_at=None if plan.never else now + timedelta(seconds=options.compressed(plan.delay_s)),
    )
    notification.event_id = f"EV-{now.astimezone(BEIJING):%Y%m%d%H%M%S}{notification.pk:07d}"
    envelope = {
        "id": notification.event_id,
        "create_time": rfc3339(now),
        "event_type": event_type,
        "resource_type": "encrypt-resource",
        "summary": summary,
        "resource": _resource(_altered(content, plan), merchant=merchant, original_type=original_type, plan=plan),
    }
    notification.body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
    notification.save()


def _resource(
    content: Mapping[str, Any], *, merchant: Merchant, original_type: str, plan: NoticePlan
) -> dict[str, str]:
    nonce = crypto.gcm_nonce()
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


def _altered(content: dict[str, Any], plan: NoticePlan) -> dict[str, Any]:
    return _ALTERATIONS[plan.alters](content)


def _wrong_amount(content: dict[str, Any]) -> dict[str, Any]:
    whole = {name: value + 1 if isinstance(value, int) else value for name, value in content["amount"].items()}
    return content | {"amount": whole}


_ALTERATIONS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "": lambda content: content,
    "amount": _wrong_amount,
    "mchid": lambda content: content | {"mchid": "1900999999"},
    "appid": lambda content: content | {"appid": "wxffffffffffffffff"},
    "unknown_order": lambda content: content | {"out_trade_no": "SANDBOXNOSUCHORDER"},
}


def _claim(notification: Notification) -> bool:
    """Nobody else may send it at the same time."""
    with writing():
        mine = Notification.objects.filter(pk=notification.pk, state=Notification.WAITING)
        return bool(mine.update(state=Notification.SENDING))


def _deliver_on_thread(notification: Notification) -> None:
    try:
        deliver(notification)
    finally:
        connection.close()
        runtime.wake.set()


def _post(notification: Notification, plan: NoticePlan) -> _Reply:
    flawed = plan.sign and (plan.bad_attempts == 0 or notification.attempt_count < plan.bad_attempts)
    body = notification.body.encode()
    headers = signing.headers(body, key=signing.notification_key(), flaw=plan.sign if flawed else "")
    headers |= {"Content-Type": "application/json", "Accept": "*/*", "User-Agent": "Mozilla/4.0"}
    started = time.monotonic()
    status, text, error = _send(notification.url, body=body, headers=headers)
    return _Reply(status=status, body=text, error=error, latency_ms=int((time.monotonic() - started) * 1000))


def _send(url: str, *, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, str]:
    """Returns (status, beginning of the body, error). A redirect is an answer like any other and never followed."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.post(
                url, data=body, headers=headers, timeout=ANSWER_WITHIN_S, allow_redirects=False, stream=True
            )
            with response:
                return response.status_code, _beginning(response), ""
        except requests.RequestException as problem:
            return 0, "", type(problem).__name__


def _beginning(response: requests.Response) -> str:
    chunk = next(response.iter_content(ANSWER_BYTES_MAX), b"")
    return chunk.decode(errors="replace")


def _record(notification: Notification, replies: list[_Reply], *, now: datetime) -> None:
    accepted = any(reply.status in {200, 204} for reply in replies)
    with writing():
        if not Notification.objects.filter(pk=notification.pk).exists():
            return  # forgotten meanwhile by a reset
        for reply in replies:
            Attempt.objects.create(notification=notification, at=now, **asdict(reply))
        done = notification.attempt_count
        notification.attempt_count = done + 1
        notification.next_at = None
        if accepted:
            notification.state = Notification.DELIVERED
        elif done < len(REPEAT_AFTER_S):
            notification.state = Notification.WAITING
            notification.next_at = now + timedelta(seconds=options.compressed(REPEAT_AFTER_S[done]))
        else:
            notification.state = Notification.EXHAUSTED
        notification.save(update_fields=["attempt_count", "state", "next_at"])
    shown = ", ".join(str(reply.status or reply.error) for reply in replies)
    log.info("%s %s to %s: %s", notification.event_type, notification.number, notification.url, shown)
