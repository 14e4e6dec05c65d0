"""The Django face: field, JSON form, and that no ordinary database operation can undo a mark."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.migrations.writer import MigrationWriter
from django.urls import path
from rest_framework import serializers

import idgen
from idgen.drf import SnowflakeSerializerField
from idgen.fields import SnowflakeField
from idgen.layout import time_ms
from idgen.models import WorkerLease

ROOT = Path(__file__).resolve().parents[2]


class _LiteralNumber(str):
    __slots__ = ()


@pytest.fixture
def fresh_process_generator():
    idgen.close()
    yield
    idgen.close()


@pytest.mark.django_db
def test_ids_are_unique_and_rising(fresh_process_generator):
    made = [idgen.next_id() for _ in range(5_000)] + idgen.next_ids(5_000)
    assert made == sorted(set(made))
    assert len(made) == 10_000


@pytest.mark.django_db
def test_the_lease_is_visible_while_it_is_held_and_gone_after_close(fresh_process_generator):
    idgen.next_id()
    row = WorkerLease.objects.get(worker_id=idgen.health()["worker_id"])
    assert row.holder is not None
    assert str(os.getpid()) in row.info
    idgen.close()
    row.refresh_from_db()
    assert row.holder is None


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_does_not_undo_the_mark(fresh_process_generator):
    with transaction.atomic():
        number = idgen.next_id()
        transaction.set_rollback(True)
    made_ms = int(idgen.parse(number).at.timestamp() * 1000)
    row = WorkerLease.objects.get(worker_id=idgen.parse(number).worker_id)
    assert row.reserved_until_ms > made_ms
    assert row.fence == idgen.health()["fence"]


def an_id_and_then_an_error(request):
    raise ZeroDivisionError(str(idgen.next_id()))


urlpatterns = [path("breaks", an_id_and_then_an_error)]


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
def test_a_view_that_breaks_under_atomic_requests_does_not_undo_the_mark(fresh_process_generator, client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    with pytest.raises(ZeroDivisionError) as error:
        client.get("/breaks")
    made = int(str(error.value))
    row = WorkerLease.objects.get(worker_id=idgen.parse(made).worker_id)
    assert row.reserved_until_ms > time_ms(made)
    assert row.holder is not None


@pytest.mark.django_db(transaction=True)
def test_flush_leaves_the_leases_alone(fresh_process_generator):
    idgen.next_id()
    before = list(WorkerLease.objects.filter(holder__isnull=False).values_list("worker_id", "fence", "holder"))
    call_command("flush", "--no-input", verbosity=0)
    assert WorkerLease.objects.count() == 1024
    assert list(WorkerLease.objects.filter(holder__isnull=False).values_list("worker_id", "fence", "holder")) == before
    assert before


def test_the_field_gives_each_object_an_id_and_keeps_the_generator_out_of_migrations():
    field = SnowflakeField(primary_key=True)
    assert field.default is idgen.next_id
    written, _ = MigrationWriter.serialize(field)
    assert written == "idgen.fields.SnowflakeField(primary_key=True)"
    assert field.db_type(connection) == "bigint"


def test_a_plain_field_with_our_default_can_be_written_to_a_migration():
    written, imports = MigrationWriter.serialize(models.BigIntegerField(default=idgen.next_id))
    assert "default=idgen.next_id" in written
    assert "import idgen" in imports


class _Body(serializers.Serializer):
    order_no = SnowflakeSerializerField()


def test_an_id_is_a_string_in_json():
    assert _Body({"order_no": 250428769968324730}).data == {"order_no": "250428769968324730"}
    body = _Body(data={"order_no": "123456789"})
    assert body.is_valid()
    assert body.validated_data == {"order_no": 123456789}


def test_the_openapi_schema_says_string():
    from drf_spectacular.drainage import get_override

    assert get_override(SnowflakeSerializerField(), "field")["type"] == "string"


@pytest.mark.parametrize("value", [123, 1.0, True, None, "", "abc", [], {}, _LiteralNumber("123"), "9" * 19])
def test_anything_but_a_string_of_digits_is_refused(value):
    assert not _Body(data={"order_no": value}).is_valid()


def test_the_core_is_importable_without_django():
    script = """
import sys
sys.modules["django"] = None
sys.modules["psycopg2"] = None
import idgen
try:
    idgen.next_id()
except idgen.NoWorker as error:
    print(type(error).__name__, error.retry_after_s)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["NoWorker", "5"]
