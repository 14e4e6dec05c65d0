"""The lists in the console: entered and lifted by those who may, with clear refusals, and each change in the log."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from openplatform.blocks.networks import place_of
from openplatform.blocks.values import ListingRefused
from openplatform.models import AppAddress, BlockEntry, ExemptAddress
from openplatform.models.blocks import AUTO_REASON
from tests.openplatform import harness

pytestmark = pytest.mark.django_db

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


@pytest.fixture
def console():
    client = Client(headers={"accept-language": "en"})
    client.force_login(User.objects.create_superuser("olga", password="x"))
    return client


def add(client, name, **fields):
    return client.post(reverse(f"admin:openplatform_{name}_add"), {"reason": "abuse"} | fields)


def list_of(client, name, **query):
    answer = client.get(reverse(f"admin:openplatform_{name}_changelist"), query)
    assert answer.status_code == 200
    return answer


def lift(client, row):
    url = reverse(f"admin:openplatform_{row._meta.model_name}_changelist")
    answer = client.post(url, {"action": "lift", "_selected_action": [row.pk]}, follow=True)
    row.refresh_from_db()
    return answer


def entries(*, now=None):
    now = now or timezone.now()

    def block(kind, text, **times):
        return BlockEntry.block(kind=kind, text=text, reason="abuse", by="olga", **{"now": now} | times)

    lifted = block("ip", "198.51.100.1")
    lifted.lift(by="oleg", now=now)
    over = block("ip", "198.51.100.2", now=now - timedelta(hours=2), expires_at=now - timedelta(hours=1))
    return {
        "lifted": lifted, "over": over, "live": block("cidr", "198.51.100.0/24"),
        "auto": BlockEntry.block_automatically(network=place_of("203.0.113.9"), now=now),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        ("ip", "::ffff:203.0.113.9", "203.0.113.9"),
        ("cidr", "203.0.113.0/24", "203.0.113.0/24"),
        ("notify_host", "Shop.example.com", "shop.example.com"),
    ],
)
def test_an_entry_is_entered_by_form_in_its_one_form(console, kind, typed, stored):
    assert add(console, "blockentry", kind=kind, value=typed, lasts="24h").status_code == 302
    entry = BlockEntry.objects.get()
    assert (entry.kind, entry.value, entry.reason, entry.created_by, entry.source) == (
        kind, stored, "abuse", "olga", "manual",
    )  # fmt: skip
    assert entry.expires_at - entry.created_at == timedelta(hours=24)
    (line,) = LogEntry.objects.all()
    assert (line.user.username, line.is_addition(), line.object_id) == ("olga", True, str(entry.pk))
    assert stored in line.object_repr


def test_an_app_and_its_key_are_blocked_until_lifted(console):
    caller = harness.Caller(harness.an_app())
    for kind, text in (("app", caller.app.pk), ("serial", caller.serial_no)):
        assert add(console, "blockentry", kind=kind, value=text, lasts="").status_code == 302
    assert set(BlockEntry.objects.values_list("expires_at", flat=True)) == {None}


def test_a_payers_openid_is_in_no_row_no_page_and_no_log(console):
    assert add(console, "blockentry", kind="payer_hash", value=OPENID, lasts="").status_code == 302
    entry = BlockEntry.objects.get()
    page = console.get(reverse("admin:openplatform_blockentry_change", args=[entry.pk])).content.decode()
    rows = list_of(console, "blockentry").content.decode()
    log = "".join(f"{line.object_repr} {line.change_message}" for line in LogEntry.objects.all())
    for text in (page, rows, log):
        assert OPENID not in text
        assert "…eS6o" in text
    assert entry.value not in page, "the hash is of no use to anybody"


@pytest.mark.parametrize(
    ("kind", "typed", "english", "chinese"),
    [
        ("ip", "203.0.113", "not an IPv4 or IPv6 address", "这不是 IPv4 或 IPv6 地址"),
        ("cidr", "203.0.113.9", "not a network of the form", "形式的网段"),
        ("cidr", "203.0.113.9/24", "digits behind its length", "网段前缀之后还有数位"),
        ("cidr", "203.0.113.9/32", "enter it as an IP address", "请按 IP 地址录入"),
        ("cidr", "0.0.0.0/0", "too wide", "网段过大"),
        ("app", "17", "no app with this id", "没有该编号的应用"),
        ("serial", "NO_SUCH_KEY", "no key with this serial", "没有该序列号的密钥"),
        ("payer_hash", "short", "8 to 128 characters", "8 至 128 个字符"),
        ("notify_host", "https://shop.example.com", "no scheme, port or path", "不要填写协议"),
    ],
)
def test_a_refusal_says_what_is_wrong_in_both_languages_and_changes_nothing(console, kind, typed, english, chinese):
    for language, told in (("en", english), ("zh-hans", chinese)):
        fields = {"kind": kind, "value": typed, "lasts": "24h", "reason": "abuse"}
        url = reverse("admin:openplatform_blockentry_add")
        answer = console.post(url, fields, headers={"Accept-Language": language})
        assert answer.status_code == 200
        assert told in answer.content.decode()
    assert not BlockEntry.objects.exists()
    assert not LogEntry.objects.exists()


def test_every_refusal_has_its_chinese():
    refusals = [ListingRefused, *ListingRefused.__subclasses__()]
    assert len(refusals) == 12
    with translation.override("zh-hans"):
        assert [refusal.code for refusal in refusals if translation.gettext(str(refusal())).isascii()] == []
        assert not translation.gettext(AUTO_REASON).isascii()


def test_what_is_listed_already_is_refused(console):
    fields = {"kind": "ip", "value": "203.0.113.9", "lasts": "24h"}
    add(console, "blockentry", **fields)
    assert "already; lift it first" in add(console, "blockentry", **fields).content.decode()
    assert add(console, "exemptaddress", value="203.0.113.9").status_code == 302
    assert "already; lift it first" in add(console, "exemptaddress", value="203.0.113.9").content.decode()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, {"lifted", "over", "live", "auto"}),
        ({"state": "live"}, {"live", "auto"}),
        ({"state": "expired"}, {"over"}),
        ({"state": "lifted"}, {"lifted"}),
        ({"source": "auto"}, {"auto"}),
        ({"source": "manual", "state": "live"}, {"live"}),
        ({"kind": "cidr"}, {"live"}),
        ({"q": "198.51.100.77"}, {"live"}),
        ({"q": "198.51.100.1"}, {"lifted", "live"}),
        ({"q": "nothing"}, set()),
    ],
)
def test_the_list_is_narrowed_by_state_source_kind_and_by_what_keeps_an_address_out(console, query, shown):
    rows = entries()
    found = {entry.pk for entry in list_of(console, "blockentry", **query).context["cl"].result_list}
    assert found == {rows[name].pk for name in shown}


def test_an_entry_is_lifted_by_action_and_the_log_says_by_whom(console):
    entry = entries()["live"]
    page = lift(console, entry).content.decode()
    assert "1 entry lifted" in page
    assert entry.lifted_by == "olga"
    (line,) = LogEntry.objects.all()
    assert (line.user.username, line.get_change_message(), line.object_repr) == ("olga", "lifted", str(entry))
    lift(console, entry)
    assert LogEntry.objects.count() == 1, "what is lifted already is not lifted again"


def test_nothing_is_edited_or_deleted(console):
    app = harness.an_app()
    rows = [
        entries()["live"], ExemptAddress.exempt(text="192.0.2.1", reason="x", by="olga", now=timezone.now()),
        AppAddress.allow(app=app, text="192.0.2.1", reason="x", by="olga", now=timezone.now()),
    ]  # fmt: skip
    for row in rows:
        name = f"admin:openplatform_{row._meta.model_name}"
        assert console.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
        assert console.post(reverse(f"{name}_change", args=[row.pk]), {"reason": "other"}).status_code == 403
        assert console.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_an_apps_addresses_are_entered_and_lifted_with_a_word_of_warning(console):
    app = harness.an_app()
    assert add(console, "appaddress", app=app.pk, value="203.0.113.0/24").status_code == 302
    assert add(console, "appaddress", app=app.pk, value="203.0.113.9").status_code == 302
    answer = add(console, "appaddress", app=app.pk, value="everywhere")
    assert "not an IPv4 or IPv6 address" in answer.content.decode()
    first, second = AppAddress.objects.order_by("pk")
    assert "may call from everywhere" not in lift(console, first).content.decode()
    assert "may call from everywhere" in lift(console, second).content.decode()
    assert LogEntry.objects.count() == 4


@pytest.mark.parametrize("name", ["blockentry", "exemptaddress", "appaddress"])
def test_entering_and_lifting_need_a_permission_each(name):
    app, now = harness.an_app(), timezone.now()
    row = {
        "blockentry": lambda: BlockEntry.block(kind="ip", text="192.0.2.1", reason="x", by="oleg", now=now),
        "exemptaddress": lambda: ExemptAddress.exempt(text="192.0.2.1", reason="x", by="oleg", now=now),
        "appaddress": lambda: AppAddress.allow(app=app, text="192.0.2.1", reason="x", by="oleg", now=now),
    }[name]()
    user = User.objects.create_user("reader", password="x", is_staff=True)
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    fields = {"kind": "ip", "value": "203.0.113.9", "lasts": "24h", "app": app.pk}

    def may(*codenames):
        permissions = Permission.objects.filter(codename__in=codenames, content_type__app_label="openplatform")
        assert len(permissions) == len(codenames)
        user.user_permissions.set(permissions)

    may(f"view_{name}")
    assert list_of(client, name)
    assert add(client, name, **fields).status_code == 403
    lift(client, row)
    assert row.lifted_at is None
    may(f"view_{name}", f"lift_{name}")
    assert add(client, name, **fields).status_code == 403
    lift(client, row)
    assert row.lifted_by == "reader"
    may(f"view_{name}", f"add_{name}", "view_app")
    assert add(client, name, **fields).status_code == 302


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("name", ["blockentry", "exemptaddress", "appaddress"])
def test_each_page_is_there_in_both_languages(console, language, name):
    words = {"blockentry": ("黑名单", "blacklist"), "exemptaddress": ("豁免地址", "exempt addresses"),
             "appaddress": ("应用来源地址", "app addresses")}[name]  # fmt: skip
    url = reverse(f"admin:openplatform_{name}_changelist")
    page = console.get(url, headers={"Accept-Language": language}).content.decode()
    assert (words[0] if language == "zh-hans" else words[1]) in page
    assert (
        console.get(reverse(f"admin:openplatform_{name}_add"), headers={"Accept-Language": language}).status_code == 200
    )


def test_a_list_costs_the_same_number_of_queries_for_one_row_and_for_many(console, django_assert_max_num_queries):
    for number in range(30):
        BlockEntry.block_automatically(network=place_of(f"203.0.113.{number}"), now=timezone.now())
        AppAddress.allow(app=harness.an_app(), text="192.0.2.1", reason="x", by="olga", now=timezone.now())
    for name in ("blockentry", "appaddress"):
        with django_assert_max_num_queries(12):
            list_of(console, name)
