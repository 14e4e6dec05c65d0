"""Every read that spans rows. Nothing here writes."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet

from openplatform.clocks import was_lately
from openplatform.models import App
from openplatform.models.app import AppStatus
from openplatform.models.merchant import MerchantStatus
from payments.channels.days import day_bounds, day_of
from payments.errors import NotFound
from payments.models import (
    Bill,
    BillFile,
    BillRow,
    Case,
    ChannelAccount,
    LedgerEntry,
    Order,
    PayCode,
    Payment,
    Refund,
    StateEvent,
)
from payments.models.driven import in_nobodys_hand
from payments.states import BillKind, BillStatus, OrderEvent, OrderStatus, PaymentStatus, RowKind

HINT_AGAIN_AFTER = timedelta(seconds=30)
BOOKED_WITHIN = timedelta(hours=12)  # of a payment: what we heard of late is in our books of the next day
ROWS_AT_ONCE = 1_000

AnyRow = TypeVar("AnyRow", bound=Model)


def own_order(*, app: App, order_no: int) -> Order:
    """The app's own order. Raises NotFound, also for another app's."""
    return _first(Order.objects.filter(app=app, pk=order_no).select_related("app"))


def own_order_by_out_trade_no(*, app: App, out_trade_no: str) -> Order:
    return _first(Order.objects.filter(app=app, out_trade_no=out_trade_no).select_related("app"))


def own_order_at_channel(*, app: App, channel: str, out_trade_no: str = "", channel_trade_no: str = "") -> Order:
    """The app's own order at `channel`, named by the merchant's number, by the channel's, or by both.

    The number of a payment too many names nothing: a refund of it would take the money of the one that counts.
    """
    rows = Order.objects.filter(app=app, channel=channel).select_related("app")
    if out_trade_no:
        rows = rows.filter(out_trade_no=out_trade_no)
    if channel_trade_no:
        # With the account, which the index on the channel's numbers begins with.
        rows = rows.filter(
            payments__account__merchant_id=app.merchant_id, payments__channel_trade_no=channel_trade_no,
            payments__is_surplus=False,
        )  # fmt: skip
    return _first(rows)


def decided_status(order: Order) -> OrderStatus:
    """The order's status, but what it was before as long as money that came late waits for a person's decision: for
    whoever has one word for "paid" and acts on it.
    """
    status = OrderStatus(order.status)
    is_returned = bool(order.refunded_fen + order.refund_reserved_fen)
    if status is not OrderStatus.SUCCEEDED_LATE or is_returned:
        return status
    if not order.cases.filter(kind=Case.Kind.PAID_LATE, status=Case.Status.OPEN).exists():
        return status
    late = order.events.get(subject=StateEvent.Subject.ORDER, event=OrderEvent.PAID_LATE)
    return OrderStatus(late.from_status)


def own_refund(*, app: App, refund_no: int) -> Refund:
    return _first(Refund.objects.filter(app=app, pk=refund_no).select_related("order"))


def own_refund_by_out_refund_no(*, app: App, out_refund_no: str) -> Refund:
    return _first(Refund.objects.filter(app=app, out_refund_no=out_refund_no).select_related("order"))


def order_of_cashier(*, cashier_token: str) -> Order:
    """The order behind a payer's link. The token is the right to see and to pay it, nothing more."""
    return _first(Order.objects.filter(cashier_token=cashier_token).select_related("app__merchant"))


def active_pay_code(*, token: str) -> PayCode:
    codes = PayCode.objects.filter(
        token=token, is_active=True, app__status=AppStatus.ACTIVE, app__merchant__status=MerchantStatus.ACTIVE
    )
    return _first(codes.select_related("app__merchant"))


def visible_payment(order: Order) -> Payment | None:
    """The try that the payer sees: the newest one."""
    return order.payments.select_related("account").order_by("-payment_no").first()


def calling_app(*, app_id: int) -> App:
    """The app that signed the request."""
    return App.objects.select_related("merchant").get(pk=app_id)


def order_no_of(*, app: App, order_no: str = "", out_trade_no: str = "") -> int:
    """Our number of the app's own order, named by either number. Raises NotFound."""
    named = Q(pk=int(order_no)) if order_no else Q(out_trade_no=out_trade_no)
    number = Order.objects.filter(named, app=app).values_list("pk", flat=True).first()
    if number is None:
        raise NotFound
    return number


def due_payments(*, now: datetime, lease: timedelta, limit: int, channel: str = "") -> list[Payment]:
    """Open payments that somebody should ask about, the longest overdue first; of one channel, or of all."""
    rows = Payment.objects.filter(channel=channel) if channel else Payment.objects.all()
    return list(_due(rows, now=now, lease=lease).only("payment_no", "channel")[:limit])


def due_rechecks(*, now: datetime, limit: int, channel: str) -> list[Payment]:
    """Ended payments of a channel that are asked about once more, the longest overdue first."""
    due = Payment.objects.filter(channel=channel, recheck_at__lte=now).order_by("recheck_at")
    return list(due.only("payment_no", "channel")[:limit])


def due_refunds(*, now: datetime, lease: timedelta, limit: int, channel: str = "") -> list[Refund]:
    """Open refunds that somebody should ask about, the longest overdue first; of one channel, or of all."""
    rows = Refund.objects.select_related("payment")
    return list(_due(rows.filter(payment__channel=channel) if channel else rows, now=now, lease=lease)[:limit])


def due_bills(*, now: datetime, lease: timedelta, limit: int) -> list[Bill]:
    """Bills that somebody should fetch, the longest overdue first."""
    return list(_due(Bill.objects.only("id"), now=now, lease=lease)[:limit])


def newest_bills(*, limit: int, **named: object) -> list[Bill]:
    """Bills by the columns that are named, with their newest files; those of the last days first."""
    bills = Bill.objects.filter(**named).select_related("newest_file")
    return list(bills.order_by("-bill_date", "-id")[:limit])


def bill_with_file(bill_id: int) -> Bill:
    return Bill.objects.select_related("newest_file").get(pk=bill_id)


def known_bills(*, first: date) -> set[tuple[int, str, date]]:
    """Account, kind and day of the bills from the day `first` on."""
    return set(Bill.objects.filter(bill_date__gte=first).values_list("account_id", "kind", "bill_date"))


def accounts_for_bills(*, day: date) -> list[ChannelAccount]:
    """The active accounts, and those where money moved on that day although they are active no more."""
    accounts = ChannelAccount.objects.defer("secrets_sealed").order_by("pk")
    moved = _booked(day).filter(payment__account=OuterRef("pk"))
    return [*accounts.filter(is_active=True), *accounts.filter(Exists(moved), is_active=False)]


def has_moved_money(account_id: int, *, day: date) -> bool:
    """Whether our own books know of money that moved at the account on that day."""
    return _booked(day).filter(payment__account_id=account_id).exists()


def _booked(day: date) -> QuerySet[LedgerEntry]:
    start, after = day_bounds(day)
    return LedgerEntry.objects.filter(created_at__gte=start, created_at__lt=after + BOOKED_WITHIN)


def bills_waited_for(*, before: datetime, limit: int) -> list[Bill]:
    """Bills of days that are over, waited for since `before`; the oldest first."""
    waited_for = Bill.objects.filter(status=BillStatus.WAITED_FOR, created_at__lte=before)
    return list(waited_for.filter(bill_date__lt=day_of(before)).order_by("bill_date")[:limit])


def trade_bills(account_id: int, days: list[date]) -> list[Bill]:
    """With their newest files."""
    bills = Bill.objects.filter(account_id=account_id, kind=BillKind.TRADE, bill_date__in=days)
    return list(bills.select_related("newest_file"))


def is_in_a_trade_bill(payment: Payment) -> bool:
    """Whether any file of its account, also one that was replaced, lists it as paid."""
    rows = BillRow.objects.filter(payment_no=payment.pk, kind=RowKind.PAYMENT)
    return rows.filter(file__bill__account_id=payment.account_id).exists()


def ended_at(payment: Payment) -> datetime | None:
    """When a payment last ended unpaid."""
    ends = payment.events.filter(refund=None, to_status__in=[PaymentStatus.CLOSED, PaymentStatus.FAILED])
    return ends.filter(subject=StateEvent.Subject.PAYMENT).order_by("-id").values_list("created_at", flat=True).first()


def paid_but_not_in(file: BillFile, *, account_id: int, day: date) -> Iterator[Payment]:
    """Payments that were paid on that day as the channel told us, and that a trade bill's file lacks."""
    start, after = day_bounds(day)
    booked = _booked(day).filter(payment=OuterRef("pk"), kind=LedgerEntry.Kind.PAYMENT)
    listed = BillRow.objects.filter(file=file, kind=RowKind.PAYMENT, payment_no=OuterRef("pk"))
    paid = Payment.objects.filter(account_id=account_id, paid_at__gte=start, paid_at__lt=after)
    return paid.filter(Exists(booked), ~Exists(listed)).only("pk", "amount_fen").iterator(chunk_size=ROWS_AT_ONCE)


def listed_in(file: BillFile, *, account_id: int) -> Iterator[tuple[Payment, int]]:
    """The account's payments that a trade bill's file lists, each with its amount there in fen.

    Payment by payment from the rows: each statement stays small, however long the bill is.
    """
    rows = BillRow.objects.filter(file=file, kind=RowKind.PAYMENT, payment_no__isnull=False)
    told = rows.values_list("payment_no", "amount_fen").iterator(chunk_size=ROWS_AT_ONCE)
    while batch := {number: fen for number, fen in islice(told, ROWS_AT_ONCE) if number is not None}:
        ours = Payment.objects.filter(pk__in=batch, account_id=account_id).only("pk", "amount_fen", "paid_at")
        yield from ((payment, batch[payment.pk]) for payment in ours)


def _due(rows: QuerySet[AnyRow], *, now: datetime, lease: timedelta) -> QuerySet[AnyRow]:
    return rows.filter(
        Q(next_check_at__lte=now),
        in_nobodys_hand(now=now, lease=lease),
        # A worker was woken for it a moment ago: give the queue time, but not for ever, for it may have lost the task.
        Q(hinted_at__isnull=True)
        | ~was_lately("hinted_at", now=now, within=HINT_AGAIN_AFTER)
        | Q(hinted_at__lt=F("next_check_at")),
    ).order_by("next_check_at")


def _first(rows: QuerySet[AnyRow]) -> AnyRow:
    row = rows.first()
    if row is None:
        raise NotFound
    return row
