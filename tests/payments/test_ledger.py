"""The ledger balances, or nothing is written; and nothing that was written is ever changed."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from payments.models import LedgerAccount, LedgerEntry, Posting, StateEvent
from tests import factories
from tests.factories import NOW, the_payment

pytestmark = pytest.mark.django_db(transaction=True)


def entry_with(*amounts):
    payment = the_payment(factories.a_paying_order())
    with transaction.atomic():
        entry = LedgerEntry.objects.create(
            kind=LedgerEntry.Kind.PAYMENT, order_id=payment.order_id, payment=payment, created_at=NOW
        )
        account = LedgerAccount.open(kind=LedgerAccount.Kind.CHANNEL_RECEIVABLE, owner_id=1)
        for amount_fen in amounts:
            Posting.objects.create(entry=entry, account=account, amount_fen=amount_fen)
    return entry


def test_a_balanced_entry_is_written():
    assert entry_with(4030, -4000, -30).postings.count() == 3


@pytest.mark.parametrize("amounts", [(4030,), (4030, -4029), (1, 1), ()], ids=str)
def test_an_entry_that_does_not_balance_takes_its_whole_transaction_with_it(amounts):
    with pytest.raises(IntegrityError, match="postings that add up to"):
        entry_with(*amounts)
    assert not LedgerEntry.objects.exists()


def test_a_posting_added_later_must_balance_too():
    entry = LedgerEntry.objects.get(order=factories.a_paid_order())
    account = LedgerAccount.objects.first()
    with pytest.raises(IntegrityError, match="postings that add up to"):
        Posting.objects.create(entry=entry, account=account, amount_fen=1)


def test_a_posting_of_nothing_is_refused():
    with pytest.raises(IntegrityError, match="posting_not_zero"):
        entry_with(0, 0)


def test_a_payment_is_posted_once_whoever_tries():
    payment = the_payment(factories.a_paid_order())
    with pytest.raises(IntegrityError, match="ledger_payment_posted_once"), transaction.atomic():
        LedgerEntry.post_payment(payment=payment, now=NOW)


@pytest.mark.parametrize("model", [Posting, LedgerEntry, StateEvent])
def test_the_database_refuses_to_change_or_remove_what_was_written(model):
    factories.a_paid_order()
    row = model.objects.first()
    for statement in (
        f'UPDATE "{model._meta.db_table}" SET id = id WHERE id = {row.pk}',
        f'DELETE FROM "{model._meta.db_table}" WHERE id = {row.pk}',
    ):
        with pytest.raises(DatabaseError, match="is refused"), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("table", ["payments_posting", "payments_ledgerentry", "payments_stateevent"])
def test_the_database_refuses_to_truncate_the_ledger(table):
    """The tests switch this one guard off to clean up after themselves; here it is on, in a transaction of its own."""
    on = f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only_truncate"
    with pytest.raises(DatabaseError, match="TRUNCATE on"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{on}; TRUNCATE {table} CASCADE")


def test_rows_say_so_before_the_database_must():
    factories.a_paid_order()
    for row in (Posting.objects.first(), LedgerEntry.objects.first()):
        with pytest.raises(TypeError, match="append-only"):
            row.save()
        with pytest.raises(TypeError, match="append-only"):
            row.delete()
