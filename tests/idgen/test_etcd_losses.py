"""etcd loses its leader, its majority, or one of its clients for a while: no id is lost, and none is repeated."""

import os
import signal
import time

import pytest

from idgen import Generator, IdgenUnavailable
from idgen.leases.base import StoreDown, Timing
from idgen.leases.etcd import EtcdLeases
from tests.idgen.readings import figure, numbers, workers_of


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
    backs_s, gaps_s = [], []
    for _ in range(rounds):
        leader = own_cluster.leader()
        leader.kill()
        killed_s = time.monotonic()
        made, refused, longest_s = watch(generator, killed_s + 5)
        backs_s.append(min(ended for began, ended, ok in store.renewals if ok and began > killed_s) - killed_s)
        gaps_s.append(longest_s)
        assert refused == []
        assert len(set(made)) == len(made) > 1_000
        assert generator.health()["lost_total"] == 0
        own_cluster.restart(leader)
        own_cluster.leader()
    figure(
        f"etcd's leader killed, rounds: {rounds}, TTL 5 s",
        f"0 ids refused, longest gap between two {max(gaps_s) * 1000:.0f} ms;"
        f" renewed again after {min(backs_s):.1f} to {max(backs_s):.1f} s",
    )
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
    figure(
        "2 of 3 etcd members killed, TTL 4 s, margin 1 s",
        f"issued for {stopped_s:.2f} s more, and again {time.monotonic() - back_s:.1f} s after the restart",
    )
    assert (
        timing.ttl_s - timing.margin_s - timing.renew_every_s - 0.4 < stopped_s < timing.ttl_s - timing.margin_s + 0.3
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
    # The sleeper ends first: once its successor is gone it may lease the id again, and rightly so.
    after = [value for at_s, value in sleeper.end() if at_s >= woken_s]
    taken = [first, *(value for _, value in successor.end())]
    assert workers_of(made + numbers(taken)) == {0}
    shared = len(set(numbers(after)) & set(numbers(taken)))
    figure(
        f"stopped past the TTL, etcd, form: {form}",
        f"{len(numbers(after))} ids after waking, {shared} of them duplicates",
    )
    if form == "naive":
        assert shared > 25
        return
    assert bool(numbers(after)) is (form == "window")
    made += numbers(after) + numbers(taken)
    assert len(set(made)) == len(made)
