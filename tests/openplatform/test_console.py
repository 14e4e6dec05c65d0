"""The operator's pages: everything to be seen, nothing to be changed but by a named action."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from openplatform.models import App, AppKey, Merchant, Notification, NotificationAttempt
from openplatform.notifications import owe
from tests.openplatform import harness
from tests.openplatform.forms import press

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return User.objects.create_superuser("operator", password="x")


@pytest.fixture
def console(operator):
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def rows(caller):
    with transaction.atomic():
        notification = owe(
            app=caller.app, event_type="order.succeeded", object_no=17, object_version=1,
            data={"note": "<script>alert(1)</script>"}, notify_url="https://shop.example/n", now=timezone.now(),
        )  # fmt: skip
    NotificationAttempt.record(
        claimed=notification, attempted_at=timezone.now(), duration_ms=5, status_code=500, response_excerpt="<b>no</b>"
    )
    return caller, notification


PAGES = ["merchant", "app", "appkey", "platformkey", "notification"]


def page_of(row):
    return reverse(f"admin:openplatform_{row._meta.model_name}_change", args=[row.pk])


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_each_list_and_each_row_has_a_page_in_both_languages(console, rows, platform_key, name, language):
    from django.apps import apps

    row = apps.get_model("openplatform", name).objects.first()
    for url in (reverse(f"admin:openplatform_{name}_changelist"), page_of(row)):
        answer = console.get(url, headers={"Accept-Language": language})
        assert answer.status_code == 200
        assert str(row.pk) in answer.content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_of_a_row_shows_its_state_as_a_badge_and_not_as_a_pair(console, rows, platform_key, name):
    from django.apps import apps

    row = apps.get_model("openplatform", name).objects.first()
    page = console.get(page_of(row)).content.decode()
    assert "(&#x27;" not in page
    assert str(row.get_status_display()) in page


def test_labels_are_chinese_and_english(console, rows):
    url = reverse("admin:openplatform_notification_changelist")
    assert "通知" in console.get(url, headers={"Accept-Language": "zh-hans"}).content.decode()
    assert "notification" in console.get(url, headers={"Accept-Language": "en"}).content.decode()


def test_what_merchants_wrote_is_shown_as_text(console, rows):
    _caller, notification = rows
    page = console.get(page_of(notification)).content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>no</b>" not in page


def test_a_private_key_has_no_place_in_the_console(console, platform_key):
    page = console.get(page_of(platform_key)).content.decode()
    assert "PUBLIC KEY" in page
    assert "PRIVATE" not in page
    assert "sealed" not in page


def test_nothing_is_edited_or_deleted(console, rows, platform_key):
    caller, notification = rows
    for row in (caller.app, caller.app.merchant, AppKey.objects.first(), platform_key, notification):
        assert console.post(page_of(row), {"name": "changed"}).status_code == 403
        delete = reverse(f"admin:openplatform_{row._meta.model_name}_delete", args=[row.pk])
        assert console.post(delete, {"post": "yes"}).status_code == 403
    for name in ("platformkey", "notification"):
        assert console.get(reverse(f"admin:openplatform_{name}_add")).status_code == 403


@pytest.mark.parametrize(
    ("name", "term"),
    [("merchant", "Coffee"), ("app", "{app}"), ("appkey", "{serial}"), ("appkey", "{app}"), ("notification", "17"),
     ("notification", "{app}"), ("notification", "shop.example")],
)  # fmt: skip
def test_rows_are_found_by_what_an_operator_has_at_hand(console, rows, name, term):
    caller, _notification = rows
    term = term.format(app=caller.app.pk, serial=caller.serial_no)
    answer = console.get(reverse(f"admin:openplatform_{name}_changelist"), {"q": term})
    assert answer.context["cl"].result_count == 1
    answer = console.get(reverse(f"admin:openplatform_{name}_changelist"), {"q": "99999999999999999999999"})
    assert answer.context["cl"].result_count == 0


def act(client, row, action):
    url = reverse(f"admin:openplatform_{row._meta.model_name}_changelist")
    client.post(url, {"action": action, "_selected_action": [row.pk]})
    row.refresh_from_db()
    return row


def test_an_operator_disables_and_enables_revokes_and_sends_again(console, rows):
    caller, notification = rows
    assert act(console, caller.app, "disable").status == "disabled"
    assert act(console, caller.app, "enable").status == "active"
    assert act(console, caller.app.merchant, "disable").status == "disabled"
    assert act(console, AppKey.objects.get(pk=caller.serial_no), "revoke").status == "revoked"
    notification.hold()
    assert act(console, notification, "replay").status == "owed"


def test_each_action_needs_its_own_permission(rows, operator):
    caller, notification = rows
    notification.hold()
    key = AppKey.objects.get(pk=caller.serial_no)
    reader = User.objects.create_user("reader", password="x", is_staff=True)
    reader.user_permissions.set(
        Permission.objects.filter(content_type__app_label="openplatform", codename__startswith="view_")
    )
    client = Client()
    client.force_login(reader)
    assert client.get(page_of(notification)).status_code == 200
    assert act(client, notification, "replay").status == "held"
    assert act(client, caller.app, "disable").status == "active"
    assert act(client, key, "revoke").status == "active"
    for codename in ("replay_notification", "switch_app", "revoke_appkey"):
        reader.user_permissions.add(Permission.objects.get(codename=codename))
    assert act(client, notification, "replay").status == "owed"
    assert act(client, caller.app, "disable").status == "disabled"
    assert act(client, key, "revoke").status == "revoked"


def test_a_merchant_an_app_and_a_key_are_registered_by_form(console):
    console.post(reverse("admin:openplatform_merchant_add"), {"name": "新店"})
    merchant = Merchant.objects.get()
    console.post(reverse("admin:openplatform_app_add"), {"merchant": merchant.pk, "name": "till"})
    app = App.objects.get()
    pem = harness.public_pem(harness.a_key())
    form = {"app": app.pk, "public_key_pem": pem, "purpose": "sign", "scopes": ["queries:read"]}
    answer = console.post(reverse("admin:openplatform_appkey_add"), form)
    key = AppKey.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, page_of(key))
    assert (key.app, key.public_key_pem, key.status, key.scopes) == (app, pem, "pending", ["queries:read"])


def test_a_private_key_that_is_pasted_is_refused_and_not_shown_again(console, caller):
    pem = harness.private_pem(harness.a_key())
    form = {"app": caller.app.pk, "public_key_pem": pem, "purpose": "sign", "scopes": ["queries:read"]}
    for language, told in (("en", "have it revoked now"), ("zh-hans", "立即吊销")):
        answer = console.post(reverse("admin:openplatform_appkey_add"), form, headers={"Accept-Language": language})
        assert answer.status_code == 200
        assert told in answer.content.decode()
    assert AppKey.objects.count() == 1
    known = form | {"public_key_pem": harness.public_pem(caller.key)}
    answer = console.post(reverse("admin:openplatform_appkey_add"), known, headers={"Accept-Language": "en"})
    assert "registered before" in answer.content.decode()
    assert AppKey.objects.count() == 1


def test_a_list_costs_the_same_number_of_queries_for_one_row_and_for_many(
    console, caller, django_assert_max_num_queries
):
    for number in range(30):
        with transaction.atomic():
            owe(
                app=harness.an_app(), event_type="order.succeeded", object_no=number, object_version=1, data={},
                notify_url="https://shop.example/n", now=timezone.now(),
            )  # fmt: skip
    assert Notification.objects.count() == 30
    with django_assert_max_num_queries(12):
        assert console.get(reverse("admin:openplatform_notification_changelist")).status_code == 200


# --- the WeChat Pay interface of an app -----------------------------------------------------------------------------


def face_of(app):
    return page_of(app).replace("/change/", "/wechatpay-interface/")


def key_on(answer):
    found = re.search(r'id="api-key">([A-Za-z0-9]{32})<', answer.content.decode())
    return found[1] if found else None


def test_an_apiv3_key_is_shown_once_in_the_answer_that_made_it(console, caller):
    url = face_of(caller.app)
    assert key_on(console.get(url)) is None
    answer = press(console, url, "open")
    first = key_on(answer)
    caller.app.refresh_from_db()
    assert (caller.app.accepts_wechatpay_scheme, caller.app.apiv3_key()) == (True, first)
    assert "no-store" in answer.headers["Cache-Control"]
    for page in (url, page_of(caller.app), reverse("admin:openplatform_app_changelist"), reverse("admin:index")):
        assert first not in console.get(page).content.decode()
    assert first not in str([*LogEntry.objects.values(), *console.session.items(), console.cookies])
    second = key_on(press(console, url, "replace"))
    caller.app.refresh_from_db()
    assert first != second == caller.app.apiv3_key()


def test_a_button_of_a_page_that_is_no_longer_right_does_nothing(console, caller):
    url = face_of(caller.app)
    for deed in ("replace", "close", "", "nonsense"):
        assert key_on(press(console, url, deed)) is None
    first = key_on(press(console, url, "open"))
    assert key_on(press(console, url, "open")) is None
    caller.app.refresh_from_db()
    assert caller.app.apiv3_key() == first
    press(console, url, "close")
    caller.app.refresh_from_db()
    assert (caller.app.accepts_wechatpay_scheme, caller.app.apiv3_key()) == (False, first)


def test_the_interface_needs_its_own_permission(rows):
    caller, _notification = rows
    reader = User.objects.create_user("reader", password="x", is_staff=True)
    reader.user_permissions.set(
        Permission.objects.filter(content_type__app_label="openplatform", codename__in=("view_app", "switch_app"))
    )
    client = Client()
    client.force_login(reader)
    assert (client.get(face_of(caller.app)).status_code, client.post(face_of(caller.app)).status_code) == (403, 403)
    reader.user_permissions.add(Permission.objects.get(codename="change_wechatpay_face"))
    assert key_on(press(client, face_of(caller.app), "open"))
