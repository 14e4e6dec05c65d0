"""Orders: one wish, one row, whoever asks how often."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from payments.errors import InvalidMove, NotFound
from payments.models import Order, Payment, StateEvent
from payments.operations import orders
from payments.operations.accounts import ChannelNotAvailable
from payments.states import OrderStatus, PaymentStatus
from tests import factories
from tests.factories import NOW, again, the_payment

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_order_is_written_with_its_payment_before_the_channel_hears_of_it():
    order = factories.a_submitting_order()
    payment = the_payment(order)
    assert (order.status, payment.status) == (OrderStatus.SUBMITTING, PaymentStatus.SUBMITTING)
    assert payment.next_check_at == NOW, "the sweep finds it at once"
    assert payment.amount_fen == order.amount_fen == 4030
    assert [event.event for event in order.events.all()] == ["SUBMITTED"]


def test_the_same_number_with_the_same_content_is_the_same_order():
    app, wish = factories.an_app(), factories.an_order_wish()
    first, created = orders.create_order(app=app, wish=wish, now=NOW)
    second, created_again = orders.create_order(app=app, wish=wish, now=NOW + timedelta(hours=1))
    assert (created, created_again) == (True, False)
    assert first.pk == second.pk
    assert Payment.objects.filter(order=first).count() == 1


def test_the_same_number_with_other_content_is_refused_and_changes_nothing():
    app = factories.an_app()
    orders.create_order(app=app, wish=factories.an_order_wish(out_trade_no="SAME0001"), now=NOW)
    with pytest.raises(orders.OutTradeNoReused):
        orders.create_order(app=app, wish=factories.an_order_wish(out_trade_no="SAME0001", amount_fen=1), now=NOW)
    assert Order.objects.get(app=app).amount_fen == 4030


def test_two_apps_may_use_the_same_number():
    for _ in range(2):
        factories.a_submitting_order(out_trade_no="SAME0001")
    assert Order.objects.filter(out_trade_no="SAME0001").count() == 2


def test_eight_threads_with_one_number_make_one_order():
    app, wish = factories.an_app(), factories.an_order_wish()
    barrier, results = threading.Barrier(8), []

    def create() -> None:
        try:
            barrier.wait()
            results.append(orders.create_order(app=app, wish=wish, now=NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert {order.pk for order, _ in results} == {Order.objects.get(app=app).pk}
    assert sum(created for _, created in results) == 1


@pytest.mark.parametrize(("channel", "method"), [("paypal", "jsapi"), ("wechatpay", "fax")])
def test_a_channel_or_method_that_we_do_not_speak_is_refused(channel, method):
    with pytest.raises(ChannelNotAvailable):
        factories.a_submitting_order(channel=channel, method=method)


def test_a_merchant_without_an_account_cannot_be_paid():
    with pytest.raises(ChannelNotAvailable):
        factories.a_submitting_order(app=factories.an_app(with_account=False))


@pytest.mark.parametrize("make", [factories.a_submitting_order, factories.a_paying_order])
def test_closing_moves_order_and_payment_and_is_due_at_once(make):
    order = make()
    orders.close_order(app=order.app, order_no=order.pk, now=NOW)
    payment = the_payment(order)
    assert (again(order).status, payment.status) == (OrderStatus.CLOSING, PaymentStatus.CLOSING)
    assert payment.next_check_at == NOW


def closing() -> Order:
    order = factories.a_paying_order()
    return orders.close_order(app=order.app, order_no=order.pk, now=NOW)


@pytest.mark.parametrize("make", [factories.a_closed_order, closing])
def test_closing_again_is_harmless(make):
    order = make()
    version = order.version
    assert orders.close_order(app=order.app, order_no=order.pk, now=NOW).version == version


def test_a_paid_order_cannot_be_closed():
    order = factories.a_paid_order()
    with pytest.raises(InvalidMove):
        orders.close_order(app=order.app, order_no=order.pk, now=NOW)


def test_another_apps_order_does_not_exist():
    order, stranger = factories.a_paying_order(), factories.an_app()
    with pytest.raises(NotFound):
        orders.close_order(app=stranger, order_no=order.pk, now=NOW)
    assert again(order).status == OrderStatus.PAYING


def test_every_move_leaves_an_event_and_raises_the_version():
    order = factories.a_closed_order()
    moves = [(event.from_status, event.to_status) for event in order.events.filter(subject=StateEvent.Subject.ORDER)]
    assert moves == [
        ("CREATED", "SUBMITTING"), ("SUBMITTING", "PAYING"), ("PAYING", "CLOSING"), ("CLOSING", "CLOSED"),
    ]  # fmt: skip
    assert order.version == len(moves)


@pytest.mark.parametrize(
    "changes",
    [{"amount_fen": 1}, {"app_id": 1}, {"out_trade_no": "OTHER001"}, {"created_at": NOW - timedelta(days=1)}],
    ids=str,
)
def test_the_database_refuses_to_change_what_an_order_is_about(changes):
    order = factories.a_paying_order()
    with pytest.raises(DatabaseError, match="is refused"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**changes)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"status": "HAPPY"}, "order_status_known"),
        ({"refunded_fen": 4031}, "order_refunds_within_amount"),
        ({"refunded_fen": 4000, "refund_reserved_fen": 31}, "order_refunds_within_amount"),
        ({"refund_reserved_fen": -1}, "order_refunds_within_amount"),
        ({"status": "SUCCEEDED"}, "order_paid_at_iff_paid"),
    ],
)
def test_the_database_refuses_what_cannot_be_true_of_an_order(changes, constraint):
    order = factories.a_paying_order()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**changes)


def test_the_database_refuses_an_open_payment_that_no_sweep_would_find():
    payment = the_payment(factories.a_paying_order())
    with pytest.raises(IntegrityError, match="payment_open_is_scheduled"), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(next_check_at=None)


def test_the_database_refuses_a_second_open_payment_of_one_order():
    order = factories.a_paying_order()
    with pytest.raises(IntegrityError, match="payment_one_open_per_order"), transaction.atomic():
        Payment.start(order=order, account=the_payment(order).account, payer_id="", now=NOW)
