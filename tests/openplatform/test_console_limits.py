"""Rate rules in the console: edited by whoever may, checked before they are written, every change told in the log."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from openplatform.models import RateRule
from openplatform.models.limits import RuleTerms
from tests.openplatform import harness

pytestmark = pytest.mark.django_db
LIST, ADD = "admin:openplatform_raterule_changelist", "admin:openplatform_raterule_add"
GOOD = {
    "scope": "app_route", "route": "orders.create", "app": "", "algorithm": "cells", "limit": 600, "period_s": 60,
    "burst": "", "cells": 10, "enabled": "on", "version": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def rule(db):
    RateRule.objects.all().delete()
    terms = RuleTerms(scope="app", algorithm="token", limit=50, period_s=1, burst=100)
    return RateRule.add(terms, by="fenpay", now=timezone.now())


def browser(*codenames, name="chief"):
    user = User.objects.create_user(name, password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def chief():
    return browser("view_raterule", "add_raterule", "change_raterule")


def page(rule):
    return reverse("admin:openplatform_raterule_change", args=[rule.pk])


def form_of(rule, **changes):
    return {
        "scope": rule.scope, "route": rule.route, "app": rule.app_id or "", "algorithm": rule.algorithm,
        "limit": rule.limit, "period_s": rule.period_s, "burst": rule.burst or "", "cells": rule.cells or "",
        "enabled": "on" if rule.enabled else "", "version": rule.version,
    } | changes  # fmt: skip


def test_a_rule_is_changed_and_the_row_and_the_log_say_by_whom_and_from_what_to_what(chief, rule):
    assert chief.post(page(rule), form_of(rule, limit=80, burst=200)).status_code == 302
    rule.refresh_from_db()
    assert (rule.limit, rule.burst, rule.version, rule.changed_by, rule.created_by) == (80, 200, 2, "chief", "fenpay")
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("chief", str(rule.pk))
    assert entry.get_change_message() == "limit: 50 → 80, burst: 100 → 200"


def test_a_rule_is_added_for_all_and_for_one_app(chief):
    app = harness.an_app()
    assert chief.post(reverse(ADD), GOOD).status_code == 302
    assert chief.post(reverse(ADD), GOOD | {"app": app.pk, "limit": 6_000}).status_code == 302
    own = RateRule.objects.get(app=app)
    assert (own.limit, own.route, own.created_by, own.version) == (6_000, "orders.create", "chief", 1)
    assert "limit: 6000" in LogEntry.objects.get(object_id=str(own.pk)).get_change_message()
    listed = chief.get(reverse(LIST), {"q": str(app.pk)}).content.decode()
    assert "6000 in 60 s, 10 cells" in listed


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"limit": 0}, "between 1 and 1,000,000"), ({"period_s": 0}, "between one second and 31 days"),
        ({"cells": ""}, "has cells: 2 to 100"), ({"burst": 5}, "has a burst"), ({"limit": "many"}, "whole number"),
        ({"route": "orders.craete"}, "There is no such route. There are: orders.create"),
        ({"route": ""}, "There is no such route"),
        ({"scope": "ip", "route": "orders.create"}, "There is no such route"),
        ({"scope": "global"}, "names the route"), ({"algorithm": "magic"}, "valid choice"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused_with_words_and_nothing_is_written(chief, wrong, told):
    answer = chief.post(reverse(ADD), GOOD | wrong)
    assert answer.status_code == 200
    assert told in answer.content.decode().replace("&quot;", '"')
    assert RateRule.objects.count() == 1


def test_a_second_rule_for_the_same_callers_and_period_is_refused_with_words(chief, rule):
    answer = chief.post(reverse(ADD), form_of(rule, version=1))
    assert "There is a rule for all with this scope, route and period." in answer.content.decode()


def test_who_saw_an_older_version_changes_nothing(chief, rule):
    seen = form_of(rule)
    chief.post(page(rule), seen | {"limit": 60})
    answer = chief.post(page(rule), seen | {"limit": 10}, follow=True)
    assert "It was changed meanwhile; nothing was done." in answer.content.decode()
    rule.refresh_from_db()
    assert (rule.limit, rule.version) == (60, 2)
    assert LogEntry.objects.count() == 1


def test_a_rule_keeps_a_route_that_no_operation_has_any_more(chief, rule):
    terms = RuleTerms(scope="app_route", route="gone.now", algorithm="fixed", limit=1, period_s=1)
    old = RateRule.add(terms, by="fenpay", now=timezone.now())
    assert chief.post(page(old), form_of(old, enabled="")).status_code == 302
    old.refresh_from_db()
    assert not old.enabled


def test_whoever_may_only_look_changes_and_adds_nothing_and_nobody_deletes(chief, rule):
    reader = browser("view_raterule", name="reader")
    assert reader.get(page(rule)).status_code == 200
    assert reader.post(page(rule), form_of(rule, limit=1)).status_code == 403
    assert reader.post(reverse(ADD), GOOD).status_code == 403
    delete = reverse("admin:openplatform_raterule_delete", args=[rule.pk])
    assert chief.post(delete, {"post": "yes"}).status_code == 403
    rule.refresh_from_db()
    assert (rule.limit, RateRule.objects.count()) == (50, 1)


@pytest.mark.parametrize(
    ("language", "words"), [("zh-hans", ["限流规则", "令牌桶"]), ("en", ["rate rule", "token bucket"])]
)
def test_its_pages_speak_both_languages(chief, rule, language, words):
    for url in (reverse(LIST), page(rule)):
        shown = chief.get(url, headers={"Accept-Language": language}).content.decode().lower()
        assert [word for word in words if word not in shown] == []
