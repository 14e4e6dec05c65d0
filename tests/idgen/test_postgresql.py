"""The lease table: every predicate of its statements is there for a story, and without it the story goes wrong."""

import dataclasses
import socket
import threading
import time

import psycopg2
import pytest

from idgen import Generator, LeaseLost, NoWorker, layout
from idgen.leases import postgresql
from idgen.leases.base import DEFAULT_TIMING, StoreDown, Timing
from idgen.leases.postgresql import PostgresLeases
from tests.idgen.conftest import execute

QUICK = Timing(ttl_s=0.4, margin_s=0.1, spare_window_s=0.1)


def now_ms():
    return time.time_ns() // 1_000_000


@pytest.fixture
def store_of(lease_table):
    def make(*, workers=1, timing=DEFAULT_TIMING):
        return PostgresLeases(parameters=lease_table(workers=workers), timing=timing)

    return make


def set_row(store, **values):
    columns = ", ".join(f"{name} = %s" for name in values)
    execute(store._parameters, f"UPDATE idgen_lease SET {columns}", *values.values())


def test_a_grant_reserves_time_ahead_and_starts_above_the_last_holders_mark(store_of):
    store = store_of(timing=QUICK)
    set_row(store, reserved_until_ms=now_ms() - 5_000)
    floor = store.rows()[0].reserved_until_ms
    grant = store.acquire(info="test")
    assert grant.floor_ms == floor
    assert abs(grant.reserved_until_ms - now_ms() - QUICK.window_ms) < 200
    assert abs(grant.store_ms - now_ms()) < 200
    assert grant.deadline_s - time.monotonic() < QUICK.ttl_s - QUICK.margin_s
    row = store.rows()[0]
    assert (row.fence, row.info, row.is_held) == (1, "test", True)


def test_a_held_worker_id_is_not_given_twice(store_of):
    store = store_of()
    store.acquire(info="first")
    with pytest.raises(NoWorker):
        store.acquire(info="second")


def test_an_expired_lease_is_taken_over_with_a_higher_fence_and_the_old_holder_learns_it(store_of):
    store = store_of(timing=QUICK)
    first = store.acquire(info="first")
    time.sleep(0.45)
    second = store.acquire(info="second")
    assert (second.worker_id, second.fence) == (first.worker_id, first.fence + 1)
    assert second.floor_ms == first.reserved_until_ms
    with pytest.raises(LeaseLost):
        store.renew(first, stats={})
    store.release(first, used_until_ms=1)
    assert store.rows()[0].reserved_until_ms == second.reserved_until_ms
    assert store.renew(second, stats={}).fence == second.fence


def test_an_expired_lease_cannot_be_renewed_even_if_nobody_took_it(store_of):
    store = store_of(timing=QUICK)
    grant = store.acquire(info="first")
    time.sleep(0.45)
    with pytest.raises(LeaseLost):
        store.renew(grant, stats={})


def test_a_mark_never_goes_down_on_renewal(store_of):
    store = store_of()
    grant = store.acquire(info="first")
    set_row(store, reserved_until_ms=now_ms() + 60_000)
    assert store.renew(grant, stats={}).reserved_until_ms > now_ms() + 50_000


def test_release_lowers_the_mark_to_what_was_used_and_never_raises_it(store_of):
    store = store_of()
    used = now_ms() - 100
    store.release(store.acquire(info="first"), used_until_ms=used)
    assert store.rows()[0].reserved_until_ms == used
    assert not store.rows()[0].is_held
    store.release(grant := store.acquire(info="second"), used_until_ms=grant.reserved_until_ms + 5)
    assert store.rows()[0].reserved_until_ms == grant.reserved_until_ms


def test_a_worker_id_whose_mark_is_far_ahead_rests(store_of):
    store = store_of()
    set_row(store, reserved_until_ms=now_ms() + 1_500)
    with pytest.raises(NoWorker):
        store.acquire(info="first")
    set_row(store, reserved_until_ms=now_ms() + 500)
    assert store.acquire(info="first").worker_id == 0


def test_a_spare_is_one_whose_mark_is_below_the_clock_that_stepped_back(store_of):
    store = store_of()
    set_row(store, reserved_until_ms=now_ms() - 10_000)
    with pytest.raises(NoWorker):
        store.acquire(info="spare", below_ms=now_ms() - 20_000)
    assert store.acquire(info="spare", below_ms=now_ms() - 5_000).worker_id == 0


def test_the_least_recently_used_worker_id_comes_first_so_that_restarts_use_all_evenly(store_of):
    store = store_of(workers=16)
    used = []
    for turn in range(64):
        grant = store.acquire(info="restart")
        used.append(grant.worker_id)
        store.release(grant, used_until_ms=1_000 + turn)
    assert used == list(range(16)) * 4


MUTATIONS = {
    "the holder is not compared": ("AND lease.holder = %(holder)s::uuid", ""),
    "the fence is not compared": ("AND lease.fence = %(fence)s", ""),
    "expiry is not looked at": ("AND lease.lease_until > clock_timestamp()", ""),
    "the mark may go down": ("greatest(lease.reserved_until_ms,", "least(9e18::bigint,"),
}


def renews_only_what_is_ours(store):
    """True when the renewal behaves in every story that a predicate is there for."""
    grant = store.acquire(info="ours")
    strangers = [
        dataclasses.replace(grant, holder="00000000-0000-0000-0000-000000000000"),
        dataclasses.replace(grant, fence=grant.fence - 1),
    ]
    set_row(store, reserved_until_ms=now_ms() + 60_000)
    if store.renew(grant, stats={}).reserved_until_ms < now_ms() + 50_000:
        return False
    for stranger in strangers:
        try:
            store.renew(stranger, stats={})
        except LeaseLost:
            continue
        return False
    execute(store._parameters, "UPDATE idgen_lease SET lease_until = clock_timestamp() - interval '1 ms'")
    try:
        store.renew(grant, stats={})
    except LeaseLost:
        return True
    return False


def test_the_renewal_behaves(store_of):
    assert renews_only_what_is_ours(store_of())


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_renewal_without_one_of_its_predicates_is_noticed(store_of, monkeypatch, name):
    old, new = MUTATIONS[name]
    assert old in postgresql._RENEW
    monkeypatch.setattr(postgresql, "_RENEW", postgresql._RENEW.replace(old, new))
    assert not renews_only_what_is_ours(store_of())


def test_an_acquisition_looks_at_the_lease_and_not_only_at_the_mark(store_of, monkeypatch):
    store = store_of()
    store.acquire(info="first")
    set_row(store, reserved_until_ms=0)
    with pytest.raises(NoWorker):
        store.acquire(info="second")
    monkeypatch.setattr(postgresql, "_ACQUIRE", postgresql._ACQUIRE.replace("lease_until < clock_timestamp()", "true"))
    assert store.acquire(info="second").worker_id == 0


def test_a_locked_row_is_passed_over_not_waited_for(store_of):
    store = store_of(workers=2)
    connection = psycopg2.connect(**store._parameters)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM idgen_lease WHERE worker_id = 0 FOR UPDATE")
            assert store.acquire(info="second").worker_id == 1
    finally:
        connection.close()


def test_a_renewal_that_meets_a_lock_gives_up_in_time(store_of):
    store = store_of()
    grant = store.acquire(info="first")
    connection = psycopg2.connect(**store._parameters)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM idgen_lease FOR UPDATE")
            began_s = time.monotonic()
            with pytest.raises(StoreDown):
                store.renew(grant, stats={})
            assert time.monotonic() - began_s < 2.0
    finally:
        connection.close()
    assert store.renew(grant, stats={}).fence == grant.fence


def test_a_missing_table_says_what_to_do(store_of):
    store = store_of()
    execute(store._parameters, "DROP TABLE idgen_lease")
    with pytest.raises(StoreDown, match="migrate"):
        store.acquire(info="first")


def test_a_server_that_is_not_there_is_said_so(store_of):
    store = store_of()
    store._parameters |= {"host": "127.0.0.1", "port": "1"}
    with pytest.raises(StoreDown):
        store.acquire(info="first")


def test_a_server_that_accepts_and_says_nothing_costs_a_bounded_time(store_of):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        store = store_of()
        store._parameters |= {"host": "127.0.0.1", "port": str(deaf.getsockname()[1])}
        began_s = time.monotonic()
        with pytest.raises(StoreDown, match="did not answer"):
            store.acquire(info="first")
        assert time.monotonic() - began_s < postgresql.CALL_TIMEOUT_S + 0.5


def test_marks_are_durable_and_bounded_whatever_the_server_is_set_to(store_of):
    store = store_of()
    for name, wanted in (("synchronous_commit", "on"), ("statement_timeout", "1500ms")):
        assert store._call(f"SHOW {name}") == [(wanted,)]


def test_threads_of_one_process_share_one_lease(lease_table):
    parameters = lease_table(workers=8)
    generator = Generator(open_store=lambda: PostgresLeases(parameters=parameters))
    made = []
    threads = [threading.Thread(target=lambda: made.extend(generator.next_ids(1_000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8_000
    assert {layout.parse(number).worker_id for number in made} == {0}
    generator.close()
    assert not any(row.is_held for row in PostgresLeases(parameters=parameters).rows())
