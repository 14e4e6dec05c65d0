"""A payer who was kept out stays kept out when the master key is replaced, and afterwards too."""

import base64
import io

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform.blocks import lists
from openplatform.blocks.values import payer_index
from openplatform.models import BlindKey, BlockEntry
from openplatform.models.blocks import AlreadyListed
from openplatform.sealing import derived_keys
from tests.migrating import schema_of

pytestmark = pytest.mark.django_db
OTHER, THIRD = (base64.b64encode(bytes(range(start, start + 32))).decode() for start in (32, 64))
PAYER, INNOCENT = "o-payer-of-many-orders", "o-another-payer"


def block(payer_id=PAYER):
    return BlockEntry.block(kind="payer_hash", text=payer_id, reason="x", by="olga", now=timezone.now())


def blocked(payer_id=PAYER):
    """As a process that begins now sees it."""
    lists.forget()
    lists._last.clear()
    return lists.current_lists().blocks_payer(payer_id, now=timezone.now())


def replace_master_key(settings, new):
    settings.MASTER_KEYS_OLD = [settings.MASTER_KEY, *settings.MASTER_KEYS_OLD]
    settings.MASTER_KEY = new


def rekey(*arguments):
    call_command("rekey", *arguments, stdout=io.StringIO())


def test_a_payer_stays_blocked_under_a_new_master_key_and_when_the_old_one_is_gone(settings):
    block()
    replace_master_key(settings, OTHER)
    assert blocked()
    assert not blocked(INNOCENT)
    rekey()
    settings.MASTER_KEYS_OLD = []
    rekey("--check")
    assert blocked()
    assert not blocked(INNOCENT)


def test_who_is_entered_under_the_new_key_is_the_same_payer(settings):
    entry = block()
    replace_master_key(settings, OTHER)
    with pytest.raises(AlreadyListed):
        block()
    entry.lift(by="olga", now=timezone.now())
    assert not blocked()
    assert block().value == entry.value
    assert BlindKey.objects.count() == 1


def test_without_payers_on_the_list_no_key_is_made_or_read(django_assert_num_queries):
    BlockEntry.block(kind="ip", text="198.51.100.7", reason="x", by="olga", now=timezone.now())
    assert not blocked()
    assert not BlindKey.objects.exists()


def test_a_key_that_no_master_key_opens_is_named_in_the_log_and_takes_no_list_away(settings, caplog):
    block()
    BlockEntry.block(kind="ip", text="198.51.100.7", reason="x", by="olga", now=timezone.now())
    settings.MASTER_KEY = OTHER
    assert not blocked()
    assert lists.current_lists().blocks_address("198.51.100.7", now=timezone.now())
    assert f"blind key {BlindKey.objects.get().pk}" in caplog.text


@pytest.mark.parametrize(
    "change", ["DELETE FROM {}", "UPDATE {} SET key_sealed = 'x'", "UPDATE {} SET created_at = now()"]
)
def test_a_key_is_neither_deleted_nor_replaced(change):
    block()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change.format(BlindKey._meta.db_table))


@pytest.mark.django_db(transaction=True)
def test_who_was_entered_when_the_master_key_itself_made_the_indexes_is_still_found(settings):
    """Of all master keys that are still known at the migration; and for ever after it."""
    ours = settings.MASTER_KEY
    for payer_id, master_key in ((PAYER, OTHER), ("o-payer-2", ours), ("o-lost-to-us", THIRD)):
        settings.MASTER_KEY = master_key
        index = payer_index(payer_id, key=derived_keys("blind index")[0])
        BlockEntry._add(
            kind="payer_hash", value=index, tail=payer_id[-4:], source="manual", reason="x", created_by="olga",
            created_at=timezone.now(),
        )  # fmt: skip
    settings.MASTER_KEY, settings.MASTER_KEYS_OLD = ours, [OTHER]
    with schema_of(("openplatform", "0011_delivery")):
        pass
    assert [blocked(PAYER), blocked("o-payer-2"), blocked("o-lost-to-us"), blocked(INNOCENT)] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(AlreadyListed):
        block(PAYER)
    settings.MASTER_KEYS_OLD = []
    assert blocked(PAYER), "both keys are sealed under today's"
    replace_master_key(settings, THIRD)
    rekey()
    settings.MASTER_KEYS_OLD = []
    assert [blocked(PAYER), blocked("o-payer-2"), blocked("o-lost-to-us")] == [True, True, False]
    assert block("o-lost-to-us").value == payer_index("o-lost-to-us", key=BlindKey.all_keys()[0])
