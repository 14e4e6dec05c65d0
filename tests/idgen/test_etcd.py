"""The etcd store against a real cluster of three: its rules, and what happens when members die, stop or are cut off."""

import threading
import time

import pytest

from idgen import Generator, LeaseLost, NoWorker
from idgen.leases.base import StoreDown, Timing
from idgen.leases.etcd import EtcdLeases
from idgen.leases.etcd_gateway import CALL_TIMEOUT_S, Gateway, b64, prefix_end
from tests.idgen import etcd_cluster
from tests.idgen.etcd_cluster import resume_member, stop_member
from tests.idgen.readings import figure

QUICK = Timing(ttl_s=2, margin_s=0.5, spare_window_s=0.5)


@pytest.fixture
def store_of(cluster, request):
    def make(*, workers=4, timing=QUICK, endpoints=None):
        return EtcdLeases(
            endpoints=endpoints or cluster.endpoints, prefix=f"/{request.node.name}", timing=timing, workers=workers
        )

    return make


def put(store, key, value):
    store.gateway.post("/v3/kv/put", {"key": b64(key), "value": b64(value)})


# --- rules -----------------------------------------------------------------------------------------------------------
def test_a_grant_reserves_time_ahead_and_starts_above_the_last_mark(store_of):
    store = store_of(workers=1)
    now_ms = int(time.time() * 1000)
    put(store, store._hwm(0), str(now_ms - 5_000))
    grant = store.acquire(info="test")
    assert grant.floor_ms == now_ms - 5_000
    assert -600 < grant.reserved_until_ms - now_ms - QUICK.window_ms < 1_500
    [row] = store.rows()
    assert (row.is_held, row.info, row.fence) == (True, "test", grant.fence)
    assert row.reserved_until_ms == grant.reserved_until_ms


def test_a_held_worker_id_is_not_given_twice(store_of):
    store = store_of(workers=1)
    store.acquire(info="first")
    with pytest.raises(NoWorker):
        store.acquire(info="second")


def test_an_expired_lease_is_taken_over_above_its_mark_and_the_old_holder_learns_it(store_of):
    store = store_of(workers=1)
    first = store.acquire(info="first")
    second, began_s = None, time.monotonic()
    while second is None:
        try:
            second = store.acquire(info="second")
        except NoWorker:
            time.sleep(0.05)
    figure(f"an etcd lease that ran out, TTL {QUICK.ttl_s} s", f"taken over after {time.monotonic() - began_s:.2f} s")
    assert second.floor_ms == first.reserved_until_ms
    assert second.fence > first.fence
    with pytest.raises(LeaseLost):
        store.renew(first, stats={})
    store.release(first, used_until_ms=1)
    assert store.rows()[0].reserved_until_ms == second.reserved_until_ms
    assert store.renew(second, stats={}).worker_id == 0


def test_a_live_lease_is_not_enough_the_fence_has_to_match_too(store_of):
    """A keepalive alone proves nothing: here the lease lives, but the key was taken by somebody else."""
    store = store_of(workers=1)
    grant = store.acquire(info="first")
    store.gateway.post("/v3/kv/deleterange", {"key": b64(store._own(0))})
    put(store, store._own(0), '{"lease": "1", "info": "somebody else"}')
    assert int(store.gateway.post("/v3/lease/keepalive", {"ID": grant.holder}).body["result"]["TTL"]) > 0
    with pytest.raises(LeaseLost):
        store.renew(grant, stats={})
    mark = store.rows()[0].reserved_until_ms
    store.release(grant, used_until_ms=1)
    assert store.rows()[0].reserved_until_ms == mark


def test_release_gives_the_worker_id_back_above_what_was_used(store_of):
    store = store_of(workers=1)
    used = int(time.time() * 1000)
    store.release(store.acquire(info="first"), used_until_ms=used)
    assert store.acquire(info="second").floor_ms == used


def test_a_request_that_was_carried_out_twice_is_recognised_as_ours(store_of):
    store = store_of(workers=1)
    worker_id, mark = store._choose(below_ms=None)
    lease_id = store._new_lease()
    first = store._take(worker_id, mark, lease_id=lease_id, info="us")
    assert store._take(worker_id, mark, lease_id=lease_id, info="us").fence == first.fence
    assert store._take(worker_id, mark, lease_id=store._new_lease(), info="them") is None


def test_a_choice_that_somebody_used_meanwhile_is_refused_by_the_marks_revision(store_of):
    store = store_of(workers=1)
    worker_id, mark = store._choose(below_ms=None)
    store.release(store.acquire(info="quick"), used_until_ms=int(time.time() * 1000))
    assert store._take(worker_id, mark, lease_id=store._new_lease(), info="slow") is None


def test_a_wrong_clock_cannot_push_the_mark_into_the_future(store_of):
    store = store_of(workers=1)
    grant = store.acquire(info="first")
    store._wall = lambda: time.time() + 365 * 86_400
    renewed = store.renew(grant, stats={})
    assert renewed.reserved_until_ms < time.time() * 1000 + QUICK.window_ms + 1_500
    assert renewed.store_ms < time.time() * 1000 + 1_500


def test_sixteen_acquirers_at_once_get_sixteen_ids_and_the_seventeenth_is_told_so(store_of):
    got, refused = [], []

    def acquire():
        try:
            got.append(store_of(workers=16, timing=Timing()).acquire(info="one of 17").worker_id)
        except NoWorker:
            refused.append(1)

    threads = [threading.Thread(target=acquire) for _ in range(16)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figure("16 acquirers at once on 16 ids in etcd", f"all served after {time.monotonic() - began_s:.2f} s")
    assert (sorted(got), refused) == (list(range(16)), [])
    acquire()
    assert refused == [1]


def test_a_generator_runs_on_it(store_of):
    generator = Generator(open_store=store_of)
    made = generator.next_ids(10_000)
    assert len(set(made)) == 10_000
    assert generator.renew() > 0
    generator.close()
    assert not any(row.is_held for row in store_of().rows())


# --- endpoints -------------------------------------------------------------------------------------------------------
def test_a_stopped_member_costs_one_timeout_and_is_then_passed_by(own_cluster):
    first = own_cluster.members[0]
    store = EtcdLeases(endpoints=own_cluster.endpoints, timing=Timing())
    grant = store.acquire(info="test")
    if own_cluster.leader() is first:
        store.gateway._current = 0
    stop_member(first)
    try:
        deadline_s = time.monotonic() + 8
        while True:  # an election may be needed first
            began_s = time.monotonic()
            try:
                grant = store.renew(grant, stats={})
                break
            except StoreDown:
                assert time.monotonic() - began_s < 2 * CALL_TIMEOUT_S + 0.5
                assert time.monotonic() < deadline_s
        assert store.gateway._current != 0
        began_s = time.monotonic()
        store.renew(grant, stats={})
        assert time.monotonic() - began_s < 0.5
    finally:
        resume_member(first)


def test_endpoints_where_nobody_listens_are_passed_by(cluster):
    dead = f"http://127.0.0.1:{etcd_cluster.free_ports(1)[0]}"
    store = EtcdLeases(endpoints=[dead, *cluster.endpoints], prefix="/dead", timing=QUICK)
    assert store.acquire(info="test").worker_id >= 0
    nowhere = EtcdLeases(endpoints=[dead], timing=QUICK)
    began_s = time.monotonic()
    with pytest.raises(StoreDown, match="did not answer"):
        nowhere.acquire(info="test")
    assert time.monotonic() - began_s < CALL_TIMEOUT_S + 0.5


def test_no_endpoint_at_all_is_said_so():
    with pytest.raises(StoreDown, match="no etcd endpoint"):
        Gateway(endpoints=[])


def test_the_end_of_a_prefix_is_the_next_key():
    assert prefix_end("/idgen/own/") == "/idgen/own0"
