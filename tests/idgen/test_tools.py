"""The tools around the leases: status, repair, system checks, the console's page."""

import json
import time
import uuid
from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import translation

import idgen
from idgen import checks, layout, repair
from idgen.fields import SnowflakeField
from idgen.leases.base import StoreDown
from idgen.models import WorkerLease
from idgen.stores import postgresql_store, store_from_settings

YEAR_MS = 365 * 86_400_000


def now_ms():
    return time.time_ns() // 1_000_000


@pytest.fixture
def lease_rows(transactional_db):
    """The real table, put back as it was: leases are not rolled back or flushed."""
    idgen.close()
    before = list(WorkerLease.objects.values_list("worker_id", "reserved_until_ms"))
    yield WorkerLease.objects
    idgen.close()
    WorkerLease.objects.filter(worker_id__gte=0).delete()
    WorkerLease.objects.bulk_create(
        [WorkerLease(worker_id=number, reserved_until_ms=mark, lease_until="1970-01-01T00:00:00Z")
         for number, mark in before]
    )  # fmt: skip


def output(*arguments, **options):
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


# --- status -----------------------------------------------------------------------------------------------------------
def test_status_shows_each_holder_with_its_window_and_the_free_ones(lease_rows):
    idgen.next_id()
    idgen.process_generator.renew()
    text = output("idgen_status")
    worker_id = idgen.health()["worker_id"]
    assert f"\n{worker_id:>6} " in text
    assert text.rstrip().endswith("1 held, 1023 of 1024 free")
    [held] = json.loads(output("idgen_status", "--json"))["held"]
    assert held["worker_id"] == worker_id
    assert 9_000 < held["window_ms_left"] <= 12_000
    assert 7_000 < held["lease_ms_left"] <= 10_000
    assert held["ids_total"] == idgen.health()["ids_total"] > 0


def test_status_fails_when_a_mark_is_poisoned_so_that_a_monitor_notices(lease_rows):
    lease_rows.filter(worker_id=7).update(reserved_until_ms=now_ms() + YEAR_MS)
    with translation.override("en"), pytest.raises(CommandError, match="1 free worker ids are reserved far ahead"):
        output("idgen_status")


def test_status_fails_when_few_worker_ids_are_free(lease_rows):
    lease_rows.filter(worker_id__lt=930).update(lease_until="2099-01-01T00:00:00Z")
    with translation.override("en"), pytest.raises(CommandError, match="Only 94 worker ids are free"):
        output("idgen_status")


# --- repair -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def orders_table(lease_rows, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE repair_orders (order_no bigint PRIMARY KEY)")
        monkeypatch.setattr(repair, "snowflake_columns", lambda: [("repair_orders", "order_no")])
        yield cursor
        cursor.execute("DROP TABLE repair_orders")


def test_repair_lowers_a_spoiled_mark_to_the_newest_id_of_that_worker_and_not_below(lease_rows, orders_table):
    future_ms = now_ms() + 3_000_000
    ids = [
        layout.block_base(at_ms=at, worker_id=w, lane=0)
        for at, w in [(future_ms, 7), (future_ms - 9, 7), (future_ms + 9, 8)]
    ]
    orders_table.executemany("INSERT INTO repair_orders VALUES (%s)", [[number] for number in ids])
    lease_rows.filter(worker_id__in=[7, 9]).update(reserved_until_ms=now_ms() + YEAR_MS)
    assert "worker 7" in output("idgen_repair")
    assert lease_rows.get(worker_id=7).reserved_until_ms > now_ms() + YEAR_MS - 60_000
    began_ms = now_ms()
    assert output("idgen_repair", "--apply").count(": lowered") == 2
    assert lease_rows.get(worker_id=7).reserved_until_ms == future_ms
    assert began_ms <= lease_rows.get(worker_id=9).reserved_until_ms <= now_ms()
    assert lease_rows.get(worker_id=8).reserved_until_ms < now_ms()
    assert "worker 9" not in output("idgen_repair")


def test_repair_leaves_a_held_worker_id_alone(lease_rows, orders_table):
    lease_rows.filter(worker_id=7).update(
        reserved_until_ms=now_ms() + YEAR_MS, lease_until="2099-01-01T00:00:00Z", holder=uuid.uuid4()
    )
    assert "No mark needs lowering." in output("idgen_repair", "--apply")


def test_a_mark_that_was_leased_between_look_and_repair_is_left_alone(lease_rows):
    lease_rows.filter(worker_id=7).update(reserved_until_ms=now_ms() + YEAR_MS)
    store = postgresql_store()
    row = store.rows()[7]
    lease_rows.filter(worker_id=7).update(fence=row.fence + 1)
    assert store.lower_mark(row, to_ms=now_ms()) is False
    assert lease_rows.get(worker_id=7).reserved_until_ms == row.reserved_until_ms


def test_missing_rows_are_added_and_rest_for_a_window_first(lease_rows):
    lease_rows.filter(worker_id__gte=1000).delete()
    assert "24 rows would be added." in output("idgen_repair", "--seed")
    assert "24 rows added." in output("idgen_repair", "--seed", "--apply")
    assert lease_rows.count() == 1024
    assert lease_rows.get(worker_id=1000).reserved_until_ms > now_ms() + 11_000


def test_after_a_failover_no_worker_id_starts_below_what_may_have_been_lost(lease_rows):
    output("idgen_repair", "--after-failover", "30")
    assert not lease_rows.filter(reserved_until_ms__gt=now_ms() + 20_000).exists()
    output("idgen_repair", "--after-failover", "30", "--apply")
    assert not lease_rows.filter(reserved_until_ms__lt=now_ms() + 41_000).exists()
    with pytest.raises(idgen.NoWorker):
        idgen.next_id()


def test_the_columns_that_hold_ids_are_found_by_their_field():
    from django.apps import apps

    for table, column in repair.snowflake_columns():
        [model] = [model for model in apps.get_models() if model._meta.db_table == table]
        assert any(isinstance(field, SnowflakeField) and field.column == column for field in model._meta.fields)


# --- system checks ----------------------------------------------------------------------------------------------------
def ids_of(found):
    return [message.id for message in found]


def test_the_settings_as_they_are_pass():
    every = [checks.check_store, checks.check_public_keys, checks.check_public_keys_are_set, checks.check_etcd]
    assert [ids_of(check(None)) for check in every] == [[]] * len(every)


@pytest.mark.parametrize(
    ("changes", "check", "expected"),
    [
        ({"IDGEN_LEASE_STORE": "redis"}, checks.check_store, ["idgen.E001"]),
        ({"IDGEN_LEASE_STORE": "etcd", "IDGEN_ETCD_ENDPOINTS": []}, checks.check_store, ["idgen.E002"]),
        ({"IDGEN_LEASE_STORE": "etcd", "IDGEN_ETCD_ENDPOINTS": ["etcd-1:2379"]}, checks.check_store, ["idgen.E003"]),
        ({"IDGEN_PUBLIC_KEYS": "A:short"}, checks.check_public_keys, ["idgen.E004"]),
        ({"IDGEN_PUBLIC_KEYS": ""}, checks.check_public_keys_are_set, ["idgen.E007"]),
        (
            {"IDGEN_LEASE_STORE": "etcd", "IDGEN_ETCD_ENDPOINTS": ["http://127.0.0.1:1", "http://127.0.0.1:2"]},
            checks.check_etcd,
            ["idgen.W001", "idgen.W002", "idgen.W004", "idgen.W004"],
        ),
    ],
)
def test_a_mistake_in_the_settings_has_an_id(settings, changes, check, expected):
    for name, value in changes.items():
        setattr(settings, name, value)
    assert ids_of(check(None)) == expected


def test_an_unknown_store_gives_no_ids_and_says_why(settings):
    settings.IDGEN_LEASE_STORE = "redis"
    with pytest.raises(idgen.NoWorker, match="redis"):
        store_from_settings()
    settings.IDGEN_LEASE_STORE = "etcd"
    with pytest.raises(StoreDown, match="no etcd endpoint"):
        store_from_settings()


def test_a_lease_table_that_lacks_rows_or_was_made_for_another_layout_is_an_error(lease_rows, monkeypatch):
    assert ids_of(checks.check_lease_table(None, databases=["default"])) == []
    lease_rows.filter(worker_id=5).delete()
    monkeypatch.setattr(layout, "DESCRIPTION", "ids: another layout")
    assert ids_of(checks.check_lease_table(None, databases=["default"])) == ["idgen.E005", "idgen.E006"]
    assert ids_of(checks.check_lease_table(None, databases=None)) == []


# --- the console ------------------------------------------------------------------------------------------------------
PAGE = "admin:idgen_workerlease_changelist"


def login(client, *permissions):
    operator = User.objects.create_user("operator", password="x", is_staff=True)
    operator.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(operator)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["1 of 1024 worker ids are leased", "normal {count}"]),
        ("zh-hans", ["1024 个工作节点号中已租出 1 个", "正常 {count}"]),
    ],
)
def test_the_page_shows_the_leases_in_the_operators_language(lease_rows, client, language, words):
    login(client, "view_workerlease")
    idgen.next_id()
    idgen.process_generator.renew()
    page = client.get(reverse(PAGE), headers={"accept-language": language}).content.decode()
    count = idgen.health()["rungs"]["normal"]
    assert count > 0
    assert [word for word in words if word.format(count=count) not in page] == []
    assert idgen.leasing.process_info() in page


def test_the_page_shows_alarms(lease_rows, client):
    login(client, "view_workerlease")
    lease_rows.filter(worker_id=7).update(reserved_until_ms=now_ms() + YEAR_MS)
    page = client.get(reverse(PAGE), headers={"accept-language": "en"}).content.decode()
    assert "1 free worker ids are reserved far ahead" in page


def test_the_page_says_when_the_store_does_not_answer(lease_rows, client, settings):
    login(client, "view_workerlease")
    settings.IDGEN_LEASE_STORE = "etcd"
    settings.IDGEN_ETCD_ENDPOINTS = ["http://127.0.0.1:1"]
    page = client.get(reverse(PAGE), headers={"accept-language": "en"}).content.decode()
    assert "The lease store does not answer." in page


def test_the_page_needs_the_permission_and_nothing_can_be_changed(lease_rows, client, admin_client):
    login(client)
    assert client.get(reverse(PAGE)).status_code == 403
    assert admin_client.get(reverse("admin:idgen_workerlease_add")).status_code == 403
    change = reverse("admin:idgen_workerlease_change", args=[7])
    assert admin_client.post(change, {"fence": 99}).status_code == 403
    assert admin_client.post(reverse("admin:idgen_workerlease_delete", args=[7]), {"post": "yes"}).status_code == 403
