"""The console shows who is paused and what calls for a person, and each button asks for its own permission."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from openplatform.alarms import raise_alarm
from openplatform.conformance.cases import CASES
from openplatform.conformance.run import run_conformance
from openplatform.conformance.sweep import sweep_conformance
from openplatform.models import (
    Alarm,
    ConformanceResult,
    ConformanceRun,
    Notification,
    NotifyEndpoint,
    NotifyHost,
    WebhookSecret,
)
from openplatform.models.alarm import AlarmKind
from openplatform.models.notification import NotificationStatus
from openplatform.notifications import replay
from tests.openplatform import forms
from tests.openplatform.kit import NATIVE, asked, in_a_hurry, its_host
from tests.openplatform.merchants import answers
from tests.openplatform.notices import app, owed, serve

pytestmark = pytest.mark.django_db
__all__ = ["app", "in_a_hurry", "serve"]
NOW = timezone.now()


def someone(*codenames):
    """An operator with the right to look at everything, and these."""
    user = User.objects.create_user(f"user {User.objects.count()}", password="x", is_staff=True)
    looks = Permission.objects.filter(content_type__app_label="openplatform", codename__startswith="view_")
    user.user_permissions.set([*looks, *Permission.objects.filter(codename__in=codenames)])
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def operator(db):
    return someone(
        "change_delivery", "probe_notifyendpoint", "add_notifyhost", "lift_notifyhost", "replay_notification"
    )


def page_of(app):
    return reverse("admin:openplatform_app_change", args=[app.pk]).replace("/change/", "/notifications/")


def shown(client, app):
    answer = client.get(page_of(app))
    assert answer.status_code == 200
    return answer.content.decode()


def press(client, app, deed, **data):
    return forms.press(client, page_of(app), deed, **data).content.decode()


def paused(app, *, now=NOW):
    endpoint = NotifyEndpoint.lock_or_add(app_id=app.pk, host="a.example")
    endpoint.fail(reason="deadline")
    endpoint.pause(now=now, probe_wait=timedelta(minutes=1))
    return endpoint


# --- lists ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_lists_and_pages_of_endpoints_alarms_and_hosts(operator, app, language):
    rows = [paused(app)]
    raise_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key="7 a.example", text="<b>it</b> is paused", now=NOW)
    rows += [Alarm.objects.get()]
    rows += [NotifyHost.register(app=app, text="a.example", reason="x", by="olga", now=NOW)]
    for row in rows:
        name = f"admin:openplatform_{row._meta.model_name}"
        for url in (reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])):
            answer = operator.get(url, headers={"Accept-Language": language})
            assert answer.status_code == 200
            assert "a.example" in answer.content.decode()
            assert "<b>it</b>" not in answer.content.decode()


def test_the_sidebar_counts_open_alarms_for_whoever_may_see_them(operator):
    url = reverse("admin:openplatform_alarm_changelist")
    link = re.compile(rf'href="{url}".*?</a>', re.DOTALL)
    assert not re.search(r">\s*1\s*<", link.search(operator.get(url).content.decode()).group())
    raise_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key="x", text="x", now=NOW)
    assert re.search(r">\s*1\s*<", link.search(operator.get(url).content.decode()).group())


def test_alarms_are_not_edited_and_their_facts_do_not_change(operator):
    raise_alarm(kind=AlarmKind.NOTIFICATIONS_PAUSED, key="x", text="x", now=NOW)
    alarm = Alarm.objects.get()
    assert operator.post(reverse("admin:openplatform_alarm_change", args=[alarm.pk]), {"text": "y"}).status_code == 403
    assert operator.get(reverse("admin:openplatform_alarm_add")).status_code == 403


def test_the_list_of_notifications_says_since_when_they_wait(operator, app):
    waiting = owed(app, "https://a.example/n", now=NOW)
    done = owed(app, "https://a.example/n", now=NOW)
    done.deliver(now=NOW)
    paused(app)
    rows = operator.get(reverse("admin:openplatform_notification_changelist")).context["cl"].result_list
    assert {row.pk: row.paused_at for row in rows} == {waiting.pk: NOW, done.pk: None}


def test_all_that_a_filter_shows_is_sent_again_at_once(operator, app, settings):
    rows = [owed(app, "https://a.example/n", now=NOW, object_no=number) for number in range(60)]
    Notification.objects.update(status=NotificationStatus.HELD, next_attempt_at=None)
    url = reverse("admin:openplatform_notification_changelist") + "?status__exact=held"
    operator.post(url, {"action": "replay", "select_across": "1", "_selected_action": [rows[0].pk]})
    assert Notification.objects.filter(status=NotificationStatus.OWED).count() == 60


def test_more_than_one_part_is_sent_again_by_one_press_and_the_operator_hears_where_it_ended(
    operator, app, monkeypatch
):
    monkeypatch.setattr(replay, "REPLAY_MAX", 3)
    monkeypatch.setattr(replay, "CHOSEN_MAX", 6)
    rows = [owed(app, "https://a.example/n", now=NOW + timedelta(minutes=n), object_no=n) for n in range(10)]
    Notification.objects.update(status=NotificationStatus.DELIVERED, next_attempt_at=None, delivered_at=NOW)
    url = reverse("admin:openplatform_notification_changelist")
    press_it = {"action": "replay", "select_across": "1", "_selected_action": [rows[0].pk]}
    said = operator.post(url, press_it, follow=True).content.decode()
    again = [row.pk in set(Notification.objects.filter(status="owed").values_list("pk", flat=True)) for row in rows]
    assert again == [True] * 6 + [False] * 4
    assert f"choose those after {timezone.localtime(rows[5].created_at):%Y-%m-%d %H:%M:%S}" in said
    monkeypatch.setattr(replay, "CHOSEN_MAX", 20)
    assert "choose those after" not in operator.post(url, press_it, follow=True).content.decode()
    assert Notification.objects.filter(status="owed").count() == 10


# --- the page of an app -----------------------------------------------------------------------------------------


def test_the_page_tells_how_its_hosts_are_doing(operator, app):
    assert "No host of this app has failed" in shown(operator, app)
    endpoint = paused(app)
    assert "after 1 failures, the last: deadline" in shown(operator, app)
    endpoint.recover()
    endpoint.note_sign_test(verifies=False)
    page = shown(operator, app)
    assert "does not verify!" in page
    assert "told at any public address" in page
    NotifyHost.register(app=app, text="shop.example", reason="x", by="olga", now=NOW)
    assert "shop.example" in shown(operator, app)


def test_an_operator_has_a_paused_host_tried(operator, app):
    endpoint = paused(app, now=timezone.now())
    assert endpoint.probe_at > timezone.now()
    press(operator, app, "probe")
    endpoint.refresh_from_db()
    assert endpoint.probe_at <= timezone.now()
    again = paused(app, now=timezone.now())
    action = {"action": "probe", "_selected_action": [again.pk]}
    operator.post(reverse("admin:openplatform_notifyendpoint_changelist"), action)
    again.refresh_from_db()
    assert again.probe_at <= timezone.now()


def test_a_secret_is_shown_once_and_never_again_nor_logged(operator, app):
    first = re.search(r"whsec_[A-Za-z0-9+/=]+", press(operator, app, "rotate")).group()
    assert "whsec_" not in shown(operator, app)
    second = re.search(r"whsec_[A-Za-z0-9+/=]+", press(operator, app, "rotate")).group()
    assert first != second
    assert len(WebhookSecret.live(app_id=app.pk, now=timezone.now())) == 2
    press(operator, app, "end_overlap")
    assert len(WebhookSecret.live(app_id=app.pk, now=timezone.now())) == 1
    log = " ".join(entry.change_message for entry in LogEntry.objects.all())
    assert "notifications: rotate" in log
    assert "whsec_" not in log


def test_a_page_that_looks_again_by_itself_does_not_while_it_shows_a_secret(operator, app, serve, settings):
    """The secret is shown once: three seconds later it would be gone."""
    settings.TEST_PLATFORM = True
    refreshes = re.compile(r'http-equiv="?refresh', re.IGNORECASE)
    assert not refreshes.search(shown(operator, app))
    asked(app, serve(answers(200)).url)
    assert refreshes.search(shown(operator, app)), "a run is under way"
    answer = forms.press(operator, page_of(app), "rotate")
    assert "whsec_" in answer.content.decode()
    assert not refreshes.search(answer.content.decode())
    assert "Refresh" not in answer.headers
    assert refreshes.search(shown(operator, app))


def test_tests_with_wrong_signatures_are_switched_for_one_app(operator, app, settings):
    settings.NOTIFICATION_SIGN_TESTS = False
    for deed, is_tested in (("begin_sign_tests", True), ("end_sign_tests", False)):
        press(operator, app, deed)
        app.refresh_from_db()
        assert app.is_sign_tested is is_tested


def test_the_kit_is_run_from_here_only_on_a_test_platform(operator, app, serve, settings):
    settings.TEST_PLATFORM = False
    url = serve(answers(200)).url
    its_host(app)
    assert "Conformance" not in shown(operator, app)
    assert operator.post(page_of(app), {"deed": "run", "url": url}).status_code == 403
    settings.TEST_PLATFORM = True
    page = press(operator, app, "run", url=url)
    assert "It waits for a worker" in page
    assert 'http-equiv="refresh"' in page
    assert "A run is under way." in press(operator, app, "run", url=url)
    run = ConformanceRun.objects.get()
    run_conformance(run_id=run.pk, clock=timezone.now)
    page = shown(operator, app)
    assert "Compare amount_fen with your own order" in page
    assert 'http-equiv="refresh"' not in page
    assert run.asked_by.startswith("user")


def test_a_run_that_goes_on_says_how_far_it_is(operator, app, serve, settings):
    settings.TEST_PLATFORM = True
    run = asked(app, serve(answers(200)).url)
    ConformanceRun.start(run.pk, now=timezone.now())
    ConformanceResult.record(
        run=run, case="good", now=timezone.now(), grade="pass", finding="as_expected", answers="200", duration_ms=1
    )
    assert f"It is running: 1 of {len(CASES[NATIVE])}" in shown(operator, app)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "register it as a notify host"), ("zh-hans", "登记为该应用的通知主机")]
)
def test_a_strangers_host_is_refused_on_the_page_and_it_says_what_to_do(operator, app, settings, language, words):
    settings.TEST_PLATFORM = True
    form = {"deed": "run", "url": "https://stranger.example/n"}
    page = operator.post(page_of(app), form, headers={"Accept-Language": language}).content.decode()
    assert words in page
    assert "not_its_host" in page
    assert not ConformanceRun.objects.exists()


def test_an_address_that_we_do_not_call_is_refused_on_the_page(operator, app, settings):
    settings.TEST_PLATFORM = True
    assert "url_refused" in press(operator, app, "run", url="https://127.0.0.1/n")
    assert not ConformanceRun.objects.exists()


def test_the_envelope_is_offered_to_an_app_that_has_its_key_and_to_no_other(operator, app, serve, settings):
    settings.TEST_PLATFORM = True
    url = serve(answers(200)).url
    its_host(app)
    assert 'name="shape"' not in shown(operator, app)
    assert "has no APIv3 key" in press(operator, app, "run", url=url, shape="wechatpay")
    app.open_wechatpay_face()
    assert re.search(r'<option value="wechatpay" selected', shown(operator, app))
    press(operator, app, "run", url=url, shape="native")
    assert ConformanceRun.objects.get().shape == "native"


def test_a_run_that_nobody_made_says_so_and_can_be_asked_for_again(operator, app, serve, settings):
    """Before the sweep finds it, and after."""
    settings.TEST_PLATFORM = True
    asked(app, serve(answers(200)).url, now=timezone.now() - timedelta(minutes=11))
    page = shown(operator, app)
    assert "It did not end" in page
    assert 'value="run"' in page
    sweep_conformance(now=timezone.now())
    page = shown(operator, app)
    assert "No worker took it within ten minutes" in page
    assert 'value="run"' in page


@pytest.mark.parametrize("deed", ["probe", "rotate", "end_overlap", "begin_sign_tests", "run", "anything", ""])
def test_whoever_may_only_look_sees_the_page_without_buttons(app, serve, settings, deed):
    settings.TEST_PLATFORM = True
    reader, endpoint = someone(), paused(app)
    assert 'name="deed"' not in shown(reader, app)
    assert reader.post(page_of(app), {"deed": deed, "url": serve(answers(200)).url}).status_code == 403
    endpoint.refresh_from_db()
    app.refresh_from_db()
    assert (endpoint.probe_at, app.is_sign_tested) == (NOW + timedelta(minutes=1), False)
    assert not WebhookSecret.objects.exists()
    assert not ConformanceRun.objects.exists()


def test_a_host_is_registered_and_lifted_by_form(operator, app):
    form = {"app": app.pk, "value": "Shop.Example", "reason": "their shop"}
    assert operator.post(reverse("admin:openplatform_notifyhost_add"), form).status_code == 302
    host = NotifyHost.objects.get()
    assert (host.value, host.app, host.created_by != "") == ("shop.example", app, True)
    answer = operator.post(reverse("admin:openplatform_notifyhost_add"), form | {"value": "https://shop.example/n"})
    assert "This is not the name or address of a host" in answer.content.decode()
    operator.post(
        reverse("admin:openplatform_notifyhost_changelist"), {"action": "lift", "_selected_action": [host.pk]}
    )
    assert not NotifyHost.live(now=timezone.now()).exists()
