"""Lists: money as text, one search box for every number, filters, and no query for each row."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from openplatform.models import Notification
from payments.console import base
from payments.models import Callback, Case, LedgerEntry, Order, Payment, Refund, StateEvent
from tests import factories
from tests.payments.console import stories
from tests.payments.console.conftest import list_url, page_url, shown

pytestmark = pytest.mark.django_db


def found(client, name, **query):
    """The numbers of the rows in a list."""
    response = client.get(list_url(name), query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


@pytest.fixture
def story():
    stories.a_long_story()
    return stories.a_long_story()


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (1, "0.01"),
        (100, "1.00"),
        (4030, "40.30"),
        (999_999_999, "9999999.99"),
        (9_007_199_254_740_993, "90071992547409.93"),
    ],
)
def test_money_is_shown_in_yuan_with_two_decimals(auditor, fen, text):
    order = factories.a_submitting_order(amount_fen=fen)
    cell = f'<span class="fen-money">{text}</span>'
    assert cell in shown(auditor.get(list_url("payments_order")))
    assert cell in shown(auditor.get(list_url("payments_payment")))
    assert cell in shown(auditor.get(page_url(order)))


def test_an_id_is_shown_in_full_and_can_be_copied(auditor):
    order = factories.a_submitting_order()
    page = shown(auditor.get(list_url("payments_order")))
    for number in (order.pk, order.out_trade_no):
        assert f'data-copy="{number}"' in page
    assert f'href="{page_url(order)}">{order.pk}</a>' in page


def test_times_are_those_of_shanghai(auditor):
    factories.a_submitting_order()
    assert "2026-01-02 12:00:00</time>" in shown(auditor.get(list_url("payments_order")))


def numbers_of(order):
    payment, refund = factories.the_payment(order), order.refunds.get()
    return {
        "order no.": order.pk, "merchant's order no.": order.out_trade_no, "payment no.": payment.pk,
        "channel's number": payment.channel_trade_no, "refund no.": refund.pk,
        "merchant's refund no.": refund.out_refund_no, "channel's refund no.": refund.channel_refund_no,
        "app id": order.app_id,
    }  # fmt: skip


NUMBERS = [
    "order no.", "merchant's order no.", "payment no.", "channel's number", "refund no.", "merchant's refund no.",
    "channel's refund no.", "app id",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_finds_the_rows_of_its_order_in_every_list(auditor, story, number):
    typed = f"  {numbers_of(story)[number]} "
    assert found(auditor, "payments_order", q=typed) == {story.pk}
    for name, model in (
        ("payments_payment", Payment), ("payments_refund", Refund), ("payments_ledgerentry", LedgerEntry),
        ("payments_stateevent", StateEvent), ("payments_callback", Callback), ("payments_case", Case),
    ):  # fmt: skip
        assert found(auditor, name, q=typed) == set(model.objects.filter(order=story).values_list("pk", flat=True)), (
            name
        )


@pytest.mark.parametrize("number", [*NUMBERS[:-1], "notification"])
def test_the_first_page_leads_from_any_number_to_the_order(auditor, story, number):
    numbers = numbers_of(story) | {"notification": stories.the_notification(story).pk}
    response = auditor.get(reverse("admin:payments_order_find"), {"number": numbers[number]})
    assert response.status_code == 302
    assert response.url == page_url(story)


def test_the_first_page_leads_from_a_refunds_notification_to_the_order(auditor, story):
    notification = Notification.objects.get(object_no=story.refunds.get().pk)
    response = auditor.get(reverse("admin:payments_order_find"), {"number": notification.pk})
    assert response.url == page_url(story)


def test_a_merchants_number_that_two_apps_use_leads_to_the_list(auditor):
    one, other = (factories.a_submitting_order(out_trade_no="SAME-1") for _ in range(2))
    response = auditor.get(reverse("admin:payments_order_find"), {"number": "SAME-1"})
    assert response.url == list_url("payments_order", "q=SAME-1")
    assert found(auditor, "payments_order", q="SAME-1") == {one.pk, other.pk}


@pytest.mark.parametrize("typed", ["9", "99999999999999999999999", "no such", "٣", "%", "a\0b", "'; DROP TABLE x; --"])
def test_a_number_that_nobody_has_finds_nothing_and_breaks_nothing(auditor, story, typed):
    response = auditor.get(reverse("admin:payments_order_find"), {"number": typed}, follow=True)
    assert "There is no order with the number" in shown(response)
    if "\0" not in typed:  # Django's own form refuses that one
        assert found(auditor, "payments_order", q=typed) == set()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "PAYING"}, {"paying"}),
        ({"status": ["PAYING", "SUCCEEDED"]}, {"paying", "paid"}),
        ({"status": "NO_SUCH"}, set()),
        ({"channel": "wechatpay"}, {"paying", "paid"}),
        ({"channel": "nobody"}, set()),
        ({"amount_fen_from": "40.3"}, {"paying", "paid"}),
        ({"amount_fen_from": "40.31"}, {"paid"}),
        ({"amount_fen_to": "40.30"}, {"paying"}),
        ({"amount_fen_from": "40.30", "amount_fen_to": "99.99"}, {"paying", "paid"}),
        ({"created_at_from": "2026-01-02T12:00:01"}, {"paid"}),
        ({"created_at_to": "2026-01-02T12:00:00"}, {"paying"}),
        ({"created_at_from": "2026-01-02T12:00", "created_at_to": "2026-01-02T12:10"}, {"paying", "paid"}),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_filters_narrow_the_list(auditor, query, expected):
    now = factories.NOW + timedelta(microseconds=500_000)
    rows = {
        "paying": factories.a_paying_order(now=now, amount_fen=4030),
        "paid": factories.a_paid_order(now=now + timedelta(minutes=5), amount_fen=9999),
    }
    assert found(auditor, "payments_order", **query) == {rows[name].pk for name in expected}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"amount_fen_from": "40,30"}, "is not an amount in yuan"),
        ({"amount_fen_to": "1e3"}, "is not an amount in yuan"),
        ({"amount_fen_to": "NaN"}, "is not an amount in yuan"),
        ({"created_at_from": "yesterday"}, "is not a time"),
        ({"created_at_to": "0001-01-01T00:00"}, "is not a time"),
    ],
    ids=str,
)
def test_a_filter_that_cannot_be_read_finds_nothing_and_says_why(auditor, query, said):
    factories.a_submitting_order()
    page = auditor.get(list_url("payments_order"), query)
    assert said in shown(page)
    assert len(page.context["cl"].result_list) == 0


LISTS = [
    "payments_order", "payments_payment", "payments_refund", "payments_ledgerentry", "payments_stateevent",
    "payments_callback", "payments_case", "payments_channelaccount", "payments_paycode", "openplatform_notification",
]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_asks_as_many_questions_for_many_rows_as_for_few(auditor, name):
    def questions():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            shown(auditor.get(list_url(name)))
        return len(captured)

    stories.a_long_story()
    factories.a_pay_code()
    auditor.get(list_url(name))  # content types are remembered by the process
    few = questions()
    for _ in range(3):
        stories.a_long_story()
        factories.a_pay_code()
    assert questions() == few
    assert few <= 9


def test_an_orders_page_asks_as_many_questions_for_a_long_story_as_for_a_short_one(
    auditor, django_assert_max_num_queries
):
    order = stories.a_long_story()
    for minute in (5, 6):
        stories.a_finished_refund(order, now=factories.NOW + timedelta(minutes=minute))
    with django_assert_max_num_queries(18):
        shown(auditor.get(page_url(order)))


def test_a_long_list_is_counted_no_further_than_anybody_turns_pages(auditor, monkeypatch):
    monkeypatch.setattr(base, "ROWS_COUNTED_MAX", 2)
    for _ in range(4):
        factories.a_submitting_order()
    response = auditor.get(list_url("payments_order"))
    assert "2+" in shown(response)
    assert response.context["cl"].result_count == 2


def test_a_list_without_filters_does_not_offer_to_show_all(auditor):
    factories.a_submitting_order()
    assert "Show all" not in shown(auditor.get(list_url("payments_order")))
    assert "Show all" in shown(auditor.get(list_url("payments_order"), {"status": "PAYING"}))


def test_newest_orders_come_first(auditor):
    old = factories.a_submitting_order(now=factories.NOW)
    new = factories.a_submitting_order(now=factories.NOW + timedelta(seconds=1))
    rows = [row.pk for row in auditor.get(list_url("payments_order")).context["cl"].result_list]
    assert rows == [new.pk, old.pk]
    assert Order.objects.count() == 2
