"""The story of one order, in the order in which it happened: states, callbacks, money, cases, notifications."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from django.utils.translation import gettext as _

from openplatform.models import Notification, NotificationAttempt
from openplatform.models.notification import AttemptKind
from openplatform.tracing import trace_id_of
from payments.console import cells, words
from payments.console.order_file import OrderFile
from payments.models import Callback, Case, LedgerEntry, StateEvent
from payments.money import yuan_text

# One transaction writes several rows with one time. This is the order in which they explain each other.
TOLD, MOVED, POSTED, CASE, OWED, TRIED = range(6)
HTTP_OK, HTTP_REFUSED = range(200, 300), range(400, 500)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a ledger entry, in yuan: either a debit or a credit."""

    account: str
    debit: str
    credit: str


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One thing that happened. `what` is about `subject`, whose page is at `url`."""

    at: datetime
    rank: int
    key: int
    icon: str
    tone: str
    what: str
    subject: str = ""
    url: str = ""
    from_status: str = ""
    to_status: str = ""
    because: str = ""
    code: str = ""
    trace_id: str = ""
    lines: list[Line] = field(default_factory=list)

    @property
    def trace_url(self) -> str:
        return cells.trace_url(self.trace_id)


def timeline(file: OrderFile) -> list[Moment]:
    """Everything in the file, oldest first; rows of one transaction in the order in which they explain each other."""
    return sorted(_moments(file), key=lambda moment: (moment.at, moment.rank, moment.key))


def _moments(file: OrderFile) -> Iterator[Moment]:
    numbers = {payment.pk: payment for payment in file.payments} | {refund.pk: refund for refund in file.refunds}
    pages = {number: cells.page_of(row) for number, row in numbers.items()}
    yield from (_moved(event, pages=pages) for event in file.events)
    yield from (_told(callback) for callback in file.callbacks)
    yield from (_posted(entry) for entry in file.entries)
    yield from (_case(case) for case in file.cases)
    for notification in file.notifications:
        yield _owed(notification)
        yield from (_tried(attempt, notification) for attempt in notification.attempts.all())


def _moved(event: StateEvent, *, pages: dict[int, str]) -> Moment:
    number = {"payment": event.payment_id, "refund": event.refund_id}.get(event.subject) or event.order_id
    titles = {"order": _("Order"), "payment": _("Payment"), "refund": _("Refund")}
    icons = {"order": "receipt_long", "payment": "payments", "refund": "undo"}
    return Moment(
        at=event.created_at, rank=MOVED, key=event.pk, icon=icons[event.subject], tone=words.tone(event.to_status),
        what=f"{titles[event.subject]}: {words.event_word(event.event)}", code=event.event,
        subject="" if event.subject == "order" else str(number), url=pages.get(number, ""),
        from_status=event.from_status, to_status=event.to_status, because=event.because, trace_id=event.trace_id,
    )  # fmt: skip


def _told(callback: Callback) -> Moment:
    return Moment(
        at=callback.received_at, rank=TOLD, key=callback.pk, icon="call_received", tone="quiet",
        what=_("Callback received and verified"), code=callback.event_type, subject=callback.channel_callback_id,
        url=cells.page_of(callback), because=callback.effect, trace_id=callback.trace_id,
    )  # fmt: skip


def _posted(entry: LedgerEntry) -> Moment:
    return Moment(
        at=entry.created_at, rank=POSTED, key=entry.pk, icon="account_balance", tone="quiet",
        what=_("Posted to the ledger"), code=entry.kind, subject=str(entry.pk), url=cells.page_of(entry),
        trace_id=entry.trace_id, lines=ledger_lines(entry),
    )  # fmt: skip


def ledger_lines(entry: LedgerEntry) -> list[Line]:
    """The entry's postings as a person books them: debits and credits, which add up to the same."""
    return [
        Line(
            account=posting.account_id,
            debit=yuan_text(posting.amount_fen) if posting.amount_fen > 0 else "",
            credit=yuan_text(-posting.amount_fen) if posting.amount_fen < 0 else "",
        )
        for posting in entry.postings.all()
    ]


def _case(case: Case) -> Moment:
    return Moment(
        at=case.opened_at, rank=CASE, key=case.pk, icon="report", tone=words.tone(case.status),
        what=_("Case opened: %(kind)s") % {"kind": case.get_kind_display()}, code=case.kind, subject=str(case.pk),
        url=cells.page_of(case), to_status=case.status,
    )  # fmt: skip


def _owed(notification: Notification) -> Moment:
    return Moment(
        at=notification.created_at, rank=OWED, key=notification.pk, icon="outgoing_mail", tone="quiet",
        what=_("Notification owed to the merchant"), code=notification.event_type, subject=str(notification.pk),
        url=cells.page_of(notification), to_status=notification.status, because=notification.notify_url,
        trace_id=trace_id_of(notification.traceparent),
    )  # fmt: skip


def _tried(attempt: NotificationAttempt, notification: Notification) -> Moment:
    arrived = attempt.status_code in HTTP_OK
    said = f"HTTP {attempt.status_code}" if attempt.status_code else attempt.error
    icon, tone, because = "send", "good" if arrived else "bad", "" if arrived else attempt.response_excerpt
    what = _("Told the merchant, attempt %(number)s: %(said)s, %(milliseconds)s ms")
    if attempt.kind == AttemptKind.SIGN_TEST:
        icon, (tone, what), because = "policy", _sign_test(attempt.status_code), ""
    return Moment(
        at=attempt.attempted_at, rank=TRIED, key=attempt.pk, icon=icon, tone=tone,
        what=what % {"number": attempt.attempt_no, "said": said, "milliseconds": attempt.duration_ms},
        code=notification.event_type, subject=str(notification.pk), url=cells.page_of(notification), because=because,
    )  # fmt: skip


def _sign_test(status_code: int | None) -> tuple[str, str]:
    """Tone and words: the one attempt that is well when it is refused."""
    if status_code in HTTP_OK:
        return "bad", _("Their server took a notification that we had signed wrongly, and a forger's too (%(said)s)")
    if status_code in HTTP_REFUSED and status_code != HTTPStatus.TOO_MANY_REQUESTS:
        return "good", _("Their server refused a notification that we had signed wrongly, as it should (%(said)s)")
    return "quiet", _("A notification that we had signed wrongly was neither taken nor refused (%(said)s)")
