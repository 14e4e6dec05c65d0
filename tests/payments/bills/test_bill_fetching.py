"""Bills from a real channel: whole, checked, read and kept; and whatever is wrong with one."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from openplatform.models import Alarm
from payments.models import Bill, BillFile, BillFinding, BillFlowRow, BillRow, BillUnreadableRow
from payments.operations import bills, schedules
from payments.states import BillStatus
from tests import factories
from tests.factories import again, the_payment
from tests.payments.bills.conftest import CHANNELS, DAY, at

both = pytest.mark.parametrize("channel", CHANNELS)


def refunded_order(world, amount_fen=1030):
    order = world.paid_order()
    refund = factories.a_submitting_refund(order=order, amount_fen=amount_fen, now=world.now())
    for _ in range(8):
        refund = world.drive_refund(refund)
        if refund.status == "SUCCEEDED":
            return again(order), refund
    raise AssertionError(refund.last_answer)


@both
def test_the_bill_of_a_day_is_fetched_in_the_morning_after_and_its_rows_are_our_words(world):
    order, refund = refunded_order(world)
    payment = the_payment(order)
    bill = world.fetch()
    assert (bill.status, bill.bill_date, bill.next_check_at) == (BillStatus.FETCHED, DAY, None)
    paid, back = BillRow.objects.filter(file=bill.newest_file).order_by("line_no")
    assert (paid.kind, paid.payment_no, paid.amount_fen, paid.settled_fen) == ("payment", payment.pk, 4030, 4030)
    assert (paid.fee_millifen, paid.state, paid.channel_trade_no) == (24_000, "PAID", payment.channel_trade_no)
    assert paid.at == payment.paid_at
    assert (back.kind, back.refund_no, back.payment_no) == ("refund", refund.pk, payment.pk)
    assert (back.amount_fen, back.fee_millifen, back.state) == (1030, -6_000, "SUCCEEDED")
    file = bill.newest_file
    assert (file.row_count, file.unreadable_count, file.is_sound) == (2, 0, True)
    assert file.counted["paid_fen"] == 4030
    assert set(file.told).issubset(file.counted)
    assert b"".join(file.content())[:2] == {"wechatpay": b"\x1f\x8b", "alipay": b"PK"}[world.channel]


@both
def test_the_fund_flow_lists_money_and_fees_and_adds_up(world):
    refunded_order(world)
    bill = world.fetch(kind="fund_flow")
    assert (bill.status, bill.newest_file.is_sound) == (BillStatus.FETCHED, True)
    rows = BillFlowRow.objects.filter(file=bill.newest_file).order_by("line_no")
    moved = [row.amount_fen for row in rows]
    expected = {"wechatpay": [4030, -24, -1024], "alipay": [4030, -24, -1030, 6]}
    assert moved == expected[world.channel]
    assert [row.balance_fen for row in rows][-1] - rows[0].balance_fen == sum(moved[1:])
    assert bill.newest_file.told["in_fen"] == bill.newest_file.counted["in_fen"]


def alarms():
    return list(Alarm.objects.filter(closed_at=None).order_by("pk").values_list("kind", flat=True))


@both
@pytest.mark.parametrize(
    ("fault", "waits_s"),
    [("bill_not_ready", 1800), ("unknown_not_done", 60), ("timeout_not_done", 60), ("wrong_signature", 60),
     ("bad_gateway_html", 60), ("frequency_limited_not_done", 60), ("bad_json", 60), ("bill_expired_token", 60),
     ("half_body", 60), ("connection_reset", 60), ("redirect_loop", 60)],
)  # fmt: skip
def test_a_bill_that_does_not_come_is_asked_for_again_until_it_does(world, fault, waits_s):
    world.paid_order()
    world.travel(at(10, days=1))
    world.control.add_fault("bill", fault, times=2, channel=world.channel)
    for _ in range(2):
        bill = world.fetch()
        assert (bill.status, BillFile.objects.count()) == (BillStatus.WAITED_FOR, 0)
        # The second time it may wait for longer.
        assert bill.next_check_at >= world.now() + timedelta(seconds=waits_s - 10)
    assert world.fetch().status == BillStatus.FETCHED
    assert alarms() == []


SPOILED = {
    "wechatpay": {"bill_wrong_hash": "not the one with that hash", "bill_bomb": "more than was allowed for"},
    "alipay": {
        "bill_truncated_zip": "not a whole zip file",
        "bill_no_end_marker": "the bill ends without its marker",
        "bill_bomb": "more than was allowed for",
    },
}


@pytest.mark.parametrize(
    ("channel", "fault", "why"), [(name, fault, why) for name in CHANNELS for fault, why in SPOILED[name].items()]
)
def test_a_file_that_is_not_whole_is_no_bill(world, settings, fault, why):
    settings.BILL_UNPACKED_BYTES_MAX = 100_000
    world.paid_order()
    world.control.add_fault("bill", fault, times=1, channel=world.channel)
    bill = world.fetch()
    assert (bill.status, bill.last_answer) == (BillStatus.WAITED_FOR, f"file: {why}")
    assert not BillFile.objects.exists()
    assert not BillRow.objects.exists()
    assert world.fetch().status == BillStatus.FETCHED


FILE_TROUBLE = {
    "slow_drip": "deadline", "hang": "deadline", "huge_body": "body_too_large", "half_body": "connection_broken",
    "connection_reset": "connection_broken", "bad_gateway_html": "HTTP 502", "redirect_loop": "HTTP 307",
}  # fmt: skip


@both
@pytest.mark.parametrize("fault", FILE_TROUBLE)
def test_a_download_ends_by_its_deadline_and_its_size_and_the_channel_counts_as_well(world, settings, fault):
    """Where files are kept there may be trouble that payments know nothing of: the breaker does not hear of it."""
    settings.BILL_BYTES_MAX = 1_000_000
    world.paid_order()
    world.travel(at(10, days=1))
    world.control.add_fault("bill_file", fault, times=6, channel=world.channel)
    for _ in range(6 if fault == "bad_gateway_html" else 1):
        bill = world.fetch()
        assert (bill.status, bill.last_answer) == (BillStatus.WAITED_FOR, f"file: {FILE_TROUBLE[fault]}")
    assert world.breaker.may_call()
    world.control.call("DELETE", "faults")
    assert world.fetch().status == BillStatus.FETCHED


def test_behind_an_open_breaker_a_bill_waits(world):
    world.paid_order()
    world.travel(at(10, days=1))
    for _ in range(5):
        world.breaker.record(failed=True)
    bill = world.fetch()
    assert (bill.status, bill.last_answer) == (BillStatus.WAITED_FOR, "breaker open")
    assert world.control.calls(operation="bill") == []
    world.breaker.reset()
    assert world.fetch().status == BillStatus.FETCHED


@pytest.mark.parametrize(
    ("channel", "fault"),
    [("wechatpay", "bill_extra_column"), ("wechatpay", "bill_float_count"), ("alipay", "bill_utf8")],
)
def test_another_column_another_way_to_count_or_another_encoding_is_still_the_same_bill(world, fault):
    order = world.paid_order()
    world.control.add_fault("bill", fault, times=1, channel=world.channel)
    bill = world.fetch()
    row = BillRow.objects.get(file=bill.newest_file)
    assert (row.payment_no, row.amount_fen, bill.newest_file.is_sound) == (the_payment(order).pk, 4030, True)


@both
def test_a_strangers_row_is_kept_under_its_own_number(world):
    world.paid_order()
    world.control.add_fault("bill", "bill_extra_row", times=1, channel=world.channel)
    file = world.fetch().newest_file
    (foreign,) = BillRow.objects.filter(file=file, payment_no=None)
    assert foreign.foreign_no.startswith("X")
    assert (file.is_sound, BillFinding.objects.count()) == (True, 0)


@both
def test_what_a_bill_and_our_books_say_differently_is_written_down_and_nothing_else(world):
    orders = {the_payment(order).pk: order for order in (world.paid_order(), world.paid_order())}
    world.control.add_fault("bill", "bill_missing_row", times=1, channel=world.channel)
    file = world.fetch().newest_file
    lacking = BillFinding.objects.get(file=file)
    listed = BillRow.objects.get(file=file).payment_no
    assert (lacking.kind, lacking.ours_fen) == ("not_in_bill", 4030)
    assert {lacking.payment_id, listed} == set(orders)
    world.control.add_fault("bill", "bill_amount_differs", times=1, channel=world.channel)
    second = world.fetch_again().newest_file
    differing = BillFinding.objects.get(file=second)
    assert (differing.kind, differing.ours_fen, differing.told_fen) == ("amount_differs", 4030, 4031)
    assert {again(order).status for order in orders.values()} == {"SUCCEEDED"}


@both
def test_the_same_bill_fetched_again_is_the_same_file(world):
    world.paid_order()
    first = world.fetch()
    world.later(3600)
    second = world.fetch_again()
    assert (second.newest_file_id, second.next_check_at) == (first.newest_file_id, None)
    assert (BillFile.objects.count(), BillRow.objects.count(), alarms()) == (1, 1, [])


@both
def test_a_bill_that_says_something_else_the_second_time_is_kept_beside_the_first_and_a_person_is_called(world):
    world.paid_order()
    first = world.fetch()
    world.control.add_fault("bill", "bill_amount_differs", times=1, channel=world.channel)
    second = world.fetch_again()
    assert [file.version_no for file in BillFile.objects.order_by("version_no")] == [1, 2]
    assert (second.newest_file.version_no, alarms()) == (2, ["bill_changed"])
    assert [row.amount_fen for row in BillRow.objects.order_by("pk")] == [4030, 4031]
    third = world.fetch_again()
    assert third.newest_file_id == first.newest_file_id, "it says again what it said at first: no third file"
    assert BillFile.objects.count() == 2


@both
def test_two_workers_at_once_fetch_a_bill_once(world):
    world.paid_order()
    world.travel(at(10, days=1))
    world.plan()
    bill = world.bill()
    outcomes = []

    def work():
        try:
            outcomes.append(bills.fetch_bill(bill_id=bill.pk, clock=world.now))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]
    assert len(world.control.calls(operation="bill_file")) == 1
    assert (BillFile.objects.count(), BillRow.objects.count()) == (1, 1)


def test_a_worker_that_was_too_slow_stores_nothing_over_the_next_one(world):
    world.paid_order()
    world.travel(at(10, days=1))
    world.plan()
    slow = Bill.claim(world.bill().pk, now=world.now(), lease=schedules.bill_lease())
    world.travel(world.now() + schedules.bill_lease() + timedelta(seconds=1))
    assert world.fetch().status == BillStatus.FETCHED
    bills.record_answer(claimed=slow, answer=bills.Empty(is_certain=True), now=world.now())
    assert (world.bill().status, BillFile.objects.count()) == (BillStatus.FETCHED, 1)


def test_a_day_without_trades_is_empty_at_once_where_the_channel_has_a_word_for_it(world):
    bill = world.fetch()
    assert (bill.status, bill.next_check_at, bill.newest_file) == (BillStatus.EMPTY, None, None)


def test_a_bill_that_comes_although_there_was_to_be_none_is_kept_and_a_person_is_called(world):
    world.paid_order()
    world.control.add_fault("bill", "bill_missing", times=1)
    assert world.fetch().status == BillStatus.EMPTY
    bill = world.fetch_again()
    assert (bill.status, bill.newest_file.row_count, alarms()) == (BillStatus.FETCHED, 1, ["bill_changed"])


@pytest.mark.parametrize("channel", ["alipay"])
def test_where_empty_and_not_ready_are_one_word_it_counts_when_it_was_said_often_and_late_in_the_day(world):
    said = []
    for _ in range(12):
        bill = world.fetch()
        said.append(bill.status)
        if bill.status == BillStatus.EMPTY:
            break
        assert bill.next_check_at >= world.now() + timedelta(minutes=29)
    assert set(said[:-1]) == {BillStatus.WAITED_FOR}
    assert said[-1] == BillStatus.EMPTY
    assert at(12, days=1) <= world.now() < at(13, days=1)
    assert len(said) > schedules.EVIDENCE_COUNT


@pytest.mark.parametrize("channel", ["alipay"])
def test_it_is_never_believed_against_our_own_books(world):
    world.paid_order()
    world.travel(at(15, days=1))
    world.control.add_fault("bill", "bill_missing", times=6, channel="alipay")
    for _ in range(6):
        assert world.fetch().status == BillStatus.WAITED_FOR
    assert world.fetch().status == BillStatus.FETCHED


@both
def test_a_bill_that_has_not_come_after_a_day_calls_a_person_and_is_asked_for_now_and_then(world):
    world.paid_order()
    world.travel(at(10, days=1))
    world.control.add_fault("bill", "bill_not_ready", channel=world.channel)
    world.fetch()
    world.travel(at(10, 5, days=2))
    world.plan()
    assert (world.bill().status, "bill_missing" in alarms()) == (BillStatus.MISSING, True)
    world.plan()
    assert Alarm.objects.filter(key__endswith=f"trade:{DAY}").count() == 1
    bill = world.fetch()
    assert bill.status == BillStatus.MISSING
    assert bill.next_check_at >= world.now() + timedelta(hours=5)
    world.control.call("DELETE", "faults")
    assert world.fetch().status == BillStatus.FETCHED
    assert not Alarm.objects.filter(key__endswith=f"trade:{DAY}", closed_at=None).exists()


def test_a_bill_that_the_account_may_not_have_calls_a_person_once_after_it_was_said_three_times(world):
    world.paid_order()
    world.travel(at(10, days=1))
    world.control.add_fault("bill", "error", params={"error": "NO_AUTH"})
    statuses = [world.fetch().status for _ in range(3)]
    assert statuses == [BillStatus.WAITED_FOR, BillStatus.WAITED_FOR, BillStatus.REFUSED]
    world.fetch()
    assert alarms() == ["bill_refused"]
    world.control.call("DELETE", "faults")
    assert world.fetch().status == BillStatus.FETCHED
    assert alarms() == []


@both
def test_what_was_written_down_once_cannot_be_changed_or_removed(world):
    refunded_order(world)
    world.fetch()
    world.fetch(kind="fund_flow")
    bill, file = world.bill(), world.bill().newest_file
    refused = pytest.raises(IntegrityError, match="refused")
    for rows in (BillRow.objects, BillFlowRow.objects, file.parts):
        with refused, transaction.atomic():
            rows.all().delete()
    with refused, transaction.atomic():
        BillRow.objects.update(amount_fen=1)
    with refused, transaction.atomic():
        BillFile.objects.filter(pk=file.pk).update(is_sound=False)
    for change in ({"bill_date": DAY + timedelta(days=1)}, {"status": "EMPTY", "newest_file": None}):
        with refused, transaction.atomic():
            Bill.objects.filter(pk=bill.pk).update(**change)
    assert not BillUnreadableRow.objects.exists()
