"""Sending what is owed: claimed once, posted in as many copies as planned, recorded, repeated on a schedule."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import requests
from django.db import connection

from sandbox import clock, notices, options, runtime
from sandbox.channels import CHANNELS
from sandbox.models import Attempt, Notification, PayOrder
from sandbox.plans import NoticePlan, notice_from
from sandbox.store import writing

ANSWER_WITHIN_S = 5.0
ANSWER_BYTES_MAX = 2_048
LOOK_EVERY_S = 0.02
log = logging.getLogger("sandbox.deliveries")


@dataclass(frozen=True, kw_only=True)
class _Reply:
    status: int  # 0: no HTTP answer
    body: str
    error: str
    latency_ms: int


def send_due(*, now: datetime, room: int) -> int:
    """Start at most `room` deliveries that are due, each on a thread of its own. Returns how many."""
    due = Notification.objects.filter(state=Notification.WAITING, next_at__lte=now).order_by("next_at")[:room]
    claimed = [notification for notification in due if _claim(notification)]
    for notification in claimed:
        threading.Thread(target=_deliver_on_thread, args=(notification,), daemon=True).start()
    return len(claimed)


def deliver_now(*, order: PayOrder) -> None:
    """Have the order's notification attempted once before this returns: the callback that overtakes the response."""
    owed = Notification.objects.filter(order=order, attempt_count=0)
    until = time.monotonic() + ANSWER_WITHIN_S
    while time.monotonic() < until and not runtime.stopping.is_set():
        waiting = owed.exclude(state=Notification.HELD).first()
        if waiting is None:
            return
        if _claim(waiting):
            deliver(waiting)
        else:  # the background was quicker: wait for it to end
            runtime.stopping.wait(LOOK_EVERY_S)


def recover() -> None:
    """At the start of the process: what was being sent when the last one ended is due again."""
    with writing():
        Notification.objects.filter(state=Notification.SENDING).update(state=Notification.WAITING)


def deliver(notification: Notification) -> None:
    """One attempt (in as many copies as the plan wants), and what follows from it."""
    plan = notice_from(notification.plan)
    replies: list[_Reply] = []
    copies = [
        threading.Thread(target=_post_on_thread, args=(notification, plan, replies), daemon=True)
        for _ in range(plan.copies)
    ]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.join()
    _record(notification, replies, now=clock.now())


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


def _post_on_thread(notification: Notification, plan: NoticePlan, replies: list[_Reply]) -> None:
    try:
        replies.append(_post(notification, plan))
    finally:
        connection.close()


def _post(notification: Notification, plan: NoticePlan) -> _Reply:
    flawed = plan.sign and (plan.bad_attempts == 0 or notification.attempt_count < plan.bad_attempts)
    body, headers = CHANNELS[notification.channel].letter(notification, plan.sign if flawed else "")
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
    channel = CHANNELS[notification.channel]
    accepted = any(channel.accepts(reply.status, reply.body) for reply in replies)
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
        elif done < len(channel.repeat_after_s):
            notification.state = Notification.WAITING
            notification.next_at = now + timedelta(seconds=options.compressed(channel.repeat_after_s[done]))
        else:
            notification.state = Notification.EXHAUSTED
        notification.save(update_fields=["attempt_count", "state", "next_at"])
        notices.release_overtaken(notification, now=now)
    shown = ", ".join(str(reply.status or reply.error) for reply in replies)
    log.info("%s %s to %s: %s", notification.event_type, notification.number, notification.url, shown)
