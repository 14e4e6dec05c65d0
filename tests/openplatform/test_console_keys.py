"""Keys at the console: registered by an operator, proven by the merchant, retired and revoked; our own keys' share."""

import re
import subprocess
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from openplatform import keys
from openplatform.key_material import Algorithm
from openplatform.models import AppKey, KeyEvent, PlatformKey
from tests.openplatform import harness, openssl
from tests.openplatform.test_console import page_of

pytestmark = pytest.mark.django_db
ADD = "admin:openplatform_appkey_add"


def at_console(user):
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def console(db):
    return at_console(User.objects.create_superuser("alice", password="x"))


def with_permissions(name, *codenames):
    user = User.objects.create_user(name, password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_appkey", "view_platformkey", *codenames]))
    return at_console(user)


def register(console, app, pem, **changes):
    form = {
        "app": app.pk,
        "public_key_pem": pem,
        "purpose": "sign",
        "scopes": ["queries:read", "keys:manage"],
    } | changes
    return console.post(reverse(ADD), form, follow=True)


def deed(console, row, verb, **form):
    return console.post(deed_of(row, verb), form, follow=True)


def deed_of(row, verb):
    return page_of(row).replace("/change/", f"/{verb}/")


@pytest.mark.parametrize("algorithm", ["RSA-SHA256", "ED25519"])
def test_the_first_key_gets_in_by_the_command_that_the_page_shows(console, tmp_path, algorithm):
    pair = openssl.Pair(tmp_path, algorithm=algorithm)
    page = unescape(register(console, harness.an_app(), pair.public_pem).content.decode())
    key = AppKey.objects.get()
    assert (key.status, key.scopes) == ("pending", ["queries:read", "keys:manage"])
    command = re.search(r"<pre[^>]*>((?:printf).*?)</pre>", page, re.DOTALL)[1]
    shell = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    half = len(shell.stdout) // 2
    wrapped = f"  {shell.stdout[:half]}\n{shell.stdout[half:]}\n"  # as it is copied from a terminal
    assert "It counts from now on" in deed(console, key, "prove", proof=wrapped).content.decode()
    key.refresh_from_db()
    assert key.status == "active"
    assert [(event.kind, event.actor) for event in key.events.order_by("id")] == [
        ("registered", "alice"), ("proven", "alice"),
    ]  # fmt: skip


def test_a_wrong_proof_is_told_beside_the_form_and_changes_nothing(console):
    register(console, harness.an_app(), harness.public_pem(harness.a_key()))
    key = AppKey.objects.get()
    page = deed(console, key, "prove", proof="QUJD").content.decode()
    assert "does not prove" in page
    assert AppKey.objects.get().status == "pending"


def test_a_challenge_that_expired_is_made_anew(console):
    key = harness.a_key()
    register(console, harness.an_app(), harness.public_pem(key))
    row = AppKey.objects.get()
    first = row.challenges.get()
    assert "A new challenge" in deed(console, row, "challenge").content.decode()
    assert (
        "does not prove" in deed(console, row, "prove", proof=harness.sign(key, first.text.encode())).content.decode()
    )
    second = row.challenges.get(used_at=None)
    deed(console, row, "prove", proof=harness.sign(key, second.text.encode()))
    assert AppKey.objects.get().status == "active"


def test_a_key_for_encryption_needs_no_scopes_and_shows_how_to_open_the_challenge(console):
    page = register(console, harness.an_app(), harness.public_pem(harness.a_key()), purpose="encrypt").content.decode()
    assert "answer-challenge" in page
    assert AppKey.objects.get().scopes == []
    app = harness.an_app()
    page = register(console, app, harness.public_pem(harness.an_ed25519_key()), purpose="encrypt").content.decode()
    assert "keys that decrypt are RSA" in page
    page = register(console, app, harness.public_pem(harness.a_key()), scopes=[]).content.decode()
    assert "needs at least one scope" in page
    assert AppKey.objects.count() == 1


def test_a_key_is_retired_for_some_days_and_revoked_for_good(console, caller):
    key = AppKey.objects.get(pk=caller.serial_no)
    for days in ("0", "91", "x", ""):
        deed(console, key, "retire", days=days)
        assert AppKey.objects.get().status == "active"
    deed(console, key, "retire", days="3")
    key.refresh_from_db()
    assert key.status == "retiring"
    assert abs(key.not_after - timezone.now() - timedelta(days=3)) < timedelta(minutes=1)
    assert "The key is revoked" in deed(console, key, "revoke").content.decode()
    key.refresh_from_db()
    assert key.status == "revoked"


def test_buttons_are_there_only_where_they_can_do_something(console, caller):
    key = AppKey.objects.get(pk=caller.serial_no)

    def buttons():
        page = console.get(page_of(key)).content.decode()
        return {verb for verb in ("prove", "challenge", "retire", "revoke") if deed_of(key, verb) in page}

    assert buttons() == {"retire", "revoke"}
    key.revoke(now=timezone.now())
    assert buttons() == set()
    for verb in ("prove", "challenge", "retire", "revoke"):
        assert deed(console, key, verb, days="3", proof="x").status_code == 403


def test_each_deed_needs_its_own_permission(caller, platform_key):
    key = AppKey.objects.get(pk=caller.serial_no)
    pending = AppKey.offer(app=caller.app, public_key_pem=harness.public_pem(harness.a_key()), now=timezone.now())
    published = keys.create_platform_key(now=timezone.now())
    reader = with_permissions("reader")
    for row, verb in (
        (key, "retire"),
        (key, "revoke"),
        (pending, "prove"),
        (pending, "challenge"),
        (published, "share"),
    ):
        for method in (reader.get, reader.post):
            assert method(deed_of(row, verb)).status_code == 403
    assert reader.get(reverse(ADD)).status_code == 403
    assert reader.get(page_of(key)).status_code == 200
    assert with_permissions("one", "retire_appkey").get(deed_of(key, "retire")).status_code == 200
    assert with_permissions("two", "retire_appkey").get(deed_of(key, "revoke")).status_code == 403


def test_a_published_key_is_given_its_share_and_no_other(console, platform_key):
    published = keys.create_platform_key(now=timezone.now())
    assert "25 % of the notifications" in deed(console, published, "share", share="25").content.decode()
    assert PlatformKey.objects.get(pk=published.pk).notify_share == 25
    for share in ("101", "-1", ""):
        deed(console, published, "share", share=share)
    assert deed(console, platform_key, "share", share="5").status_code == 403
    assert list(PlatformKey.objects.filter(notify_share__gt=0).values_list("notify_share")) == [(25,)]
    assert KeyEvent.objects.get(kind="share_set").actor == "alice"


def test_the_platform_keys_are_told_apart_by_purpose_and_algorithm(console):
    keys.ensure_platform_keys(now=timezone.now())
    page = console.get(reverse("admin:openplatform_platformkey_changelist")).content.decode()
    for algorithm in Algorithm:
        assert algorithm in page
    assert "sealed" not in page


def test_the_history_of_a_key_is_on_its_page_and_in_one_list(console, caller):
    key = AppKey.objects.get(pk=caller.serial_no)
    page = console.get(page_of(key)).content.decode()
    assert "registered · system" in page
    answer = console.get(reverse("admin:openplatform_keyevent_changelist"), {"q": key.pk})
    assert answer.context["cl"].result_count == 2
    event = key.events.first()
    assert console.get(page_of(event)).status_code == 200
    assert console.post(page_of(event), {"actor": "nobody"}).status_code == 403
    assert console.get(reverse("admin:openplatform_keyevent_add")).status_code == 403
