"""The same at the UnionPay model, through its own gateway, words and signatures, with the faults that it has."""

import pytest

from payments.models import Case, LedgerEntry
from payments.operations import orders
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment


@pytest.fixture
def shop(open_shop):
    return open_shop("unionpay")


def a_refund(shop, order, amount_fen=1030):
    return factories.a_submitting_refund(order=order, amount_fen=amount_fen, now=shop.now())


def drive_refund_until(shop, refund, *statuses, steps_max=10):
    for _ in range(steps_max):
        refund = shop.drive_refund(refund)
        if refund.status in statuses:
            return refund
    raise AssertionError(f"still {refund.status}: {refund.last_answer}")


def test_an_order_is_created_paid_and_found_paid_by_asking(shop):
    order = shop.drive_until(shop.order(), "PAYING")
    assert set(the_payment(order).prepay) == {"pay_url"}
    shop.control.pay(str(the_payment(order).pk))
    order = shop.drive_until(order, "SUCCEEDED")
    assert LedgerEntry.objects.filter(order=order).count() == 1
    assert the_payment(order).channel_trade_no


def test_a_definite_refusal_fails_the_order(shop):
    shop.control.add_fault("create", "refused", times=1)
    order = shop.drive(shop.order())
    assert (order.status, order.failure_code) == (OrderStatus.FAILED, "61")


def test_a_number_that_is_known_there_is_no_refusal(shop):
    """12: perhaps it is a request of ours whose answer was lost."""
    shop.control.add_fault("create", "error", times=1, params={"error": "OUT_TRADE_NO_USED"})
    order = shop.drive(shop.order())
    assert (order.status, the_payment(order).last_answer) == (OrderStatus.UNKNOWN, "respCode 12")
    assert shop.drive_until(order, "PAYING").payments.count() == 1


def a_bar_code(shop, amount_fen=4030):
    code = shop.control.post("codes", {"channel": "unionpay"})["code"]
    return shop.order(amount_fen, method="barcode", payer_id=code)


def test_a_bar_code_is_paid_at_once(shop):
    order = shop.drive(a_bar_code(shop))
    assert order.status == OrderStatus.SUCCEEDED
    assert shop.channel_calls("barcode", the_payment(order).pk) == 1


@pytest.mark.parametrize(
    ("fault", "ends"),
    [("userpaying_then_paid", "SUCCEEDED"), ("userpaying_then_failed", "FAILED"), ("userpaying_for_ever", "CLOSED")],
)
def test_a_payer_who_types_a_password_is_waited_for(shop, fault, ends):
    shop.control.add_fault("barcode", fault, times=1)
    order = shop.drive(a_bar_code(shop))
    assert order.status == OrderStatus.PAYING
    if ends == "CLOSED":
        orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    order = shop.drive_until(order, "SUCCEEDED", "FAILED", "CLOSED")
    assert order.status == ends
    assert shop.channel_calls("barcode", the_payment(order).pk) == 1, "it is never sent twice"


def test_a_bar_code_whose_answer_was_lost_is_paid_once(shop):
    shop.control.add_fault("barcode", "timeout_done", times=1)
    order = shop.drive(a_bar_code(shop))
    assert order.status == OrderStatus.UNKNOWN
    order = shop.drive_until(order, "SUCCEEDED")
    assert shop.channel_calls("barcode", the_payment(order).pk) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "unknown_but_done", "unknown_not_done", "timeout_done", "timeout_not_done", "wrong_signature",
        "missing_signature", "bad_gateway_html", "not_enough",
    ],
)  # fmt: skip
def test_a_refund_without_an_answer_that_counts_is_asked_about_and_executed_once(shop, fault):
    order = shop.paid_order()
    shop.control.add_fault("refund", fault, times=1)
    refund = shop.drive_refund(a_refund(shop, order))
    assert refund.status == RefundStatus.UNKNOWN
    drive_refund_until(shop, refund, "SUCCEEDED")
    assert len(shop.control.get("refunds", out_refund_no=str(refund.pk))) == 1
    assert again(order).refunded_fen == 1030


def test_a_refund_that_is_refused_and_unknown_there_again_and_again_is_failed(shop):
    order = shop.paid_order()
    shop.control.add_fault("refund", "error", times=3, params={"error": "RULE_LIMIT"})
    seen = [shop.drive_refund(refund).status for refund in [a_refund(shop, order)] * 3]
    assert seen == [RefundStatus.UNKNOWN, RefundStatus.UNKNOWN, RefundStatus.FAILED]
    assert again(order).refundable_fen == 4030


@pytest.mark.parametrize("fault", ["refund_abnormal", "refund_closed"])
def test_a_refund_that_failed_there_leaves_the_money_with_the_merchant(shop, fault):
    """They have one word for both."""
    order = shop.paid_order()
    shop.control.add_fault("refund", fault, times=1)
    refund = drive_refund_until(shop, a_refund(shop, order), "FAILED")
    assert (refund.status, again(order).refund_reserved_fen) == (RefundStatus.FAILED, 0)


def test_two_partial_refunds_leave_a_paid_order(shop):
    """After the first, the channel calls the whole order refunded."""
    order = shop.paid_order()
    for amount_fen in (1030, 3000):
        drive_refund_until(shop, a_refund(shop, again(order), amount_fen), "SUCCEEDED")
    assert (again(order).status, again(order).refunded_fen) == (OrderStatus.SUCCEEDED, 4030)
    assert not Case.objects.exists()


def test_paid_in_the_last_second_before_the_close_is_paid(shop):
    order = shop.drive_until(shop.order(), "PAYING")
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive_until(order, "SUCCEEDED", "CLOSED").status == OrderStatus.SUCCEEDED


@pytest.mark.parametrize("fault", ["timeout_done", "bad_gateway_html", "accepted_without_effect"])
def test_a_close_that_is_not_confirmed_is_not_a_close(shop, fault):
    order = shop.drive_until(shop.order(), "PAYING")
    shop.control.add_fault("close", fault, times=1)
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    assert shop.drive_until(order, "CLOSED").status == OrderStatus.CLOSED
    assert shop.control.order(str(the_payment(order).pk))["state"] == "CLOSED"


@pytest.mark.parametrize("error", ["MCH_NOT_EXISTS", "SIGN_ERROR"])
def test_when_an_account_is_refused_the_next_one_is_asked_where_the_payer_has_the_same_id(shop, error):
    account = again(shop.account)
    same, another = account.settings, account.settings | {"mer_id": "898000000000000"}
    for rank, settings in ((1, another), (2, same)):
        type(account).register(
            merchant=account.merchant, channel="unionpay", name="next", settings=settings, rank=rank,
            secrets=account.secrets(), is_sandbox=True, now=shop.now(),
        )  # fmt: skip
    shop.control.add_fault("create", "error", times=1, params={"error": error})
    order = shop.order()
    first = the_payment(order)
    assert shop.drive(order).status == OrderStatus.SUBMITTING
    assert (the_payment(order).account.rank, again(first).status) == (2, "FAILED")
    assert shop.drive_until(order, "PAYING").status == OrderStatus.PAYING


def test_the_second_host_is_asked_when_the_first_is_gone(shop, settings):
    account = again(shop.account)
    backup = shop.sandbox.identity["unionpay"]["backup_api_base"]
    hosts = {"api_base": "http://127.0.0.1:9", "backup_api_base": backup}
    account.replace_settings(settings=account.settings | hosts, secrets=account.secrets())
    settings.CHANNEL_PRIVATE_HOSTS = ["127.0.0.1:9", backup.removeprefix("http://")]
    assert shop.drive_until(shop.order(), "PAYING").status == OrderStatus.PAYING
    assert {call["host"] for call in shop.control.calls(operation="create")} == {"backup"}
