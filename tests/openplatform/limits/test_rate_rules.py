"""Rules as rows: what cannot be written, what the migration brings, and which rules a request meets."""

import importlib
from dataclasses import replace

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform.caches import clear_all
from openplatform.limits.rules import tallies_of_address, tallies_of_app
from openplatform.models import RateRule
from openplatform.models.limits import RuleChanged, RuleTerms
from tests.openplatform import harness

pytestmark = pytest.mark.django_db

GOOD = RuleTerms(scope="app", algorithm="token", limit=50, period_s=1, burst=100)


@pytest.fixture(autouse=True)
def no_rules(db):
    RateRule.objects.all().delete()


def add(**terms):
    clear_all()
    return RateRule.add(RuleTerms(**terms), by="tester", now=timezone.now())


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"limit": 0}, "limit_range"), ({"limit": 1_000_001}, "limit_range"), ({"period_s": 0}, "period_range"),
        ({"period_s": 31 * 86_400 + 1}, "period_range"), ({"burst": 0}, "burst_of_buckets"),
        ({"burst": None}, "burst_of_buckets"), ({"algorithm": "leaky", "burst": None}, "burst_of_buckets"),
        ({"algorithm": "fixed"}, "burst_of_buckets"), ({"cells": 6}, "cells_of_sliding_windows"),
        ({"algorithm": "cells", "burst": None}, "cells_of_sliding_windows"),
        ({"algorithm": "cells", "burst": None, "cells": 1}, "cells_of_sliding_windows"),
        ({"algorithm": "cells", "burst": None, "cells": 101}, "cells_of_sliding_windows"),
        ({"scope": "ip"}, "route_of_routed_scopes"), ({"scope": "app_route"}, "route_of_routed_scopes"),
        ({"route": "orders.create"}, "route_of_routed_scopes"), ({"scope": "ip", "route": "Not A Route"}, "route_of"),
        ({"scope": "everybody"}, "scope_known"), ({"algorithm": "gcra", "burst": None}, "algorithm_known"),
    ],
)  # fmt: skip
def test_a_rule_that_lets_nothing_through_or_means_nothing_cannot_be_written(wrong, constraint):
    with pytest.raises(IntegrityError, match=f"rate_rule_{constraint}"), transaction.atomic():
        RateRule.add(replace(GOOD, **wrong), by="tester", now=timezone.now())


def test_only_a_rule_about_apps_can_be_for_one_app():
    app = harness.an_app()
    for scope, route in (("global", ""), ("ip", "openapi")):
        with pytest.raises(IntegrityError, match="rate_rule_app_of_app_scopes"), transaction.atomic():
            RateRule.add(replace(GOOD, scope=scope, route=route, app=app), by="tester", now=timezone.now())


def test_two_rules_over_the_same_period_for_the_same_callers_cannot_be():
    app = harness.an_app()
    for owner in (None, app):
        RateRule.add(replace(GOOD, app=owner), by="tester", now=timezone.now())
        with pytest.raises(IntegrityError, match="rate_rule_one_"), transaction.atomic():
            RateRule.add(replace(GOOD, app=owner, algorithm="leaky"), by="tester", now=timezone.now())
    RateRule.add(replace(GOOD, period_s=60), by="tester", now=timezone.now())


def test_a_change_makes_the_next_version_and_says_who_made_it():
    rule = RateRule.add(GOOD, by="one", now=timezone.now())
    changed = rule.change(replace(rule.terms, limit=60), by="two", now=timezone.now())
    changed.refresh_from_db()
    assert (changed.limit, changed.version, changed.created_by, changed.changed_by) == (60, 2, "one", "two")
    assert changed.changed_at > changed.created_at
    with pytest.raises(RuleChanged):
        rule.change(replace(rule.terms, limit=70), by="three", now=timezone.now())


@pytest.mark.parametrize(
    "change", ['"limit" = 7', "enabled = false", "version = version + 2", "version = version + 1, created_by = 'x'"]
)
def test_the_database_refuses_a_change_without_the_next_version(change):
    RateRule.add(GOOD, by="one", now=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE openplatform_raterule SET {change}")


def test_the_migration_brings_a_rule_for_each_door_and_for_what_is_dear():
    migration = importlib.import_module("openplatform.migrations.0005_rate_rules")
    migration.add_defaults(apps, None)
    clear_all()
    found = {(row.scope, row.route): str(row) for row in RateRule.objects.filter(enabled=True)}
    assert found == {
        ("ip", "openapi"): "openapi: 20 / 1 s", ("ip", "cashier"): "cashier: 100 / 1 s",
        ("ip", "cashier.identify"): "cashier.identify: 20 / 1 s", ("ip", "cashier.orders"): "cashier.orders: 20 / 1 s",
        ("app", ""): "app: 50 / 1 s", ("app_route", "orders.create"): "orders.create: 600 / 60 s",
        ("app_route", "refunds.create"): "refunds.create: 60 / 60 s",
        ("app_route", "bills.download"): "bills.download: 10 / 3600 s",
    }  # fmt: skip
    assert RateRule.objects.filter(scope="global", enabled=False).count() == 1
    assert len(tallies_of_app(1, route="orders.create")) == 2


# --- which rules a request meets --------------------------------------------------------------------------------------


def met(app_id, route="read"):
    return {(tally.rule.limit, tally.whom) for tally in tallies_of_app(app_id, route=route)}


def test_an_app_meets_the_rules_for_all_apps_for_its_operation_and_for_everybody():
    add(scope="global", algorithm="fixed", limit=1000, period_s=1)
    add(scope="app", algorithm="fixed", limit=50, period_s=1)
    add(scope="app", algorithm="fixed", limit=90_000, period_s=86_400)
    add(scope="app_route", route="orders.create", algorithm="fixed", limit=10, period_s=1)
    assert met(7) == {(1000, "all"), (50, "7"), (90_000, "7")}
    assert met(7, "orders.create") == met(7) | {(10, "7")}
    assert met(7, "no.such.route") == met(7)


def test_a_rule_of_its_own_stands_in_place_of_those_for_all_and_for_no_other_app():
    app, other = harness.an_app(), harness.an_app()
    add(scope="app", algorithm="fixed", limit=50, period_s=1)
    add(scope="app", algorithm="fixed", limit=90_000, period_s=86_400)
    add(scope="app_route", route="orders.create", algorithm="fixed", limit=10, period_s=1)
    own = add(scope="app", algorithm="fixed", limit=500, period_s=1, app=app)
    assert met(app.pk, "orders.create") == {(500, str(app.pk)), (10, str(app.pk))}
    assert met(other.pk) == {(50, str(other.pk)), (90_000, str(other.pk))}
    own.change(replace(own.terms, enabled=False), by="tester", now=timezone.now())
    clear_all()
    assert met(app.pk) == {(50, str(app.pk)), (90_000, str(app.pk))}


def test_a_rule_that_is_not_in_force_is_met_by_nobody():
    add(scope="app", algorithm="fixed", limit=50, period_s=1, enabled=False)
    assert met(7) == set()


@pytest.mark.parametrize(
    ("address", "whom"),
    [("203.0.113.9", "203.0.113.9"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("2001:db8:1:2::", "2001:db8:1:2::")],
)
def test_an_address_counts_for_itself_and_one_of_ipv6_for_its_house(address, whom):
    add(scope="ip", route="openapi", algorithm="fixed", limit=5, period_s=1)
    assert [tally.whom for tally in tallies_of_address(address, door="openapi")] == [whom]
    assert tallies_of_address(address, door="cashier") == []


def test_an_address_that_nobody_knows_meets_no_rule():
    add(scope="ip", route="openapi", algorithm="fixed", limit=5, period_s=1)
    assert tallies_of_address("0.0.0.0", door="openapi") == []


def test_rules_are_read_once_in_five_seconds_and_not_per_request(django_assert_num_queries):
    add(scope="app", algorithm="fixed", limit=50, period_s=1)
    with django_assert_num_queries(1):
        for app_id in range(1, 50):
            tallies_of_app(app_id, route="read")
            tallies_of_address("203.0.113.9", door="openapi")


def test_names_of_policies_and_their_quotas_are_what_a_caller_can_keep_to():
    add(scope="app", algorithm="token", limit=50, period_s=60, burst=5)
    add(scope="app_route", route="orders.create", algorithm="cells", limit=600, period_s=60, cells=10)
    rules = [tally.rule for tally in tallies_of_app(7, route="orders.create")]
    assert {rule.policy: rule.quota for rule in rules} == {"app-60s": (5, 6), "orders.create-60s": (600, 60)}
