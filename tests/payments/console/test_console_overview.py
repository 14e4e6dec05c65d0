"""The first page: today's money from the ledger, what waits, and the last days."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from openplatform.models import Notification
from payments.channels.base import Accepted, Unknown
from payments.console.dashboard import dashboard
from payments.console.figures import read_figures
from payments.models import Case
from payments.operations import payments, refunds
from tests import factories
from tests.payments.console import stories
from tests.payments.console.conftest import shown

pytestmark = pytest.mark.django_db
NOON = factories.NOW  # 12:00 in Shanghai
MIDNIGHT = NOON - timedelta(hours=12)


def cards(rf, client_user, now, monkeypatch):
    request = rf.get("/console/")
    request.user = client_user
    monkeypatch.setattr("payments.console.dashboard.timezone.now", lambda: now)
    with translation.override("en"):
        return {card.title: card for card in dashboard(request, {})["cards"]}


@pytest.fixture
def cards_at(rf, admin_user, monkeypatch):
    return lambda now: cards(rf, admin_user, now, monkeypatch)


def test_todays_money_begins_at_midnight_in_shanghai(cards_at):
    factories.a_paid_order(now=MIDNIGHT - timedelta(seconds=1), amount_fen=1)
    factories.a_paid_order(now=MIDNIGHT, amount_fen=4030)
    order = factories.a_paid_order(now=NOON, amount_fen=1999)
    stories.a_finished_refund(order, now=NOON)
    today = cards_at(NOON + timedelta(minutes=1))
    assert (today["Paid today (yuan)"].value, today["Paid today (yuan)"].detail) == ("60.29", "2 payments")
    assert (today["Refunded today (yuan)"].value, today["Refunded today (yuan)"].detail) == ("10.00", "1 refund")
    assert today["Orders created today"].value == "2"


def test_with_nothing_waiting_everything_is_calm(cards_at):
    assert {card.tone for card in cards_at(NOON).values()} <= {"good", "quiet"}


def test_what_is_not_known_is_counted_with_the_age_of_the_oldest(cards_at):
    for minutes in (7, 3):
        order = factories.a_submitting_order(now=NOON - timedelta(minutes=minutes))
        payments.record_create(claimed=factories.the_payment(order), answer=Unknown(reason="x"), now=NOON)
    refund = factories.a_submitting_refund(now=NOON - timedelta(hours=2))
    refunds.record_refund(claimed=refund, answer=Unknown(reason="x"), now=NOON)
    found = cards_at(NOON)
    card = found["Payments not known"]
    assert (card.value, card.detail, card.tone) == ("2", "the oldest for 7 min", "warn")
    card = found["Refunds not known"]
    assert (card.value, card.detail, card.tone) == ("1", "the oldest for 2 h", "warn")


def test_open_cases_and_notifications_that_were_given_up_ask_for_a_person(cards_at):
    order = factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    stories.the_notification(order).hold()
    Case.report(kind=Case.Kind.DUPLICATE_PAID, key="x", now=NOON - timedelta(days=3), order=order)
    found = cards_at(NOON)
    assert (found["Open cases"].value, found["Open cases"].detail) == ("1", "the oldest for 3 d")
    assert (found["Open cases"].tone, found["Notifications given up"].tone) == ("bad", "bad")
    assert found["Notifications given up"].value == "1"


def test_a_backlog_is_bad_news_only_once_it_is_overdue(cards_at):
    factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    assert cards_at(NOON + timedelta(minutes=1))["Notifications to be sent"].tone == "good"
    card = cards_at(NOON + timedelta(minutes=10))["Notifications to be sent"]
    assert (card.value, card.detail, card.tone) == ("1", "the oldest is overdue for 10 min", "bad")


def test_each_card_leads_to_a_list_that_shows_what_it_counts(auditor, cards_at):
    order = factories.a_submitting_order()
    payments.record_create(claimed=factories.the_payment(order), answer=Unknown(reason="x"), now=NOON)
    paid = factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    stories.the_notification(factories.a_paid_order(notify_url=stories.NOTIFY_URL)).hold()
    Case.report(kind=Case.Kind.DUPLICATE_PAID, key="x", now=NOON, order=paid)
    for title in ("Payments not known", "Open cases", "Notifications given up", "Notifications to be sent"):
        card = cards_at(NOON)[title]
        response = auditor.get(card.url)
        assert len(response.context["cl"].result_list) == int(card.value) == 1, title


def test_the_last_days_end_today_and_leave_no_day_out():
    factories.a_paid_order(now=NOON - timedelta(days=13), amount_fen=200)
    factories.a_paid_order(now=NOON - timedelta(days=14), amount_fen=999)
    factories.a_paid_order(now=NOON, amount_fen=400)
    days = read_figures(now=NOON).days
    assert [day.day for day in days] == [(NOON - timedelta(days=13 - number)).date() for number in range(14)]
    assert (days[0].paid_fen, days[0].paid_height) == (200, 50)
    assert (days[-1].paid_fen, days[-1].paid_height) == (400, 100)
    assert {day.paid_fen for day in days[1:-1]} == {0}


def test_the_smallest_amount_beside_the_largest_is_still_seen():
    factories.a_paid_order(now=NOON - timedelta(days=1), amount_fen=1)
    factories.a_paid_order(now=NOON, amount_fen=999_999_999)
    assert [day.paid_height for day in read_figures(now=NOON).days[-2:]] == [1, 100]


def test_a_handful_of_questions_fills_the_page_however_much_there_is(auditor):
    def questions():
        with CaptureQueriesContext(connection) as captured:
            shown(auditor.get(reverse("admin:index")))
        return len(captured)

    questions()
    few = questions()
    for _ in range(3):
        stories.a_long_story(now=timezone.now())
    assert questions() == few
    assert few <= 16


def test_the_questions_for_what_waits_are_answered_by_indexes():
    """By their plans, on a server that is told to scan a table only when there is no index."""
    factories.a_paid_order(notify_url=stories.NOTIFY_URL)
    with CaptureQueriesContext(connection) as captured:
        read_figures(now=NOON)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in captured:
            cursor.execute("EXPLAIN " + query["sql"])
            plan = "\n".join(row[0] for row in cursor.fetchall())
            scanned = plan.count("Seq Scan")
            assert scanned == 0, (query["sql"], plan)
    assert len(captured) == 8


def test_the_sidebar_counts_open_cases(auditor):
    def badges():
        groups = auditor.get(reverse("admin:index")).context["sidebar_navigation"]
        return [item["badge"] for group in groups for item in group["items"] if "badge" in item]

    assert badges() == []
    Case.report(kind=Case.Kind.DUPLICATE_PAID, key="x", now=NOON)
    assert badges() == ["1"]


@pytest.mark.parametrize(("sandbox", "badge"), [(True, "Sandbox"), (False, "Production")])
def test_every_page_says_whether_the_money_is_real(auditor, settings, sandbox, badge):
    settings.CASHIER_SANDBOX = sandbox
    for url in (reverse("admin:index"), reverse("admin:payments_order_changelist")):
        assert badge in shown(auditor.get(url))


def test_answers_of_the_channel_that_came_meanwhile_leave_the_page(cards_at):
    order = factories.a_submitting_order()
    payments.record_create(claimed=factories.the_payment(order), answer=Unknown(reason="x"), now=NOON)
    assert cards_at(NOON)["Payments not known"].value == "1"
    payments.record_query(claimed=factories.the_payment(order), answer=Accepted(facts=factories.paid(order)), now=NOON)
    assert cards_at(NOON)["Payments not known"].value == "0"
    assert Notification.objects.count() == 0
