"""Rows of before are sealed by the migration, and come back in clear if it is undone."""

from importlib import import_module

import pytest
from django.db import connection

from payments.models import Payment
from tests import factories
from tests.migrating import schema_of

BEFORE = ("payments", "0004_evidence")


def column(name):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT payment_no, {name} FROM payments_payment ORDER BY payment_no")
        return cursor.fetchall()


def refused(sql):
    with pytest.raises(Exception, match="refused"), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.django_db(transaction=True)
def test_payers_are_sealed_and_opened_again_row_by_row(monkeypatch):
    named = [factories.the_payment(factories.a_submitting_order(payer_id=f"o-payer-{n}")).pk for n in range(5)]
    nameless = factories.the_payment(factories.a_submitting_order(method="native", payer_id="")).pk
    everybody = {**{pk: f"o-payer-{n}" for n, pk in enumerate(named)}, nameless: ""}
    monkeypatch.setattr(import_module("payments.migrations.0005_payer_sealed"), "BATCH", 2)
    with schema_of(BEFORE):
        assert dict(column("payer_id")) == everybody
        refused("UPDATE payments_payment SET payer_id = 'somebody else'")
    assert {payment.pk: payment.payer_id for payment in Payment.objects.all()} == everybody
    assert all(b"o-payer" not in bytes(blob or b"") for _pk, blob in column("payer_sealed"))
    assert dict(column("payer_sealed"))[nameless] is None
    refused("UPDATE payments_payment SET payer_sealed = 'x'")
    refused("UPDATE payments_payment SET amount_fen = 1")
