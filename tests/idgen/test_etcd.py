"""The etcd store against a real cluster of three: its rules, and what happens when members die, stop or are cut off.

The numbers that these tests print (`pytest -s`) are the ones quoted in docs/idgen.md.
"""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from idgen import Generator, IdgenUnavailable, LeaseLost, NoWorker
from idgen.leases.base import StoreDown, Timing
from idgen.leases.etcd import EtcdLeases
from idgen.leases.etcd_gateway import CALL_TIMEOUT_S, Gateway, b64, prefix_end
from idgen.leases.etcd_prevote import PreVote, prevote_of, survey
from tests.idgen import etcd_cluster
from tests.idgen.etcd_cluster import Cluster, can_make_namespaces, resume_member, stop_member
from tests.idgen.test_processes import numbers, workers_of

QUICK = Timing(ttl_s=2, margin_s=0.5, spare_window_s=0.5)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, require):
    require(etcd_cluster.BINARY, "etcd is not installed (Debian: etcd-server)")
    made = Cluster(tmp_path_factory.mktemp("etcd"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def own_cluster(tmp_path, require):
    require(etcd_cluster.BINARY, "etcd is not installed (Debian: etcd-server)")
    made = Cluster(tmp_path)
    made.start()
    yield made
    made.stop()


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
    print(f"takeover {time.monotonic() - began_s:.2f} s after the grant, TTL {QUICK.ttl_s} s")
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
    print(f"16 acquirers on 16 ids: {time.monotonic() - began_s:.2f} s")
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


# --- losses ----------------------------------------------------------------------------------------------------------
def watch(generator, until_s):
    """Ask for an id every millisecond until `until_s`: ids, refusals with their time, longest gap between ids."""
    made, refused, longest_s, last_s = [], [], 0.0, time.monotonic()
    while time.monotonic() < until_s:
        try:
            made.append(generator.next_id())
            longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()
        except IdgenUnavailable as error:
            refused.append((time.monotonic(), type(error).__name__))
        time.sleep(0.001)
    return made, refused, longest_s


class Recording:
    """The store, noting when each renewal began, ended, and whether it worked."""

    def __init__(self, store):
        self._store = store
        self.renewals = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def renew(self, grant, *, stats):
        began_s = time.monotonic()
        try:
            renewed = self._store.renew(grant, stats={})
        except StoreDown:
            self.renewals.append((began_s, time.monotonic(), False))
            raise
        self.renewals.append((began_s, time.monotonic(), True))
        return renewed


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.soak)])
def test_a_killed_leader_costs_no_id(own_cluster, rounds):
    store = Recording(EtcdLeases(endpoints=own_cluster.endpoints, timing=Timing(ttl_s=5, margin_s=1.5)))
    generator = Generator(open_store=lambda: store)
    generator.next_id()
    for number in range(rounds):
        leader, term = own_cluster.leader(), own_cluster.term()
        leader.kill()
        killed_s = time.monotonic()
        made, refused, longest_s = watch(generator, killed_s + 5)
        back_s = min(ended for began, ended, ok in store.renewals if ok and began > killed_s) - killed_s
        failed = sum(not ok for began, _, ok in store.renewals if began > killed_s)
        rest = [member for member in own_cluster.members if member is not leader]
        print(
            f"round {number}: renewed again {back_s:.2f} s after the kill, {failed} renewals failed, {len(refused)} ids"
            f" refused, longest gap {longest_s * 1000:.0f} ms, term {term} -> {own_cluster.term(among=rest)}"
        )
        assert refused == []
        assert len(set(made)) == len(made) > 1_000
        assert generator.health()["lost_total"] == 0
        own_cluster.restart(leader)
        own_cluster.leader()
    generator.close()


def test_without_a_quorum_it_issues_to_the_deadline_and_comes_back_with_the_quorum(own_cluster):
    timing = Timing(ttl_s=4, margin_s=1)
    generator = Generator(open_store=lambda: EtcdLeases(endpoints=own_cluster.endpoints, timing=timing))
    made = [generator.next_id()]
    for member in own_cluster.members[:2]:
        member.kill()
    lost_s = time.monotonic()
    more, refused, _ = watch(generator, lost_s + 5)
    stopped_s = refused[0][0] - lost_s
    for member in own_cluster.members[:2]:
        own_cluster.restart(member)
    back_s = time.monotonic()
    own_cluster.leader()
    deadline_s = time.monotonic() + 15
    again = []
    while not again and time.monotonic() < deadline_s:
        again, _, _ = watch(generator, time.monotonic() + 0.05)
    print(
        f"2 of 3 lost: issued for {stopped_s:.2f} s more; issued again {time.monotonic() - back_s:.2f} s after restart"
    )
    assert (
        timing.ttl_s - timing.margin_s - timing.renew_every_s - 0.2 < stopped_s < timing.ttl_s - timing.margin_s + 0.1
    )
    assert {name for _, name in refused} <= {"LeaseLost", "NoWorker"}
    assert again
    made += more + again
    assert len(set(made)) == len(made)
    generator.close()


@pytest.mark.parametrize("form", ["naive", "deadline", "window"])
def test_a_process_stopped_past_its_ttl(cluster, child, form, request):
    """The same three forms as on PostgreSQL: only the one that checks nothing repeats ids."""
    options = {
        "endpoints": cluster.endpoints,
        "prefix": f"/{request.node.name}",
        "timing": {"ttl_s": 2.0, "margin_s": 0.5, "spare_window_s": 0.5},
        "form": form,
        "workers": 1,
    }
    sleeper = child("stream", **options)
    made = [sleeper.line()[1] for _ in range(50)]
    os.kill(sleeper.process.pid, signal.SIGSTOP)
    time.sleep(4.0)  # etcd gives an expired lease up to a second more
    successor = child("stream", **options)
    first = successor.line()[1]
    woken_s = time.monotonic()
    os.kill(sleeper.process.pid, signal.SIGCONT)
    time.sleep(0.6)
    taken = [first, *(value for _, value in successor.end())]
    after = [value for at_s, value in sleeper.end() if at_s >= woken_s]
    assert workers_of(made + numbers(taken)) == {0}
    if form == "naive":
        assert len(set(after) & set(taken)) > 25
        return
    assert bool(numbers(after)) is (form == "window")
    made += numbers(after) + numbers(taken)
    assert len(set(made)) == len(made)


# --- an isolated follower --------------------------------------------------------------------------------------------
def longest_write_gap_s(endpoints, stop):
    """Write all the time, 20 ms apart; the longest time between two writes that worked."""
    gateway = Gateway(endpoints=endpoints)
    last_s, longest_s = time.monotonic(), 0.0
    while not stop.is_set():
        try:
            gateway.post("/v3/kv/put", {"key": b64("/gap"), "value": b64("x")})
            longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()
        except StoreDown:
            continue
        stop.wait(0.02)
    return longest_s


@pytest.mark.parametrize("prevote", [True, False])
def test_a_follower_cut_off_and_rejoined_forces_an_election_only_without_prevote(tmp_path: Path, require, prevote):
    require(etcd_cluster.BINARY, "etcd is not installed (Debian: etcd-server)")
    require(can_make_namespaces(), "network namespaces need root and iproute2")
    cluster = Cluster(tmp_path, prevote=prevote, namespaces=True)
    try:
        cluster.start()
        leader = cluster.leader()
        term = cluster.term()
        number = next(i for i, member in enumerate(cluster.members) if member is not leader)
        rest = [member for i, member in enumerate(cluster.members) if i != number]
        cluster.network.cut(number)
        time.sleep(5)
        stop, gaps = threading.Event(), []
        writer = threading.Thread(target=lambda: gaps.append(longest_write_gap_s([m.client for m in rest], stop)))
        writer.start()
        time.sleep(0.5)
        cluster.network.join(number)
        time.sleep(4)
        stop.set()
        writer.join()
        after = cluster.term()
        print(
            f"PreVote {'on' if prevote else 'off'}: term {term} -> {after}, longest write gap {gaps[0] * 1000:.0f} ms"
        )
        if prevote:
            assert after == term
            assert cluster.leader() is leader
            assert gaps[0] < 0.5
        else:
            assert after > term
    finally:
        cluster.stop()


def test_a_running_cluster_tells_whether_it_uses_prevote(cluster):
    assert set(survey(Gateway(endpoints=cluster.endpoints)).values()) == {PreVote.ON}


@pytest.mark.parametrize(
    ("version", "command_line", "expected"),
    [
        ("3.4.23", ["etcd"], PreVote.OFF),
        ("3.4.23", ["etcd", "--pre-vote"], PreVote.ON),
        ("3.4.23", ["etcd", "--pre-vote=true"], PreVote.ON),
        ("3.4.23", ["etcd", "-pre-vote=false"], PreVote.OFF),
        ("3.4.23", ["etcd", "--config-file=/etc/etcd.yml"], PreVote.UNKNOWN),
        ("3.4.23", None, PreVote.UNKNOWN),
        ("3.5.0", ["etcd"], PreVote.ON),
        ("3.5.0", ["etcd", "--pre-vote=false"], PreVote.OFF),
        ("3.6.1", None, PreVote.ON),
    ],
)
def test_prevote_is_read_from_version_and_command_line(version, command_line, expected):
    assert prevote_of(version=version, command_line=command_line) is expected
