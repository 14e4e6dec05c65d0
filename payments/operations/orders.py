"""Orders begin here: the wish is written down before any channel hears of it."""

from datetime import datetime

from django.db import IntegrityError, transaction

from openplatform import notify_urls
from openplatform.blocks.lists import current_lists
from openplatform.hints import hint
from openplatform.models import App
from payments.channels.registry import queue_of
from payments.errors import InvalidMove, NotFound, PaymentsError
from payments.models import Order, OrderWish, PayCode, Payment
from payments.operations.accounts import active_account
from payments.states import ORDER_OPEN, OrderEvent, OrderStatus

# Constraint names, as the database reports them.
NUMBER_TAKEN = "order_out_trade_no_unique"


class OutTradeNoReused(PaymentsError):
    """This out_trade_no was used before with other content."""

    code = "OUT_TRADE_NO_REUSED"


class Blacklisted(PaymentsError):
    """This request is refused."""

    code = "BLACKLISTED"


class NotifyHostNotRegistered(PaymentsError):
    """The host of notify_url is not among those that are registered for this app."""

    code = "NOTIFY_HOST_NOT_REGISTERED"


def create_order(*, app: App, wish: OrderWish, now: datetime, pay_code: PayCode | None = None) -> tuple[Order, bool]:
    """Write the order and its first payment, and let a worker ask the channel. The status is the lock.

    The same number with the same content gives the order that is there (and False); other content raises
    OutTradeNoReused. Raises ChannelNotAvailable, OtherAppid; Blacklisted and NotifyHostNotRegistered for a new order.
    """
    if refusal := _refusal(app=app, wish=wish, now=now, is_of_pay_code=pay_code is not None):
        return _placed_before(refusal, app=app, wish=wish), False
    account = active_account(app=app, channel=wish.channel, method=wish.method, appid=wish.channel_appid)
    try:
        with transaction.atomic(durable=True):
            order = Order.place(app=app, wish=wish, now=now, pay_code=pay_code)
            order.move(OrderEvent.SUBMITTED, now=now)
            payment = Payment.start(
                order=order, account=account, payer_id=wish.payer_id, client_ip=wish.client_ip, now=now
            )
            hint_payment(payment)
    except IntegrityError as error:
        if NUMBER_TAKEN not in str(error):
            raise
        return _existing(app=app, wish=wish), False
    return order, True


def is_blocked(*, payer_id: str, notify_url: str, now: datetime) -> bool:
    """Whether the payer, or the host that would be told, is on the blacklist. "" is nobody."""
    lists = current_lists()
    return lists.blocks_payer(payer_id, now=now) or lists.blocks_host(notify_urls.host_of(notify_url), now=now)


def may_be_told(app: App, notify_url: str) -> bool:
    """Whether this app may name this address. Not to be called inside a transaction."""
    return not notify_url or current_lists().may_be_told(app_id=app.pk, host=notify_urls.host_of(notify_url))


def _refusal(*, app: App, wish: OrderWish, now: datetime, is_of_pay_code: bool) -> PaymentsError | None:
    """A pay code's address was asked about when it was issued: its payer is not the one to be refused now."""
    if is_blocked(payer_id=wish.payer_id, notify_url=wish.notify_url, now=now):
        return Blacklisted()
    return None if is_of_pay_code or may_be_told(app, wish.notify_url) else NotifyHostNotRegistered()


def close_order(*, app: App, order_no: int, now: datetime) -> Order:
    """Begin to close an order: upstream first, so that a payer who is slower than we are is refused there.

    Repeating is harmless. Raises NotFound, or InvalidMove when it is paid or failed.
    """
    with transaction.atomic(durable=True):
        order = lock_own_order(app=app, order_no=order_no)
        if order.status in {OrderStatus.CLOSED, OrderStatus.CLOSING}:
            return order
        if OrderStatus(order.status) not in ORDER_OPEN:
            raise InvalidMove(f"The order is {order.status} and cannot be closed.")
        begin_closing(order, event=OrderEvent.CLOSE_ASKED, now=now)
        return order


def begin_closing(order: Order, *, event: OrderEvent, now: datetime) -> None:
    """Move a locked order and its open payment to CLOSING; a worker closes upstream and confirms it by a query."""
    payment = Payment.lock(order.payments.get(status__in=[status.value for status in ORDER_OPEN]).pk)
    order.move(event, now=now)
    payment.move(event, now=now, next_check_at=now)
    hint_payment(payment)


def lock_own_order(*, app: App, order_no: int) -> Order:
    """The app's own order, locked. Raises NotFound, also for another app's: existence is nobody else's business."""
    try:
        order = Order.lock(order_no)
    except Order.DoesNotExist:
        raise NotFound from None
    if order.app_id != app.pk:
        raise NotFound
    return order


def hint_payment(payment: Payment) -> None:
    """Wake a worker of the channel's own queue. Only a hint: the sweep finds the row by its `next_check_at`."""
    hint("payments.drive_payment", queue=queue_of(payment.channel), payment_no=payment.pk)


def _placed_before(refusal: PaymentsError, *, app: App, wish: OrderWish) -> Order:
    """A merchant that asks again must not think that its order does not exist: it can still be paid."""
    try:
        return _existing(app=app, wish=wish)
    except Order.DoesNotExist:
        raise refusal from None


def _existing(*, app: App, wish: OrderWish) -> Order:
    order = Order.objects.get(app=app, out_trade_no=wish.out_trade_no)
    if order.content_digest != wish.digest:
        raise OutTradeNoReused
    return order
