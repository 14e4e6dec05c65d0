"""Money that comes too late, or twice: it is never lost, never kept in silence, and goes back exactly once."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from openplatform.models import Notification
from payments.channels.base import Accepted, Prepay, RefundState, Rejected, TradeFacts, TradeState, Unknown
from payments.models import Case, ChannelAccount, LedgerEntry, OrderPolicy, Payment, Posting, Refund
from payments.operations import cases, guarded, payments, rechecks, refunds
from payments.operations.accounts import active_account
from payments.states import OrderStatus, PaymentStatus, RefundStatus
from tests import factories
from tests.factories import NOW, again, paid, the_payment

pytestmark = pytest.mark.django_db(transaction=True)
NOTIFY = {"notify_url": "https://shop.example/notify"}
NO_AUTH = Rejected(code="NO_AUTH", message="product not open", account_refused=True)
PREPAY = Accepted(facts=Prepay(values={"code_url": "weixin://1"}, valid_for=timedelta(hours=2)))


def pay_late(order):
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=paid(order)), now=NOW)
    return again(order)


def balance():
    return sum(Posting.objects.filter(account__kind="merchant_payable").values_list("amount_fen", flat=True))


def refund_executed(refund):
    facts = factories.refund_said(refund, RefundState.SUCCEEDED, amount_fen=refund.amount_fen)
    refunds.record_refund(claimed=refund, answer=Accepted(facts=facts), now=NOW)
    return again(refund)


def test_by_default_a_late_payment_is_kept_told_and_closed_as_a_case():
    order = pay_late(factories.a_closed_order(**NOTIFY))
    assert order.status == OrderStatus.SUCCEEDED_LATE
    case = Case.objects.get()
    assert (case.kind, case.status, case.resolved_by) == ("PAID_LATE", "resolved", payments.BY_POLICY)
    assert not Refund.objects.exists()
    assert Notification.objects.latest("pk").event_type == "order.succeeded_late"


def test_where_the_merchant_wants_it_a_late_payment_goes_back_whole_and_once():
    order = factories.a_closed_order(**NOTIFY)
    OrderPolicy.choose(app=order.app, late_payment="refund")
    for _ in range(2):
        order = pay_late(order)
    refund = Refund.objects.get()
    assert (refund.kind, refund.amount_fen, refund.status) == ("late", order.amount_fen, RefundStatus.SUBMITTING)
    assert (order.refund_reserved_fen, order.refundable_fen) == (order.amount_fen, 0)
    refund_executed(refund)
    assert again(order).refunded_fen == order.amount_fen
    assert balance() == 0
    told = list(Notification.objects.order_by("pk").values_list("event_type", flat=True))
    assert told == ["order.closed", "order.succeeded_late", "refund.succeeded"]


def test_a_held_late_payment_waits_for_a_person_who_gives_it_back_or_keeps_it():
    held = []
    for _ in range(2):
        order = factories.a_closed_order()
        OrderPolicy.choose(app=order.app, late_payment="hold")
        held.append(pay_late(order))
    back, kept = (Case.objects.get(order=order) for order in held)
    assert {back.status, kept.status} == {"open"}
    refund = cases.give_late_payment_back(case_id=back.pk, by="wang", now=NOW)
    assert (refund.order, refund.amount_fen) == (held[0], held[0].amount_fen)
    cases.resolve_case(case_id=kept.pk, note="shipped all the same", by="wang", now=NOW)
    assert (again(back).resolution, again(back).resolved_by) == (f"refund {refund.pk}", "wang")
    assert again(kept).resolution == "shipped all the same"
    for case in (back, kept):
        with pytest.raises(cases.CaseResolved):
            cases.give_late_payment_back(case_id=case.pk, by="li", now=NOW)
    assert Refund.objects.count() == 1


def test_of_two_persons_at_once_exactly_one_decides():
    order = factories.a_closed_order()
    OrderPolicy.choose(app=order.app, late_payment="hold")
    pay_late(order)
    case, outcomes = Case.objects.get(), []

    def decide():
        try:
            cases.give_late_payment_back(case_id=case.pk, by="somebody", now=NOW)
            outcomes.append("done")
        except cases.CaseResolved:
            outcomes.append("too late")
        finally:
            connection.close()

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "too late", "too late", "too late"]


def test_a_decision_that_does_not_fit_the_case_changes_nothing():
    order = factories.a_paid_order()
    case = Case.report(kind=Case.Kind.AMOUNT_MISMATCH, key="x", order=order, payment=the_payment(order), now=NOW)
    with pytest.raises(cases.NotThatKind):
        cases.give_late_payment_back(case_id=case.pk, by="wang", now=NOW)
    assert (again(case).status, Refund.objects.count()) == ("open", 0)


def test_the_database_wants_to_know_who_resolved_a_case_and_how():
    case = Case.report(kind=Case.Kind.AMOUNT_MISMATCH, key="x", now=NOW)
    with pytest.raises(IntegrityError, match="case_resolved_says_how"), transaction.atomic():
        Case.objects.filter(pk=case.pk).update(status="resolved")


def an_order_with_two_accounts(**changes):
    """Native, so that no payer's id binds it to one appid."""
    order = factories.a_submitting_order(method="native", payer_id="", **NOTIFY, **changes)
    first = the_payment(order).account
    values = dict(first.settings) | {"mchid": "1900000999"}
    spare = ChannelAccount.register(
        merchant=first.merchant, channel="wechatpay", name="spare", settings=values, secrets=first.secrets(), now=NOW,
        rank=1,
    )  # fmt: skip
    return order, spare


def refuse_account(order):
    payments.record_create(claimed=the_payment(order), answer=NO_AUTH, is_unknown_there=True, now=NOW)
    return again(order)


def tries(order):
    return list(order.payments.order_by("payment_no"))


def test_when_the_channel_refuses_the_account_the_next_one_is_asked_under_a_new_number():
    order, spare = an_order_with_two_accounts()
    order = refuse_account(order)
    first, second = tries(order)
    assert (first.status, second.status) == (PaymentStatus.FAILED, PaymentStatus.SUBMITTING)
    assert second.account == spare
    assert order.status == OrderStatus.SUBMITTING, "the merchant's order goes on"
    payments.record_create(claimed=second, answer=PREPAY, now=NOW)
    assert again(order).status == OrderStatus.PAYING


def test_the_next_account_may_be_silent_too():
    """The order is unknown since the first try; the second one is so only now."""
    order, _spare = an_order_with_two_accounts()
    payments.record_create(claimed=the_payment(order), answer=Unknown(reason="deadline"), now=NOW)
    order = refuse_account(order)
    first, second = tries(order)
    assert (first.status, second.status, order.status) == ("FAILED", "SUBMITTING", "UNKNOWN")
    payments.record_create(claimed=second, answer=Unknown(reason="deadline"), now=NOW)
    assert (again(second).status, again(order).status) == (PaymentStatus.UNKNOWN, OrderStatus.UNKNOWN)
    assert (again(second).checks_count, again(second).last_answer) == (1, "deadline")


def test_without_another_account_the_order_fails():
    order = refuse_account(factories.a_submitting_order())
    assert (order.status, len(tries(order))) == (OrderStatus.FAILED, 1)


@pytest.mark.parametrize(
    ("answer", "is_unknown_there"),
    [(Rejected(code="PARAM_ERROR"), True), (NO_AUTH, False), (Unknown(reason="deadline"), False)],
)
def test_no_other_account_is_asked_while_the_payer_could_have_paid_or_for_a_refusal_of_the_order(
    answer, is_unknown_there
):
    order, _spare = an_order_with_two_accounts()
    payments.record_create(claimed=the_payment(order), answer=answer, is_unknown_there=is_unknown_there, now=NOW)
    assert len(tries(order)) == 1


def test_a_payers_id_is_only_taken_to_an_account_under_the_same_appid():
    order = factories.a_submitting_order()
    first = the_payment(order).account
    for rank, appid in ((1, "wx9999999999999999"), (2, first.settings["appid"])):
        ChannelAccount.register(
            merchant=first.merchant, channel="wechatpay", name=f"spare {rank}", secrets=first.secrets(), now=NOW,
            settings=dict(first.settings) | {"mchid": f"190000099{rank}", "appid": appid}, rank=rank,
        )  # fmt: skip
    refuse_account(order)
    assert tries(order)[1].account.rank == 2


def test_a_payers_id_under_a_sub_merchants_own_appid_is_not_taken_to_another_one():
    """One provider, one appid of the provider's, two sub-merchants with appids of their own."""
    order = factories.a_submitting_order()
    first = the_payment(order).account
    for rank, sub_appid in ((1, "wx2222222222222222"), (2, None)):
        own = {"sub_mchid": f"190000088{rank}"} | ({"sub_appid": sub_appid} if sub_appid else {})
        ChannelAccount.register(
            merchant=first.merchant, channel="wechatpay", name=f"spare {rank}", secrets=first.secrets(), now=NOW,
            settings=dict(first.settings) | own, rank=rank,
        )  # fmt: skip
    refuse_account(order)
    assert tries(order)[1].account.rank == 2


def test_new_orders_go_to_the_lowest_rank_that_is_active():
    order, spare = an_order_with_two_accounts()
    assert active_account(app=order.app, channel="wechatpay", method="native").rank == 0
    the_payment(order).account.deactivate()
    assert active_account(app=order.app, channel="wechatpay", method="native") == spare


def both_payable():
    """The first try is refused, and yet was executed; the second one is shown to the payer."""
    order, _spare = an_order_with_two_accounts()
    order = refuse_account(order)
    first, second = tries(order)
    payments.record_create(claimed=second, answer=PREPAY, now=NOW)
    return again(order), first, second


def told_paid(payment, number):
    facts = TradeFacts(
        state=TradeState.PAID,
        payment_no=payment.pk,
        channel_trade_no=number,
        amount_fen=payment.amount_fen,
        paid_at=NOW,
    )
    payments.record_query(claimed=again(payment), answer=Accepted(facts=facts), now=NOW)


@pytest.mark.parametrize("first_pays_first", [True, False])
def test_a_second_payment_of_one_order_goes_back_by_itself_and_does_not_touch_the_order(first_pays_first):
    order, first, second = both_payable()
    one, other = (first, second) if first_pays_first else (second, first)
    told_paid(one, "4200A")
    order = again(order)
    assert order.status == OrderStatus.SUCCEEDED
    if first_pays_first:
        assert again(second).status == PaymentStatus.CLOSING, "it must not be paid too"
    for _ in range(3):
        told_paid(other, "4200B")
    refund = Refund.objects.get()
    assert (refund.kind, refund.payment, refund.amount_fen) == ("surplus", other, order.amount_fen)
    order = again(order)
    assert (order.status, order.refunded_fen, order.refund_reserved_fen) == (OrderStatus.SUCCEEDED, 0, 0)
    assert Case.objects.get(kind="DUPLICATE_PAID").refund == refund
    refund_executed(refund)
    assert again(order).refunded_fen == 0
    assert balance() == -order.amount_fen, "we owe the merchant what the order is worth"
    assert LedgerEntry.objects.filter(order=order).count() == 3
    # The merchant's own refund goes against the payment that counts, and may still be whole.
    wish = factories.a_refund_wish(amount_fen=order.amount_fen)
    mine, _created = refunds.create_refund(app=order.app, order_no=order.pk, wish=wish, now=NOW)
    assert mine.payment == one
    events = list(Notification.objects.order_by("pk").values_list("event_type", flat=True))
    assert events == ["order.succeeded", "order.duplicate_paid", "refund.succeeded"]


def test_money_that_could_not_go_back_by_itself_is_seen_by_a_person():
    """The case of a late payment was resolved by the refund, and nobody asked for that: its end must not be silent."""
    late = factories.a_closed_order()
    OrderPolicy.choose(app=late.app, late_payment="refund")
    pay_late(late)
    _order, first, second = both_payable()
    told_paid(first, "4200A")
    told_paid(second, "4200B")
    asked_for = factories.a_submitting_refund()
    for refund in Refund.objects.all():
        for _ in range(3):
            refunds.record_refund(claimed=again(refund), answer=Rejected(code="TRADE_ERROR"), now=NOW)
        assert again(refund).status == RefundStatus.FAILED
    seen = Case.objects.filter(kind="REFUND_ABNORMAL", status="open").values_list("refund", flat=True)
    assert set(seen) == set(Refund.objects.exclude(pk=asked_for.pk).values_list("pk", flat=True))


def test_the_second_try_that_is_closed_leaves_the_paid_order_alone():
    order, first, second = both_payable()
    told_paid(first, "4200A")
    closed = Accepted(facts=TradeFacts(state=TradeState.CLOSED, payment_no=second.pk))
    payments.record_query(claimed=again(second), answer=closed, now=NOW)
    assert (again(order).status, again(second).status) == (OrderStatus.SUCCEEDED, PaymentStatus.CLOSED)
    assert Notification.objects.get().event_type == "order.succeeded"
    assert Notification.objects.get().data["channel_trade_no"] == "4200A"


def test_the_database_lets_one_payment_pay_an_order():
    _order, first, second = both_payable()
    told_paid(second, "4200A")
    told_paid(first, "4200B")
    with pytest.raises(IntegrityError, match="payment_one_pays_the_order"), transaction.atomic():
        Payment.objects.filter(pk=first.pk).update(is_surplus=False)


class FakeClock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def recheck(payment, clock, monkeypatch, answer):
    monkeypatch.setattr(guarded.GuardedChannel, "query", lambda self, *, payment_no, now: answer)
    return rechecks.recheck_payment(payment_no=payment.pk, clock=clock)


def test_without_bills_a_payment_that_ended_unpaid_is_asked_about_on_three_days_and_then_left_alone(monkeypatch):
    order = factories.a_closed_order()
    order.payments.get().account.replace_settings(
        settings=the_payment(order).account.settings | {"bill_kinds": []}, secrets={}
    )
    payment, clock = the_payment(order), FakeClock()
    closed = Accepted(facts=TradeFacts(state=TradeState.CLOSED, payment_no=payment.pk))
    assert not recheck(payment, clock, monkeypatch, closed), "not yet"
    for _day in range(3):
        clock.now += timedelta(days=1, minutes=1)
        assert recheck(payment, clock, monkeypatch, closed)
        assert not recheck(payment, clock, monkeypatch, closed), "once a day"
    assert again(payment).recheck_at is None


def test_money_that_nobody_told_us_about_is_found_by_the_recheck(monkeypatch):
    order = factories.a_closed_order(**NOTIFY)
    payment, clock = the_payment(order), FakeClock()
    clock.now += timedelta(days=1)
    assert recheck(payment, clock, monkeypatch, Accepted(facts=paid(order)))
    assert again(order).status == OrderStatus.SUCCEEDED_LATE
    assert again(payment).recheck_at is None


@pytest.mark.parametrize("answer", [Unknown(reason="deadline"), Rejected(code="40006", account_refused=True)])
def test_a_recheck_without_an_answer_comes_again_soon_and_is_none_of_the_three(monkeypatch, answer):
    payment, clock = the_payment(factories.a_closed_order()), FakeClock()
    clock.now += timedelta(days=1)
    for _time in range(5):
        assert recheck(payment, clock, monkeypatch, answer)
        assert again(payment).recheck_at == clock.now + rechecks.AGAIN_AFTER
        clock.now += rechecks.AGAIN_AFTER
    assert recheck(payment, clock, monkeypatch, Accepted(facts=paid(payment.order)))
    assert again(payment).status == PaymentStatus.SUCCEEDED


def test_a_paid_payment_is_not_asked_about_again():
    assert the_payment(factories.a_paid_order()).recheck_at is None


def wait_until_somebody_waits_for_a_row():
    ends_at = time.monotonic() + 10
    with connection.cursor() as cursor:
        while time.monotonic() < ends_at:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")


def test_closing_the_other_try_does_not_undo_the_claim_of_a_worker_that_has_just_taken_it():
    """Else two workers would hold one claim, and the channel would count as never asked."""
    _order, first, second = both_payable()
    outcomes = []

    def pay_first():
        try:
            told_paid(first, "4200A")
            outcomes.append("done")
        finally:
            connection.close()

    thread = threading.Thread(target=pay_first)
    before = again(second).asked_count
    Payment.objects.filter(pk=second.pk).update(next_check_at=NOW)
    with transaction.atomic():
        assert Payment.claim(second.pk, now=NOW, lease=timedelta(seconds=30))
        thread.start()
        wait_until_somebody_waits_for_a_row()
    thread.join()
    other = again(second)
    assert (outcomes, other.status) == (["done"], PaymentStatus.CLOSING)
    assert (other.asked_count, other.lease_until) == (before + 1, NOW + timedelta(seconds=30))
