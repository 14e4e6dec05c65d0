"""The page for three o'clock at night: what is red stands first, and what an operator may do is done there."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from openplatform.alarms import raise_alarm
from openplatform.breaker import THRESHOLD, Breaker
from openplatform.heartbeats import sweep_is_done, take_watch, worker_beats
from openplatform.models import Alarm, AlarmMessage, Heartbeat
from openplatform.models.alarm import AlarmKind
from openplatform.store import circuit
from tests import factories
from tests.payments.console.conftest import list_url, page_url, shown
from tests.payments.test_work_figures import an_unknown_order

pytestmark = pytest.mark.django_db
SWEEPS = (
    "payments.sweep_payments", "payments.sweep_refunds", "openplatform.sweep_notifications",
    "openplatform.sweep_conformance",
)  # fmt: skip
NAME = "wechatpay.hung.example"
TOKEN = "a-token-of-the-bot"


@pytest.fixture(autouse=True)
def closed_circuit():
    circuit.reset()
    yield
    circuit.reset()
    Breaker(NAME).reset()


@pytest.fixture
def url():
    return reverse("console_health")


def a_crew(*, silent=False):
    app = factories.an_app()
    factories.an_alipay_account(app.merchant)
    queues = ["default", "notifications", "bills", "channel.wechatpay", "channel.alipay"]
    worker_beats(name="all@host/1", queues=queues, slots=4, clock=timezone.now)
    for name in SWEEPS:
        sweep_is_done(name=name)
    take_watch(older_than_s=0)
    if silent:
        Heartbeat.objects.update(beaten_at=timezone.now() - timedelta(hours=1))
    return app


def a_mess():
    """Orders that nobody drives, results that nobody knows, a worker that is gone, a breaker that is open."""
    now, app = timezone.now(), a_crew()
    for age_s in (20, 300, 90_000):
        an_unknown_order(app=app, channel="alipay", now=now - timedelta(seconds=age_s))
    factories.a_submitting_order(app=app, now=now - timedelta(seconds=5))
    for _ in range(THRESHOLD):
        Breaker(NAME).record(failed=True)
    raise_alarm(kind=AlarmKind.NO_WORKER, key="channel.alipay", now=now - timedelta(minutes=5))
    return app


def texts(page):
    """What stands on the page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("fen-")[2]))


@pytest.mark.parametrize("role", ["auditor", "operator", "root"])
def test_whoever_may_see_alarms_and_payments_sees_it(as_role, url, role):
    a_crew()
    client = as_role(role)
    assert "is due" in shown(client.get(url))
    assert url in shown(client.get(reverse("admin:index")))


def test_nobody_else_does(as_role, url):
    assert as_role("nobody").get(url).status_code == 403


def test_when_all_is_well_nothing_is_red(auditor, url, settings):
    settings.ALARM_WEBHOOK_URL = "https://alarms.example.com/hook"
    a_crew()
    page = shown(auditor.get(url))
    assert "fen-bad" not in page
    assert "fen-text-bad" not in page
    assert "fen-edge-warn" not in page
    assert "Open breakers" not in page


def test_what_is_red_stands_first(operator, url):
    a_mess()
    page = shown(operator.get(url))
    said = texts(page)
    order = ["Open alarms", "queue without a worker · channel.alipay", "Open breakers", NAME, "is due"]
    assert [said.index(text) for text in order] == sorted(said.index(text) for text in order)
    work = page.partition("<h2>Work</h2>")[2]
    assert work.index("Alipay · payments") < work.index("WeChat Pay · payments"), (
        "the late one before the one that is not"
    )
    assert re.search(r'fen-text-bad">1</td>\s*</tr>', work), "one that is older than a day"


def test_who_is_missing_is_seen(auditor, url):
    a_crew(silent=True)
    page = shown(auditor.get(url))
    assert "nobody looks for alarms!" in page
    queues = page.partition("<h2>Queues</h2>")[2]
    assert queues.count('fen-text-bad">0</td>') == 5


def test_without_redis_the_page_says_so(auditor, url, settings):
    a_crew()
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    page = shown(auditor.get(url))
    assert re.search(r"fen-edge-bad.*?Redis.*?does not answer", page, re.DOTALL)


def test_a_webhook_that_is_dead_is_seen_and_its_address_is_not(auditor, url, settings):
    settings.ALARM_WEBHOOK_URL = f"https://alarms.example.com/{TOKEN}?key={TOKEN}"
    a_mess()
    AlarmMessage.objects.update(last_error="errcode 93000", sent_at=timezone.now())
    page = shown(auditor.get(url))
    assert "1 not told" in page
    assert "alarms.example.com: errcode 93000" in page
    assert TOKEN not in page


def test_without_a_webhook_the_page_says_that_nobody_is_told(auditor, url):
    a_crew()
    assert "reach nobody" in shown(auditor.get(url))


@pytest.mark.django_db(transaction=True)
def test_while_a_table_is_locked_the_rest_of_the_page_is_there(root, url):
    a_crew()
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE payments_payment IN ACCESS EXCLUSIVE MODE")
        page = shown(root.get(url))
    finally:
        holder.close()
    assert "Some figures could not be read in time" in page
    assert "<h2>Queues</h2>" in page


# --- deeds -------------------------------------------------------------------------------------------------------


def test_an_operator_closes_a_breaker(operator, url):
    a_mess()
    assert not Breaker(NAME).may_call()
    answer = operator.post(url, {"breaker": NAME}, follow=True)
    assert f"The breaker of {NAME} is closed" in shown(answer)
    assert Breaker(NAME).may_call()


def test_an_auditor_does_not_and_is_shown_no_button(auditor, url):
    a_mess()
    assert "Close it now" not in shown(auditor.get(url))
    assert auditor.post(url, {"breaker": NAME}).status_code == 403
    assert not Breaker(NAME).may_call()


def test_an_operator_says_that_they_look_at_it(operator, url):
    a_mess()
    alarm = Alarm.objects.get()
    deed = reverse("admin:openplatform_alarm_acknowledge", args=[alarm.pk])
    assert "stops ringing" in shown(operator.get(deed))
    answer = operator.post(deed, {"note": "the pool is started again"}, follow=True)
    assert "Everybody sees now" in shown(answer)
    alarm.refresh_from_db()
    assert (alarm.acknowledged_by, alarm.note, alarm.closed_at) == ("operator", "the pool is started again", None)
    said = texts(shown(operator.get(url)))
    assert "operator looks at it: the pool is started again" in said
    assert operator.post(deed, {"note": "again"}).status_code == 403, "it is acknowledged once"


def test_an_auditor_only_looks(auditor):
    a_mess()
    deed = reverse("admin:openplatform_alarm_acknowledge", args=[Alarm.objects.get().pk])
    assert auditor.post(deed, {"note": "x"}).status_code == 403


def test_the_list_of_alarms_says_whether_somebody_was_told(operator, settings):
    settings.ALARM_WEBHOOK_URL = "https://alarms.example.com/hook"
    a_mess()
    assert "began: owed" in shown(operator.get(list_url("openplatform_alarm")))
    page = shown(operator.get(page_url(Alarm.objects.get())))
    assert "no worker takes tasks from the queue channel.alipay" in page
