"""PreVote: what it is for, shown on a cluster whose follower is cut off, and how we find out whether it is on."""

import threading
import time
from pathlib import Path

import pytest

from idgen.leases.base import StoreDown
from idgen.leases.etcd_gateway import Gateway, b64
from idgen.leases.etcd_prevote import PreVote, prevote_of, survey
from tests.idgen import etcd_cluster
from tests.idgen.etcd_cluster import Cluster, can_make_namespaces
from tests.idgen.readings import figure


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
        figure(
            f"an etcd follower cut off for 5 s and back, PreVote {'on' if prevote else 'off'}",
            f"term +{after - term}, longest time between two writes {gaps[0] * 1000:.0f} ms",
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
