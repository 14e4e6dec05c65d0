"""etcd behind TLS, as it runs in earnest: whoever has no certificate of the cluster's authority is refused, by name."""

import logging
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idgen import Generator, LeaseLost, NoWorker, checks, parse
from idgen.leases.base import StoreDistrusted, StoreDown, Timing
from idgen.leases.etcd import EtcdLeases
from idgen.leases.etcd_gateway import CALL_TIMEOUT_S, Tls
from tests.idgen.certificates import Authority
from tests.idgen.etcd_cluster import free_ports

QUICK = Timing(ttl_s=2, margin_s=0.5, spare_window_s=0.5)
REFUSED = "does not accept the client certificate"


@pytest.fixture
def ours(tls_cluster):
    return tls_cluster.authority.tls(tls_cluster.authority.client("fenpay"))


@pytest.fixture
def stranger(tmp_path):
    return Authority(tmp_path, name="stranger")


@pytest.fixture
def store_of(tls_cluster, request):
    def make(tls, *, workers=4, endpoints=None):
        return EtcdLeases(
            endpoints=endpoints or tls_cluster.endpoints,
            prefix=f"/{request.node.name}",
            timing=QUICK,
            tls=tls,
            workers=workers,
        )

    return make


def test_with_a_certificate_ids_are_leased_renewed_issued_and_given_back(store_of, ours):
    generator = Generator(open_store=lambda: store_of(ours), renew_in_background=False)
    made = [generator.next_id()]
    mark = store_of(ours).rows()[parse(made[0]).worker_id].reserved_until_ms
    time.sleep(1.2)
    generator.renew()
    [held] = [row for row in store_of(ours).rows() if row.is_held]
    assert held.reserved_until_ms > mark
    assert held.stats["ids_total"] == 1
    time.sleep(1.2)  # beyond the first TTL: only the renewal has kept the lease
    made += generator.next_ids(1_000)
    assert {parse(number).worker_id for number in made} == {held.worker_id}
    assert generator.health()["lost_total"] == 0
    generator.close()
    assert not any(row.is_held for row in store_of(ours).rows())


def test_certificate_and_key_may_be_in_one_file(store_of, ours, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(Path(ours.certificate).read_bytes() + Path(ours.key).read_bytes())
    assert store_of(Tls(ours.ca, str(both))).acquire(info="ours").worker_id >= 0


@pytest.fixture
def refused(tls_cluster, stranger, ours):
    """What clients are configured with that must not get in, and what each is told."""
    authority = tls_cluster.authority
    expired = authority.client("expired", until=datetime.now(UTC) - timedelta(hours=1))
    mine, other = authority.client("mine"), authority.client("other")
    stranger_certificate, stranger_key = map(str, stranger.client("stranger"))
    return {
        "none": (authority.tls(), REFUSED),
        "a stranger's": (Tls(ours.ca, stranger_certificate, stranger_key), REFUSED),
        "expired": (authority.tls(expired), REFUSED),
        "another key": (authority.tls((mine[0], other[1])), "IDGEN_ETCD_KEY is not the key of IDGEN_ETCD_CERT"),
        "a cluster that we do not know": (
            Tls(str(stranger.certificate), ours.certificate, ours.key),
            "does not stand under IDGEN_ETCD_CA: unable to get local issuer certificate",
        ),
        "no such file": (Tls("/nowhere.pem", ours.certificate, ours.key), "PEM file cannot be read.*/nowhere.pem"),
        "no key": (Tls(ours.ca, ours.certificate, ""), "one of them is no PEM file"),
    }


@pytest.mark.parametrize(
    "whose",
    ["none", "a stranger's", "expired", "another key", "a cluster that we do not know", "no such file", "no key"],
)
def test_a_client_without_the_right_certificate_is_refused_at_once_and_told_why(store_of, refused, ours, whose):
    tls, reason = refused[whose]
    store = store_of(tls)
    began_s = time.monotonic()
    with pytest.raises(StoreDistrusted, match=reason):
        store.acquire(info="intruder")
    assert time.monotonic() - began_s < CALL_TIMEOUT_S
    grant = store_of(ours).acquire(info="ours")
    with pytest.raises(StoreDistrusted, match=reason):
        store.renew(grant, stats={})
    with pytest.raises(StoreDistrusted, match=reason):
        store.release(grant, used_until_ms=0)
    assert store_of(ours).renew(grant, stats={}).fence == grant.fence
    assert [row.info for row in store_of(ours).rows() if row.is_held] == ["ours"]


@pytest.mark.parametrize("whose", ["none", "no such file"])
def test_a_generator_without_the_right_certificate_gives_no_id_and_its_error_has_a_name(store_of, refused, whose):
    tls, reason = refused[whose]
    generator = Generator(open_store=lambda: store_of(tls), renew_in_background=False)
    with pytest.raises(NoWorker, match=reason):
        generator.next_id()
    generator.renew()  # as the background thread would: it survives, and asks again later
    with pytest.raises(NoWorker, match=reason):
        generator.next_id()


def test_a_lease_whose_certificate_was_taken_away_goes_on_to_its_deadline_and_the_log_says_why(
    store_of, ours, tls_cluster, caplog
):
    store = store_of(ours)
    generator = Generator(open_store=lambda: store, renew_in_background=False)
    generator.next_id()
    store.gateway._tls = tls_cluster.authority.tls()
    store.gateway.close()  # the next call connects anew
    with caplog.at_level(logging.WARNING):
        generator.renew()
    assert REFUSED in caplog.text
    assert generator.health()["renew_failures_total"] == 1
    generator.next_id()
    time.sleep(QUICK.ttl_s - QUICK.margin_s)
    generator.renew()
    with pytest.raises(LeaseLost):
        generator.next_id()


@pytest.fixture
def strange_endpoint(stranger):
    """A server whose certificate is of an authority that we do not know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*stranger.server("strange-server"))
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    context.wrap_socket(connection, server_side=True)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def test_an_endpoint_that_we_cannot_trust_is_passed_by(store_of, ours, tls_cluster, strange_endpoint):
    store = store_of(ours, endpoints=[strange_endpoint, tls_cluster.endpoints[1]])
    assert store.acquire(info="ours").worker_id >= 0
    with pytest.raises(StoreDistrusted, match="does not stand under IDGEN_ETCD_CA"):
        store_of(ours, endpoints=[strange_endpoint]).acquire(info="ours")


def test_an_endpoint_that_is_dead_makes_it_no_question_of_trust_alone(store_of, ours, strange_endpoint):
    nobody = f"https://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(StoreDown, match=r"did not answer.*ConnectionError") as refused:
        store_of(ours, endpoints=[nobody, strange_endpoint]).acquire(info="ours")
    assert type(refused.value) is StoreDown
    assert "does not stand under" in str(refused.value)


def test_the_deployment_check_passes_with_our_certificate_and_names_the_reason_without(settings, tls_cluster, ours):
    settings.IDGEN_LEASE_STORE = "etcd"
    settings.IDGEN_ETCD_ENDPOINTS = tls_cluster.endpoints
    settings.IDGEN_ETCD_CA, settings.IDGEN_ETCD_CERT, settings.IDGEN_ETCD_KEY = ours.ca, ours.certificate, ours.key
    assert [message.id for message in checks.check_etcd(None)] == []
    settings.IDGEN_ETCD_CERT = ""
    found = list(checks.check_etcd(None))
    assert [message.id for message in found] == ["idgen.W004"] * 3
    assert all(REFUSED in message.hint for message in found)
