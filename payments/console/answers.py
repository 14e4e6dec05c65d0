"""What an operator asks first about an order, answered before anything else on its page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from openplatform.lengths import length_text
from openplatform.models import Notification
from openplatform.models.notification import AttemptKind
from payments.console import cells, words
from payments.console.order_file import OrderFile
from payments.models import Door, Payment, Refund
from payments.money import yuan_text
from payments.states import ORDER_OPEN, ORDER_UNPAID, OrderStatus, PaymentStatus, RefundStatus

# A check that is overdue by more than this has nobody who does it: workers or beat are down.
OVERDUE = timedelta(minutes=2)


class Said(NamedTuple):
    tone: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`said` is the worst first; the first line is the answer, the others belong to it."""

    question: str
    said: list[Said]

    @property
    def tone(self) -> str:
        return self.said[0].tone


def answers(file: OrderFile, *, now: datetime) -> list[Answer]:
    """Was it paid, what do we wait for, when do we ask next, was the merchant told."""
    return [
        Answer(question=_("Was it paid?"), said=list(_paid(file))),
        Answer(question=_("What do we wait for?"), said=_worst_first(_waiting(file)) or [_nothing_awaited()]),
        Answer(question=_("When do we ask next?"), said=list(_next_check(file, now=now)) or [_never_asked_again()]),
        Answer(question=_("Was the merchant told?"), said=_worst_first(_told(file, now=now))),
    ]


def _worst_first(said: Iterator[Said]) -> list[Said]:
    return sorted(said, key=lambda line: ("bad", "warn", "busy", "quiet", "good").index(line.tone))


def _nothing_awaited() -> Said:
    return Said("good", _("Nothing: it is decided."))


def _never_asked_again() -> Said:
    return Said("quiet", _("Never: there is nothing left to ask."))


def _paid(file: OrderFile) -> Iterator[Said]:
    order, amount = file.order, yuan_text(file.order.amount_fen)
    match OrderStatus(order.status):
        case OrderStatus.SUCCEEDED:
            yield Said("good", _("Yes, %(yuan)s yuan") % {"yuan": amount})
        case OrderStatus.SUCCEEDED_LATE:
            yield Said("warn", _("Yes, %(yuan)s yuan, but after we had called it closed") % {"yuan": amount})
        case OrderStatus.CLOSED:
            yield Said("quiet", _("No: it is closed, and the channel confirmed it"))
        case OrderStatus.FAILED:
            yield Said("quiet", _("No: the channel refused it"))
        case OrderStatus.UNKNOWN | OrderStatus.CLOSING:
            yield Said("warn", _("Not known: the payer may have paid"))
        case _:
            yield Said("busy", _("Not yet"))
    yield from _paid_details(file)


def _paid_details(file: OrderFile) -> Iterator[Said]:
    for payment in file.payments:
        if payment.status == PaymentStatus.SUCCEEDED:
            facts = {"at": _clock(payment.paid_at), "number": payment.channel_trade_no}
            yield Said("quiet", _("paid at %(at)s, channel's number %(number)s") % facts)
    order = file.order
    if order.failure_code:
        yield Said("bad", _("refused: %(code)s") % {"code": order.failure_code})
    if order.refunded_fen:
        yield Said("quiet", _("%(yuan)s yuan returned") % {"yuan": yuan_text(order.refunded_fen)})
    if order.refund_reserved_fen:
        yield Said("busy", _("%(yuan)s yuan on the way back") % {"yuan": yuan_text(order.refund_reserved_fen)})


def _waiting(file: OrderFile) -> Iterator[Said]:
    for case in file.cases:
        if case.status == "open":
            yield Said("bad", _("A person: case “%(kind)s”") % {"kind": case.get_kind_display()})
    for payment in file.payments:
        if payment.is_open:
            yield _awaited_of_payment(payment, expires_at=file.order.expires_at)
    for refund in file.refunds:
        yield from _awaited_of_refund(refund)


def _awaited_of_payment(payment: Payment, *, expires_at: datetime) -> Said:
    asked = ngettext("asked once", "asked %(count)d times", payment.asked_count) % {"count": payment.asked_count}
    said = asked + (_(", last answer: %(answer)s") % {"answer": payment.last_answer} if payment.last_answer else "")
    match PaymentStatus(payment.status):
        case PaymentStatus.PAYING:
            return Said("busy", _("The payer, until %(at)s (%(asked)s)") % {"at": _clock(expires_at), "asked": said})
        case PaymentStatus.CLOSING:
            return Said("busy", _("The channel's word that it is closed (%(asked)s)") % {"asked": said})
        case PaymentStatus.UNKNOWN:
            return Said("warn", _("A clear answer of the channel (%(asked)s)") % {"asked": said})
        case _:
            return Said("busy", _("The channel's answer to our request (%(asked)s)") % {"asked": said})


def _awaited_of_refund(refund: Refund) -> Iterator[Said]:
    facts = {
        "yuan": yuan_text(refund.amount_fen), "number": refund.pk, "status": words.status_word(refund.status),
    }  # fmt: skip
    if refund.is_open and refund.status != RefundStatus.ABNORMAL:
        tone = "warn" if refund.status == RefundStatus.UNKNOWN else "busy"
        yield Said(tone, _("The channel, for a refund of %(yuan)s yuan: %(status)s (%(number)s)") % facts)
    elif refund.status == RefundStatus.ABNORMAL:
        yield Said("bad", _("A person, for a refund of %(yuan)s yuan: %(status)s (%(number)s)") % facts)


def _next_check(file: OrderFile, *, now: datetime) -> Iterator[Said]:
    rows: list[Payment | Refund] = [*file.payments, *file.refunds]
    due = [(row.next_check_at, row) for row in rows if row.is_open and row.next_check_at is not None]
    for at, row in sorted(due, key=lambda pair: pair[0]):
        yield _check(row, at=at, now=now)


def _check(row: Payment | Refund, *, at: datetime, now: datetime) -> Said:
    if row.lease_until is not None and row.lease_until > now:
        return Said("busy", _("A worker is asking right now"))
    what = _("payment") if isinstance(row, Payment) else _("refund")
    facts = {"what": what, "at": _clock(at), "span": length_text(abs(at - now))}
    if at > now:
        return Said("busy", _("In %(span)s, at %(at)s (%(what)s)") % facts)
    if now - at > OVERDUE:
        return Said(
            "bad", _("Overdue for %(span)s, since %(at)s (%(what)s): are the workers and beat running?") % facts
        )
    return Said("busy", _("Now: due since %(at)s (%(what)s)") % facts)


def _told(file: OrderFile, *, now: datetime) -> Iterator[Said]:
    if not file.notifications:
        yield _nothing_owed(file)
    for notification in file.notifications:
        yield _delivery(notification, now=now)


def _nothing_owed(file: OrderFile) -> Said:
    if not file.order.notify_url:
        return Said("quiet", _("No: the order names no notify URL, the merchant asks us"))
    if OrderStatus(file.order.status) in ORDER_OPEN:
        return Said("quiet", _("There is nothing to tell yet"))
    if file.order.door == Door.WECHATPAY and OrderStatus(file.order.status) in ORDER_UNPAID:
        return Said("quiet", _("No: it came in by WeChat Pay's interface, which tells of payments only"))
    return Said("bad", _("Nothing was owed, although the order ended"))


def _delivery(notification: Notification, *, now: datetime) -> Said:
    facts = {
        "event": notification.event_type, "count": notification.attempts_count,
        "at": _clock(notification.delivered_at or notification.next_attempt_at),
    }  # fmt: skip
    match notification.status:
        case "delivered":
            tries = [one.attempt_no for one in notification.attempts.all() if one.kind != AttemptKind.SIGN_TEST]
            facts["count"] = max(tries, default=notification.attempts_count)
            return Said("good", _("Yes: %(event)s at %(at)s, attempt %(count)s") % facts)
        case "held":
            return Said("bad", _("No: %(event)s was given up after %(count)s attempts; replay it") % facts)
        case "gone":
            return Said("warn", _("No: %(event)s is not wanted, their server said 410") % facts)
    late = notification.next_attempt_at is not None and now - notification.next_attempt_at > OVERDUE
    if late:
        return Said("bad", _("Not yet: %(event)s is overdue since %(at)s, %(count)s attempts so far") % facts)
    tone = "warn" if notification.attempts_count else "busy"
    return Said(tone, _("Not yet: %(event)s, next attempt at %(at)s, %(count)s so far") % facts)


def _clock(at: datetime | None) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S") if at else cells.NOTHING
