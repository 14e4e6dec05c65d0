"""A second click, a second operator and a page that has grown old change nothing: what is in use stays in use."""

import base64
import re
import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from openplatform.models import App, WebhookSecret
from openplatform.models.app import FaceChanged
from openplatform.models.webhook_secret import PREFIX, SecretChanged
from tests.openplatform import forms, harness
from tests.openplatform.notices import app, new_secret

pytestmark = pytest.mark.django_db
__all__ = ["app"]
REFUSED = "It was changed meanwhile; nothing was done."


@pytest.fixture
def operator(db):
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(User.objects.create_superuser("operator", password="x"))
    return client


def url_of(app, page):
    return reverse("admin:openplatform_app_change", args=[app.pk]).replace("/change/", f"/{page}/")


def shown(answer, pattern):
    """The new secret in an answer, and whether the operator is told that nothing was done."""
    text = answer.content.decode()
    found = re.search(pattern, text)
    return (found.group() if found else None), REFUSED in text


def text_of(secret):
    return PREFIX + base64.b64encode(secret.material()).decode()


SECRET, API_KEY = r"whsec_[A-Za-z0-9+/=]+", r'(?<=id="api-key">)[A-Za-z0-9]{32}'


def test_a_double_click_makes_one_secret_and_the_one_in_use_goes_on_signing(operator, app):
    in_use = new_secret(app)
    url = url_of(app, "notifications")
    seen = forms.hidden_on(operator, url)
    secret, is_refused = shown(forms.press(operator, url, "rotate", seen=seen), SECRET)
    assert secret
    assert not is_refused
    assert shown(forms.press(operator, url, "rotate", seen=seen), SECRET) == (None, True)
    signing = [text_of(one) for one in WebhookSecret.live(app_id=app.pk, now=timezone.now())]
    assert signing == [secret, in_use]


def test_a_first_secret_is_made_once(operator, app):
    url = url_of(app, "notifications")
    seen = forms.hidden_on(operator, url)
    assert shown(forms.press(operator, url, "rotate", seen=seen), SECRET)[0]
    assert shown(forms.press(operator, url, "rotate", seen=seen), SECRET) == (None, True)
    assert WebhookSecret.objects.count() == 1


def test_whoever_stops_the_old_one_on_an_old_page_does_not_stop_the_one_in_use(operator, app):
    new_secret(app)
    in_use, url = new_secret(app), url_of(app, "notifications")
    seen = forms.hidden_on(operator, url)
    new_secret(app)
    assert shown(forms.press(operator, url, "end_overlap", seen=seen), SECRET) == (None, True)
    assert in_use in [text_of(one) for one in WebhookSecret.live(app_id=app.pk, now=timezone.now())]


@pytest.mark.parametrize("forged", ["", "0", "-1", "x", "１", "9" * 40, "9" * 5_000, None])
def test_a_form_without_the_right_secret_changes_nothing(operator, app, forged):
    new_secret(app)
    url = url_of(app, "notifications")
    seen = {} if forged is None else {"current": forged}
    assert shown(forms.press(operator, url, "rotate", seen=seen), SECRET) == (None, True)
    assert WebhookSecret.objects.count() == 1


@pytest.mark.parametrize(("first", "second"), [("open", "open"), ("replace", "replace"), ("close", "replace")])
def test_a_double_click_makes_one_apiv3_key(operator, app, first, second):
    url = url_of(app, "wechatpay-interface")
    if first != "open":
        forms.press(operator, url, "open")
    seen = forms.hidden_on(operator, url)
    api_key, is_refused = shown(forms.press(operator, url, first, seen=seen), API_KEY)
    assert not is_refused
    stored = App.objects.get(pk=app.pk).apiv3_key()
    assert api_key in {None, stored}
    assert shown(forms.press(operator, url, second, seen=seen), API_KEY) == (None, True)
    assert App.objects.get(pk=app.pk).apiv3_key() == stored


def test_tests_with_wrong_signatures_are_not_switched_off_by_the_second_click(operator, app, settings):
    settings.NOTIFICATION_SIGN_TESTS = False
    for _ in range(2):
        forms.press(operator, url_of(app, "notifications"), "begin_sign_tests")
        app.refresh_from_db()
        assert app.is_sign_tested


# --- at the same moment -----------------------------------------------------------------------------------------------


def at_once(act, *, refusals, count=2):
    """What became of `act` in as many threads at the same moment: what it returned, or None where it was refused."""
    barrier, outcomes = threading.Barrier(count), []

    def work():
        barrier.wait()
        try:
            outcomes.append(act())
        except refusals:
            outcomes.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == count
    return outcomes


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_one", [False, True])
def test_of_two_rotations_at_once_one_makes_a_secret(has_one):
    app = harness.an_app()
    before = [new_secret(app)] if has_one else []
    current = WebhookSecret.current_id(app_id=app.pk)
    outcomes = at_once(
        lambda: WebhookSecret.rotate(app=app, current=current, now=timezone.now()), refusals=SecretChanged, count=4
    )
    (made,) = [outcome for outcome in outcomes if outcome is not None]
    signing = [text_of(one) for one in WebhookSecret.live(app_id=app.pk, now=timezone.now())]
    assert signing == [made, *before]


@pytest.mark.django_db(transaction=True)
def test_of_two_replacements_at_once_one_makes_an_apiv3_key():
    app = harness.an_app(accepts_wechatpay_scheme=True)

    def replace():
        with App.lock_face(app.pk, mark=app.face_mark) as locked:
            return locked.replace_apiv3_key()

    outcomes = at_once(replace, refusals=FaceChanged, count=4)
    assert [outcome for outcome in outcomes if outcome is not None] == [App.objects.get(pk=app.pk).apiv3_key()]
