"""The rows of the lists: one in force for one thing, lifted and never deleted, and longer each time by themselves."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform.blocks.networks import place_of
from openplatform.blocks.queries import live_entries
from openplatform.blocks.values import ListingRefused, payer_index
from openplatform.models import AppAddress, BlindKey, BlockEntry, ExemptAddress, ListMarker
from openplatform.models.blocks import BlockSource, ListedState
from tests.factories import NOW
from tests.openplatform import harness

pytestmark = pytest.mark.django_db

PLACE = place_of("198.51.100.7")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def block(kind="ip", text="198.51.100.7", *, now=NOW, lasts=None, by="olga"):
    expires_at = now + lasts if lasts else None
    return BlockEntry.block(kind=kind, text=text, reason="abuse", by=by, now=now, expires_at=expires_at)


def refusal_of(deed):
    with pytest.raises(ListingRefused) as refusal:
        deed()
    return refusal.value.code


def test_one_entry_is_in_force_for_one_thing_however_it_is_written():
    block()
    assert refusal_of(lambda: block(text="::ffff:198.51.100.7")) == "BLOCK_ALREADY_LISTED"
    block("notify_host", "Shop.Example.com")
    assert refusal_of(lambda: block("notify_host", "shop.example.com.")) == "BLOCK_ALREADY_LISTED"
    assert BlockEntry.objects.count() == 2


def test_the_database_itself_holds_one_in_force_for_one_thing():
    known = block()
    copy = {f.attname: getattr(known, f.attname) for f in BlockEntry._meta.concrete_fields if f.name != "id"}
    with pytest.raises(IntegrityError, match="block_entry_one_in_force"), transaction.atomic():
        BlockEntry(**copy).save(force_insert=True)


@pytest.mark.parametrize("kind", ["app", "serial"])
def test_an_app_and_a_key_must_be_there(kind):
    text = {"app": "7123456789012345678", "serial": "NO_SUCH_KEY_01"}[kind]
    assert refusal_of(lambda: block(kind, text)) == {"app": "BLOCK_NOT_AN_APP", "serial": "BLOCK_NOT_A_KEY"}[kind]
    caller = harness.Caller(harness.an_app())
    assert block(kind, {"app": str(caller.app.pk), "serial": caller.serial_no}[kind]).pk


def test_an_entry_that_is_over_before_it_begins_is_refused():
    assert refusal_of(lambda: block(lasts=-MINUTE)) == "BLOCK_ENDS_IN_THE_PAST"


def test_a_payer_is_not_in_the_row():
    entry = block("payer_hash", "o-payer-of-many-orders")
    assert str(entry.shown_value) == "…ders"
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(e)::text FROM openplatform_blockentry e")
        (row,) = cursor.fetchone()
    (key,) = BlindKey.all_keys()
    assert payer_index("o-payer-of-many-orders", key=key) in row
    assert "payer-of-many" not in row
    assert "many-orders" not in str(entry)


def test_the_database_refuses_a_payer_that_is_not_a_hash():
    with pytest.raises(IntegrityError, match="block_entry_payer_is_hashed"), transaction.atomic():
        BlockEntry(
            kind="payer_hash", value="o-payer-1", source="manual", reason="x", created_by="olga", created_at=NOW
        ).save(force_insert=True)


def test_an_entry_is_lifted_once_by_somebody_and_stays_as_a_row():
    entry = block()
    assert entry.state(now=NOW) == ListedState.LIVE
    assert entry.lift(by="oleg", now=NOW + HOUR)
    assert not entry.lift(by="olga", now=NOW + 2 * HOUR)
    assert (entry.lifted_by, entry.lifted_at) == ("oleg", NOW + HOUR)
    assert entry.state(now=NOW) == ListedState.LIFTED
    assert block(now=NOW + HOUR).pk != entry.pk
    assert BlockEntry.objects.count() == 2


def test_an_entry_that_ran_out_gives_way_and_nobody_lifted_it():
    first = block(lasts=HOUR)
    assert first.state(now=NOW + HOUR) == ListedState.EXPIRED
    assert not first.lift(by="olga", now=NOW + HOUR), "what is over cannot be lifted"
    second = block(now=NOW + 2 * HOUR)
    first.refresh_from_db()
    assert (first.lifted_at, first.lifted_by) == (first.expires_at, "")
    assert first.state(now=NOW + 2 * HOUR) == ListedState.EXPIRED
    assert list(BlockEntry.live(now=NOW + 2 * HOUR)) == [second]
    conditions = {state: BlockEntry.is_in_state(state, now=NOW + 2 * HOUR) for state in ListedState}
    assert {state: list(BlockEntry.objects.filter(condition)) for state, condition in conditions.items()} == {
        ListedState.LIVE: [second], ListedState.EXPIRED: [first], ListedState.LIFTED: [],
    }  # fmt: skip


@pytest.mark.parametrize(
    "change", ["DELETE FROM {}", "UPDATE {} SET reason = 'other'", "UPDATE {} SET value = '1.2.3.4'"]
)
def test_an_entry_is_neither_deleted_nor_changed(change):
    block()
    ExemptAddress.exempt(text="192.0.2.0/24", reason="office", by="olga", now=NOW)
    AppAddress.allow(app=harness.an_app(), text="192.0.2.1", reason="till", by="olga", now=NOW)
    for model in (BlockEntry, ExemptAddress, AppAddress):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change.format(model._meta.db_table))


def test_a_lifted_entry_does_not_come_back():
    entry = block()
    entry.lift(by="olga", now=NOW)
    with pytest.raises(IntegrityError, match="lifted once"), transaction.atomic():
        BlockEntry.objects.filter(pk=entry.pk).update(lifted_at=None, lifted_by="")


def test_every_change_of_a_list_leaves_another_marker():
    markers = [ListMarker.read()]
    entry = block()
    markers.append(ListMarker.read())
    entry.lift(by="olga", now=NOW)
    markers.append(ListMarker.read())
    BlockEntry.block_automatically(network=PLACE, now=NOW)
    markers.append(ListMarker.read())
    exempt = ExemptAddress.exempt(text="192.0.2.0/24", reason="office", by="olga", now=NOW)
    markers.append(ListMarker.read())
    exempt.lift(by="olga", now=NOW)
    markers.append(ListMarker.read())
    AppAddress.allow(app=harness.an_app(), text="192.0.2.1", reason="till", by="olga", now=NOW)
    markers.append(ListMarker.read())
    assert len(set(markers)) == len(markers)


# --- automatic entries -----------------------------------------------------------------------------------------------


def lengths(*, pauses, now=NOW):
    """How long each automatic block of one address lasts, when the next follows so long after the end of the last."""
    found = []
    for pause in [*pauses, None]:
        entry = BlockEntry.block_automatically(network=PLACE, now=now)
        found.append(entry.expires_at - entry.created_at)
        now = entry.expires_at + (pause or HOUR)
    return [length // MINUTE for length in found]


def test_each_repetition_lasts_twice_as_long_up_to_a_day():
    assert lengths(pauses=[MINUTE] * 9) == [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]


def test_after_a_quiet_day_it_begins_again():
    assert lengths(pauses=[MINUTE, 23 * HOUR, 24 * HOUR]) == [10, 20, 40, 10]


def test_a_block_that_a_person_lifted_does_not_count():
    first = BlockEntry.block_automatically(network=PLACE, now=NOW)
    first.lift(by="olga", now=NOW + MINUTE)
    second = BlockEntry.block_automatically(network=PLACE, now=NOW + 2 * MINUTE)
    assert second.expires_at - second.created_at == 10 * MINUTE


def test_nothing_is_blocked_twice_and_a_person_outranks_the_program():
    entry = BlockEntry.block_automatically(network=PLACE, now=NOW)
    assert (entry.kind, entry.value, entry.source, entry.created_by) == ("ip", "198.51.100.7", "auto", "")
    assert BlockEntry.block_automatically(network=PLACE, now=NOW) is None
    by_hand = block(now=NOW + MINUTE)
    assert list(BlockEntry.live(now=NOW + MINUTE)) == [by_hand]
    assert BlockEntry.block_automatically(network=PLACE, now=NOW + MINUTE) is None
    entry.refresh_from_db()
    assert entry.lifted_by == "olga"


@pytest.mark.django_db(transaction=True)
def test_of_eight_that_cross_the_line_at_once_one_writes_the_row():
    for number in range(5):
        network, barrier = place_of(f"198.51.100.{number}"), threading.Barrier(8)

        def cross(network=network, barrier=barrier):
            barrier.wait()
            try:
                return BlockEntry.block_automatically(network=network, now=timezone.now())
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            entries = [future.result() for future in [pool.submit(cross) for _ in range(8)]]
        assert len([entry for entry in entries if entry]) == 1
    assert BlockEntry.objects.filter(source=BlockSource.AUTO).count() == 5


# --- places ----------------------------------------------------------------------------------------------------------


def test_a_place_is_exempt_once_and_an_apps_place_once_for_that_app():
    ExemptAddress.exempt(text="192.0.2.0/24", reason="office", by="olga", now=NOW)
    again = {"text": "::ffff:192.0.2.0/120", "reason": "office", "by": "olga", "now": NOW}
    assert refusal_of(lambda: ExemptAddress.exempt(**again)) == "BLOCK_ALREADY_LISTED"
    app, other = harness.an_app(), harness.an_app()
    for whose in (app, other):
        AppAddress.allow(app=whose, text="192.0.2.0/24", reason="till", by="olga", now=NOW)
    assert refusal_of(lambda: AppAddress.allow(app=app, **again)) == "BLOCK_ALREADY_LISTED"
    assert refusal_of(lambda: AppAddress.allow(app=app, **again | {"text": "x"})) == "BLOCK_NOT_AN_ADDRESS"
    assert refusal_of(lambda: AppAddress.allow(app=app, **again | {"text": "0.0.0.0/0"})) == "BLOCK_TOO_WIDE"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("198.51.100.7", {"198.51.100.7", "198.51.100.0/24", "198.0.0.0/8"}),
        ("198.51.100.9", {"198.51.100.0/24", "198.0.0.0/8"}),
        ("198.51.100.0/24", {"198.51.100.0/24"}),
        ("2001:db8:1:2::9", {"2001:db8:1:2::/64"}),
        ("api.shop.example.com", {"shop.example.com"}),
        ("rs-1", {"…rs-1"}),
        ("nothing of this", set()),
    ],
)
def test_one_finds_what_keeps_something_out(told, found):
    for kind, text in (
        ("ip", "198.51.100.7"), ("cidr", "198.51.100.0/24"), ("cidr", "198.0.0.0/8"), ("cidr", "2001:db8:1:2::/64"),
        ("notify_host", "shop.example.com"), ("payer_hash", "o-pays-others-1"),
    ):  # fmt: skip
        block(kind, text)
    assert {entry.shown_value for entry in live_entries(now=NOW, text=told)} == found
