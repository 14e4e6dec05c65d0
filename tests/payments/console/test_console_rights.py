"""Who sees what, and that nobody edits what must not be edited."""

import inspect
import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from openplatform.models import Notification
from payments.models import (
    Callback,
    Case,
    ChannelAccount,
    ChannelCertificate,
    LedgerAccount,
    LedgerEntry,
    Order,
    PayCode,
    Payment,
    Refund,
    StateEvent,
)
from payments.operations.roles import ensure_roles
from tests import factories
from tests.payments.console import stories
from tests.payments.console.conftest import list_url, page_url, shown

pytestmark = pytest.mark.django_db

MONEY = [Order, Payment, Refund, StateEvent, LedgerEntry, LedgerAccount, Callback, Case]
READ_ONLY = [*MONEY, ChannelAccount, ChannelCertificate, Notification]
SHOWN = [*READ_ONLY, PayCode]


def name_of(model: type) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


def one_of_each() -> None:
    order = stories.a_long_story()
    factories.a_pay_code()
    stories.a_channel_certificate(factories.the_payment(order).account)


def addresses(row: object) -> list[str]:
    name = name_of(type(row))
    return [
        reverse(f"admin:{name}_add"),
        reverse(f"admin:{name}_delete", args=[row.pk]),
        reverse(f"admin:{name}_delete", args=["999"]),
    ]


def test_every_model_of_money_has_a_page():
    missing = {model.__name__ for model in (*MONEY, ChannelAccount, PayCode) if not admin.site.is_registered(model)}
    assert missing == set()


def test_a_stranger_is_sent_to_the_login_page():
    for url in [reverse("admin:index"), reverse("admin:payments_order_find"), *(list_url(name_of(m)) for m in SHOWN)]:
        response = Client().get(url)
        assert response.status_code == 302, url
        assert response.url.startswith(reverse("admin:login")), url


def test_somebody_without_a_role_sees_no_list_and_no_page(as_role):
    one_of_each()
    nobody = as_role("nobody")
    for model in SHOWN:
        for url in (list_url(name_of(model)), page_url(model.objects.first())):
            assert nobody.get(url).status_code == 403, url


def test_somebody_without_a_role_finds_nothing_by_a_number(as_role):
    order = stories.a_long_story()
    response = as_role("nobody").get(reverse("admin:payments_order_find"), {"number": str(order.pk)})
    assert response.status_code == 403


def test_somebody_without_a_role_gets_no_figures(as_role):
    page = shown(as_role("nobody").get(reverse("admin:index")))
    assert "fen-card" not in page
    assert "no role lets you see anything" in page


@pytest.mark.parametrize("role", ["auditor", "operator", "root"])
def test_each_role_sees_every_list_and_page(as_role, role):
    one_of_each()
    client = as_role(role)
    for model in SHOWN:
        row = model.objects.first()
        assert str(row.pk) in shown(client.get(list_url(name_of(model)))), model
        assert str(row.pk) in shown(client.get(page_url(row))), model


@pytest.mark.parametrize("role", ["auditor", "operator", "root"])
def test_nothing_is_added_changed_or_deleted_not_even_by_a_superuser(as_role, role):
    one_of_each()
    client = as_role(role)
    for model in READ_ONLY:
        row, before = model.objects.first(), list(model.objects.values())
        for url in addresses(row):
            assert client.get(url).status_code == 403, url
            assert client.post(url, {"post": "yes"}).status_code == 403, url
        assert client.post(page_url(row), {"status": "SUCCEEDED", "_save": "1"}).status_code == 403, model
        assert client.post(page_url(row), {"_saveasnew": "1"}).status_code == 403, model
        assert list(model.objects.values()) == before


def test_no_list_has_an_action_that_deletes(root):
    one_of_each()
    for model in SHOWN:
        row, count = model.objects.first(), model.objects.count()
        root.post(list_url(name_of(model)), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
        assert model.objects.count() == count, model


def test_no_page_shows_a_button_that_saves_or_deletes(root):
    one_of_each()
    for model in SHOWN:
        page = shown(root.get(page_url(model.objects.first())))
        for button in ('name="_save"', 'name="_continue"', 'name="_addanother"', "/delete/"):
            assert button not in page, (model, button)


def test_a_pay_code_is_never_changed_or_deleted(root):
    pay_code = factories.a_pay_code()
    assert root.post(page_url(pay_code), {"label": "other", "_save": "1"}).status_code == 403
    assert root.post(reverse("admin:payments_paycode_delete", args=[pay_code.pk]), {"post": "yes"}).status_code == 403
    assert factories.again(pay_code).label == pay_code.label


def held() -> dict[str, set[str]]:
    """What each role may do, as "app_label.codename"."""
    return {
        role.name: {
            f"{app_label}.{codename}"
            for app_label, codename in role.permissions.values_list("content_type__app_label", "codename")
        }
        for role in Group.objects.all()
    }


def acts(permissions: set[str]) -> set[str]:
    return {name for name in permissions if not name.partition(".")[2].startswith("view_")}


def test_each_role_may_do_exactly_what_its_work_needs():
    assert {name: acts(permissions) for name, permissions in held().items()} == {
        "auditor": set(),
        "operator": {
            "openplatform.replay_notification", "openplatform.probe_notifyendpoint", "payments.add_paycode",
            "payments.change_paycode", "openplatform.acknowledge_alarm", "openplatform.reset_breaker",
            "payments.fetch_bill", "payments.download_bill",
        },
        "finance": {
            "payments.resolve_case", "payments.add_orderpolicy", "payments.change_orderpolicy",
            "payments.redirect_refund", "payments.fetch_bill", "payments.download_bill",
        },
        "security": {
            *(f"openplatform.{what}_appkey" for what in ("add", "retire", "revoke")), "openplatform.share_platformkey",
            *(f"openplatform.{what}_{listed}" for what in ("add", "lift")
              for listed in ("blockentry", "exemptaddress", "appaddress", "notifyhost")),
            "openplatform.add_raterule", "openplatform.change_raterule",
        },
        "administrator": {
            *(f"openplatform.{what}_{row}" for what in ("add", "switch") for row in ("merchant", "app")),
            "openplatform.change_delivery", "openplatform.change_wechatpay_face", "openplatform.probe_notifyendpoint",
            "payments.change_channelaccount",
        },
    }  # fmt: skip


def test_each_role_looks_at_what_its_work_needs():
    looks = {name: permissions - acts(permissions) for name, permissions in held().items()}
    everything = looks["auditor"]
    assert everything == looks["operator"]
    assert {name.partition(".")[0] for name in everything} == {
        "openplatform",
        "payments",
        "idgen",
        "fenpay_config",
        "admin",
    }
    of_app = {
        label: {name for name in everything if name.startswith(f"{label}.")} for label in ("openplatform", "payments")
    }
    assert looks["finance"] == of_app["payments"] | {
        f"openplatform.view_{row}" for row in ("merchant", "app", "notification")
    }
    assert looks["security"] == of_app["openplatform"] | {"admin.view_logentry"}
    assert looks["administrator"] == looks["security"] | {
        f"payments.view_{row}" for row in ("channelaccount", "orderpolicy", "paycode")
    }
    assert not any("auth." in name for permissions in looks.values() for name in permissions)


class Somebody:
    """May do everything, and remembers what was asked."""

    is_superuser, is_active, is_staff, is_authenticated = False, True, True, True

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def has_perm(self, name: str, obj: object = None) -> bool:
        self.asked.add(name)
        return True

    def has_module_perms(self, _app_label: str) -> bool:
        return True


def asked_by_the_console(rf) -> set[str]:
    """Every permission that a page asks for, by each of its `has_…_permission` methods."""
    request, somebody = rf.get("/"), Somebody()
    request.user = somebody
    for page in admin.site._registry.values():
        for name in filter(re.compile(r"has_\w+_permission").fullmatch, dir(page)):
            method = getattr(page, name)
            method(request, None) if len(inspect.signature(method).parameters) > 1 else method(request)
    return somebody.asked


def test_every_permission_that_exists_for_the_console_is_in_a_role(rf):
    """One that is in none would be the superuser's alone, who does everything: nobody's work, done by nobody."""
    ours = [app for app in apps.get_app_configs() if app.name in {"config", "idgen", "openplatform", "payments"}]
    assert len(ours) == 4
    own = {
        f"{app.label}.{codename}"
        for app in ours
        for model in app.get_models()
        for codename, _text in model._meta.permissions
    }
    asked = asked_by_the_console(rf)
    assert {"openplatform.add_raterule", "payments.change_paycode", "openplatform.lift_blockentry"} <= asked
    wanted = {name for name in own | asked if not name.startswith("auth.")}  # operators and roles: superusers alone
    assert wanted - set().union(*held().values()) == set()
    assert "openplatform.change_delivery" in own


@pytest.mark.parametrize("role", ["auditor", "operator", "finance", "security", "administrator"])
def test_each_role_opens_the_lists_that_it_may_see_and_no_others(as_role, role):
    one_of_each()
    client, may = as_role(role), held()[role]
    opened = {}
    for model in admin.site._registry:
        name = f"{model._meta.app_label}.view_{model._meta.model_name}"
        opened[name] = client.get(list_url(name_of(model))).status_code
    assert opened == {name: 200 if name in may else 403 for name in opened}
    overview = shown(client.get(reverse("admin:index")))
    assert ("fen-card" in overview) == ("payments.view_order" in may)
    assert "no role lets you see anything" not in overview


def test_a_role_that_was_changed_by_hand_is_made_right_by_the_next_migration():
    Group.objects.get(name="auditor").permissions.set(Permission.objects.filter(codename="delete_order"))
    ensure_roles()
    codenames = Group.objects.get(name="auditor").permissions.values_list("codename", flat=True)
    assert "delete_order" not in codenames
    assert "view_order" in codenames


@pytest.mark.parametrize("role", ["auditor", "operator", "finance", "security", "administrator"])
def test_only_a_superuser_reaches_operators_and_roles(as_role, role):
    client = as_role(role)
    user = User.objects.get(username=role)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    assert client.post(reverse("admin:auth_user_add"), {"username": "x"}).status_code == 403
    assert client.post(page_url(user), {"is_superuser": "1"}).status_code == 403
    assert client.get(reverse("admin:auth_user_password_change", args=[user.pk])).status_code == 403
    assert client.post(page_url(Group.objects.get(name="auditor")), {"name": "x"}).status_code == 403


def test_a_superuser_cannot_make_another_one_here(root):
    page = shown(root.get(page_url(User.objects.get(username="root"))))
    assert 'name="is_staff"' in page
    assert "is_superuser" not in page
    assert "user_permissions" not in page


def test_the_sidebar_holds_only_what_one_may_see(as_role, auditor):
    assert list_url("payments_order") in shown(auditor.get(reverse("admin:index")))
    assert list_url("auth_user") not in shown(auditor.get(reverse("admin:index")))
    assert list_url("payments_order") not in shown(as_role("nobody").get(reverse("admin:index")))
