"""The page of an order: four answers first, then the whole story in the order in which it happened."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import translation
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from openplatform.models import Notification, NotificationAttempt
from payments.channels.base import Accepted, RefundState, Rejected, TradeFacts, TradeState, Unknown
from payments.console.answers import answers
from payments.console.order_file import read_order_file
from payments.console.timeline import timeline
from payments.models import OrderPolicy, Payment
from payments.operations import orders, payments, refunds
from tests import factories
from tests.payments.console import stories
from tests.payments.console.conftest import page_url, shown

pytestmark = pytest.mark.django_db
NOW = factories.NOW


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


def said(order, *, now=NOW):
    """The first line of each answer, with its tone."""
    found = answers(read_order_file(factories.again(order)), now=now)
    return [(answer.tone, answer.said[0].text) for answer in found]


def everything_said(order, *, now=NOW):
    return [line.text for answer in answers(read_order_file(factories.again(order)), now=now) for line in answer.said]


def test_an_order_that_was_just_made_waits_for_the_channel():
    assert said(factories.a_submitting_order(notify_url=stories.NOTIFY_URL)) == [
        ("busy", "Not yet"),
        ("busy", "The channel's answer to our request (asked 0 times)"),
        ("busy", "Now: due since 2026-01-02 12:00:00 (payment)"),
        ("quiet", "There is nothing to tell yet"),
    ]


def test_an_order_whose_answer_was_lost_may_have_been_paid():
    order = factories.a_submitting_order()
    payments.record_create(claimed=factories.the_payment(order), answer=Unknown(reason="deadline"), now=NOW)
    paid, waiting, _asked, _told = said(order)
    assert paid == ("warn", "Not known: the payer may have paid")
    assert waiting == ("warn", "A clear answer of the channel (asked 0 times, last answer: deadline)")


def test_an_order_that_can_be_paid_waits_for_the_payer_and_says_when_we_ask():
    order = factories.a_paying_order()
    Payment.objects.filter(order=order).update(next_check_at=NOW + timedelta(seconds=15), asked_count=1)
    assert said(order)[:3] == [
        ("busy", "Not yet"),
        ("busy", "The payer, until 2026-01-02 14:00:00 (asked once)"),
        ("busy", "In 15 s, at 2026-01-02 12:00:15 (payment)"),
    ]


def test_a_check_that_nobody_does_is_bad_news():
    order = factories.a_submitting_order()
    tone, text = said(order, now=NOW + timedelta(minutes=3))[2]
    assert tone == "bad"
    assert text.startswith("Overdue for 3 min, since 2026-01-02 12:00:00 (payment)")


def test_a_check_that_a_worker_is_doing_is_said_so():
    order = factories.a_submitting_order()
    Payment.claim(factories.the_payment(order).pk, now=NOW, lease=timedelta(seconds=30))
    assert said(order, now=NOW + timedelta(seconds=1))[2] == ("busy", "A worker is asking right now")


def test_an_order_that_is_being_closed_may_still_have_been_paid():
    order = factories.a_paying_order()
    orders.close_order(app=order.app, order_no=order.pk, now=NOW)
    assert said(order)[0] == ("warn", "Not known: the payer may have paid")
    assert said(order)[1] == ("busy", "The channel's word that it is closed (asked 0 times)")


def test_a_closed_order_is_decided():
    order = factories.a_closed_order()
    assert said(order) == [
        ("quiet", "No: it is closed, and the channel confirmed it"),
        ("good", "Nothing: it is decided."),
        ("quiet", "Never: there is nothing left to ask."),
        ("quiet", "No: the order names no notify URL, the merchant asks us"),
    ]


def test_a_refused_order_says_by_which_code():
    order = factories.a_submitting_order()
    answer = Rejected(code="NO_AUTH", message="no")
    payments.record_create(claimed=factories.the_payment(order), answer=answer, is_unknown_there=True, now=NOW)
    assert said(order)[0] == ("quiet", "No: the channel refused it")
    assert "refused: NO_AUTH" in everything_said(order)


def test_a_paid_order_says_how_much_when_and_by_which_number():
    order = factories.a_paid_order()
    assert said(order)[0] == ("good", "Yes, 40.30 yuan")
    number = factories.the_payment(order).channel_trade_no
    assert f"paid at 2026-01-02 12:00:00, channel's number {number}" in everything_said(order)


def test_money_that_came_after_a_close_needs_a_person_where_the_merchant_wants_one_to_decide():
    order = factories.a_closed_order()
    OrderPolicy.choose(app=order.app, late_payment="hold")
    payment = factories.the_payment(order)
    payments.record_query(claimed=payment, answer=Accepted(facts=factories.paid(order)), now=NOW)
    paid, waiting, *_rest = said(order)
    assert paid == ("warn", "Yes, 40.30 yuan, but after we had called it closed")
    assert waiting == ("bad", "A person: case “paid after close”")


def test_refunds_are_told_by_what_came_back_and_what_is_on_its_way():
    order = factories.a_paid_order()
    stories.a_finished_refund(order, now=NOW)
    open_refund = factories.a_submitting_refund(order=factories.again(order), amount_fen=30)
    lines = everything_said(order)
    assert "10.00 yuan returned" in lines
    assert "0.30 yuan on the way back" in lines
    assert f"The channel, for a refund of 0.30 yuan: submitting ({open_refund.pk})" in lines
    assert "Now: due since 2026-01-02 12:00:00 (refund)" in lines


def test_a_refund_that_cannot_reach_the_payer_needs_a_person():
    refund = factories.a_submitting_refund()
    answer = Accepted(facts=factories.refund_said(refund, RefundState.ABNORMAL))
    refunds.record_refund(claimed=refund, answer=answer, now=NOW)
    assert said(refund.order)[1][0] == "bad"
    assert f"A person, for a refund of 10.00 yuan: needs a person ({refund.pk})" in everything_said(refund.order)


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda n: None, ("busy", "Not yet: order.succeeded, next attempt at 2026-01-02 12:00:00, 0 so far")),
        (
            lambda n: stories.tell(n, now=NOW, status_code=500),
            ("warn", "Not yet: order.succeeded, next attempt at 2026-01-02 12:00:15, 1 so far"),
        ),
        (
            lambda n: stories.tell(n, now=NOW, status_code=204),
            ("good", "Yes: order.succeeded at 2026-01-02 12:00:00, attempt 1"),
        ),
        (lambda n: n.hold(), ("bad", "No: order.succeeded was given up after 0 attempts; replay it")),
        (lambda n: n.stop(), ("warn", "No: order.succeeded is not wanted, their server said 410")),
    ],
    ids=["owed", "tried", "delivered", "held", "gone"],
)
def test_whether_the_merchant_was_told(prepare, expected):
    order = factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    prepare(stories.the_notification(order))
    assert said(order)[3] == expected


def test_a_notification_that_nobody_sends_is_bad_news():
    order = factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    tone, text = said(order, now=NOW + timedelta(minutes=5))[3]
    assert tone == "bad"
    assert "overdue since 2026-01-02 12:00:00" in text


def test_an_ended_order_that_owes_nothing_although_it_should_is_bad_news():
    order = factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    file = replace(read_order_file(order), notifications=[])  # the database lets nobody remove one
    assert answers(file, now=NOW)[3].said == [("bad", "Nothing was owed, although the order ended")]


def test_the_worst_news_comes_first():
    order = factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    stories.tell(stories.the_notification(order), now=NOW, status_code=204)
    refund = stories.a_finished_refund(order, now=NOW)
    Notification.objects.get(object_no=refund.pk).hold()
    assert said(order)[3] == ("bad", "No: refund.succeeded was given up after 0 attempts; replay it")
    assert "Yes: order.succeeded at 2026-01-02 12:00:00, attempt 1" in everything_said(order)


def codes(order):
    return [(moment.icon, moment.code) for moment in timeline(read_order_file(order))]


def test_the_timeline_tells_everything_once_and_in_order():
    assert codes(stories.a_long_story()) == [
        ("call_received", "TRANSACTION.SUCCESS"),
        ("receipt_long", "SUBMITTED"),
        ("payments", "ACCEPTED"),
        ("receipt_long", "ACCEPTED"),
        ("payments", "PAID"),
        ("receipt_long", "PAID"),
        ("account_balance", "payment"),
        ("outgoing_mail", "order.succeeded"),
        ("send", "order.succeeded"),
        ("send", "order.succeeded"),
        ("undo", "SUBMITTED"),
        ("undo", "SUCCEEDED"),
        ("account_balance", "refund"),
        ("outgoing_mail", "refund.succeeded"),
        ("report", "AMOUNT_MISMATCH"),
    ]


@pytest.mark.parametrize(
    ("outcome", "tone", "words"),
    [
        ({"status_code": 401}, "good", "refused a notification that we had signed wrongly, as it should (HTTP 401)"),
        ({"status_code": 200}, "bad", "took a notification that we had signed wrongly, and a forger's too (HTTP 200)"),
        ({"status_code": 502}, "quiet", "signed wrongly was neither taken nor refused (HTTP 502)"),
        (
            {"status_code": None, "error": "deadline"},
            "quiet",
            "signed wrongly was neither taken nor refused (deadline)",
        ),
    ],
    ids=["refused", "taken", "broken", "silent"],
)
def test_a_wrongly_signed_notification_is_no_second_delivery_and_is_well_when_it_is_refused(outcome, tone, words):
    order = factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    notification = stories.the_notification(order)
    stories.tell(notification, now=NOW, status_code=204)
    notification.refresh_from_db()
    notification.count_sign_test()
    NotificationAttempt.record(claimed=notification, attempted_at=NOW, duration_ms=6, **outcome)
    assert said(order)[3] == ("good", "Yes: order.succeeded at 2026-01-02 12:00:00, attempt 1")
    last = timeline(read_order_file(order))[-1]
    assert last.tone == tone
    assert last.what.endswith(words)
    notification.replay(now=NOW)
    stories.tell(notification, now=NOW, status_code=204)
    assert said(order)[3] == ("good", "Yes: order.succeeded at 2026-01-02 12:00:00, attempt 3")


def test_the_timeline_says_from_where_to_where_and_because_of_what():
    order = factories.a_submitting_order()
    payments.record_create(claimed=factories.the_payment(order), answer=Unknown(reason="deadline"), now=NOW)
    lost = [moment for moment in timeline(read_order_file(order)) if moment.code == "LOST"]
    assert {(moment.from_status, moment.to_status, moment.because) for moment in lost} == {
        ("SUBMITTING", "UNKNOWN", "deadline")
    }


def test_another_orders_story_is_not_told():
    stories.a_long_story()
    assert codes(factories.a_submitting_order()) == [("receipt_long", "SUBMITTED")]


def test_debits_and_credits_of_each_entry_add_up_to_the_same():
    entries = [moment.lines for moment in timeline(read_order_file(stories.a_long_story())) if moment.lines]
    assert [[(line.debit, line.credit) for line in lines] for lines in entries] == [
        [("40.30", ""), ("", "40.30")],
        [("", "10.00"), ("10.00", "")],
    ]


def test_a_trace_leads_to_its_waterfall(auditor):
    context = SpanContext(int(stories.TRACE_ID, 16), 1, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        order = factories.a_submitting_order()
    page = shown(auditor.get(page_url(order)))
    assert f'href="/console/trace/{stories.TRACE_ID}/"' in page


def test_nothing_leads_to_a_trace_where_there_is_none(auditor):
    order = factories.a_submitting_order()
    assert "/console/trace/" not in shown(auditor.get(page_url(order)))


def test_pages_of_payment_refund_and_notification_lead_back_to_the_order(auditor):
    order = stories.a_long_story()
    for row in (factories.the_payment(order), order.refunds.get()):
        assert f'href="{page_url(order)}"' in shown(auditor.get(page_url(row)))
    page = shown(auditor.get(page_url(stories.the_notification(order))))
    assert f'href="/console/payments/order/find/?number={order.pk}"' in page


def test_the_page_shows_the_answers_before_the_fields_and_the_story(auditor):
    page = shown(auditor.get(page_url(stories.a_long_story())))
    places = [page.index(text) for text in ("Was it paid?", "Was the merchant told?", "Order no.", "Timeline")]
    assert places == sorted(places)


def test_what_others_wrote_is_shown_as_text_and_never_as_markup(auditor):
    order = factories.a_paid_order(subject="<script>1</script>", notify_url=stories.NOTIFY_URL, metadata={"a": "<b>"})
    claimed = Notification.claim(stories.the_notification(order).pk, now=NOW)
    claimed.attempts.create(
        attempt_no=1, attempted_at=NOW, duration_ms=1, status_code=500, response_excerpt="<i>no</i>"
    )
    page = shown(auditor.get(page_url(order)))
    for markup in ("<script>1", "<b>", "<i>no"):
        assert markup not in page
    assert "&lt;i&gt;no&lt;/i&gt;" in page


def test_a_story_that_is_too_long_says_that_it_is_cut(auditor, monkeypatch):
    monkeypatch.setattr("payments.console.order_file.ROWS_MAX", 3)
    order = stories.a_long_story()
    assert "There are more rows than are shown here" in shown(auditor.get(page_url(order)))


def test_a_payment_that_was_asked_about_says_what_the_channel_said():
    order = factories.a_paying_order()
    facts = TradeFacts(state=TradeState.NOT_PAID, payment_no=factories.the_payment(order).pk)
    payments.record_query(claimed=factories.the_payment(order), answer=Accepted(facts=facts), now=NOW)
    assert "last answer: " in said(order)[1][1]
