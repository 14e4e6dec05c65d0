"""etcd that speaks TLS and demands a certificate of its clients: with ours it leases, without it says clearly no."""

import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from idgen import Generator
from idgen.leases.base import StoreDown, Timing
from idgen.leases.etcd import EtcdLeases
from idgen.leases.etcd_gateway import Tls
from idgen.stores import etcd_store
from tests.idgen import etcd_cluster
from tests.idgen.etcd_cluster import Member, free_ports

QUICK = Timing(ttl_s=2, margin_s=0.5, spare_window_s=0.5)


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(name, self.key.public_key(), is_authority=True)
        self.path = self._write(f"{name}.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name):
        """Paths of a certificate for 127.0.0.1 and of its key. etcd's own gateway dials itself with the server's."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key.public_key(), is_authority=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = certificate.public_bytes(serialization.Encoding.PEM)
        return self._write(f"{name}.pem", public), self._write(f"{name}-key.pem", private)

    def _signed(self, name, public_key, *, is_authority):
        issuer = self.name
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(minutes=5))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            builder = builder.add_extension(addresses, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return str(path)


@pytest.fixture(scope="module")
def member(tmp_path_factory, require):
    require(etcd_cluster.BINARY, "etcd is not installed (Debian: etcd-server)")
    directory = tmp_path_factory.mktemp("etcd-tls")
    authority = Authority(directory, "authority")
    certificate, key = authority.issue("server")
    tls = (
        "--client-cert-auth", f"--trusted-ca-file={authority.path}", f"--cert-file={certificate}", f"--key-file={key}",
    )  # fmt: skip
    client_port, peer_port = free_ports(2)
    member = Member(name="m0", host="127.0.0.1", client_port=client_port, peer_port=peer_port, tls=tls)
    member.authority = authority
    member.start(directory=directory, cluster=f"m0={member.peer}", is_new=True, prevote=True)
    _wait_for(member)
    yield member
    member.kill()


def _wait_for(member):
    store, deadline_s = store_of(member, "wait", *member.authority.issue("waiter")), time.monotonic() + 20
    while True:
        try:
            store.rows()
        except StoreDown:
            assert time.monotonic() < deadline_s, "etcd did not start"
            time.sleep(0.1)
        else:
            store.close()
            return


def store_of(member, prefix, certificate="", key="", *, ca=None):
    tls = Tls(ca=ca or member.authority.path, certificate=certificate, key=key)
    return EtcdLeases(endpoints=[member.client], prefix=f"/{prefix}", timing=QUICK, workers=2, tls=tls)


def test_with_a_certificate_of_the_authority_ids_are_leased_and_renewed(member):
    certificate, key = member.authority.issue("fenpay")
    generator = Generator(open_store=lambda: store_of(member, "leased", certificate, key), renew_in_background=False)
    first = generator.next_id()
    assert generator.renew() > 0
    assert generator.next_id() > first
    assert generator.health()["renew_failures_total"] == 0
    generator.close()


def test_the_settings_name_the_three_files(member, settings):
    certificate, key = member.authority.issue("by-settings")
    settings.IDGEN_ETCD_ENDPOINTS, settings.IDGEN_ETCD_PREFIX = [member.client], "/settings"
    settings.IDGEN_ETCD_CA, settings.IDGEN_ETCD_CERT, settings.IDGEN_ETCD_KEY = member.authority.path, certificate, key
    store = etcd_store()
    grant = store.acquire(info="test")
    store.release(grant, used_until_ms=grant.store_ms)
    store.close()


def test_without_a_certificate_or_with_a_strangers_nothing_is_leased(member, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    for certificate, key in (("", ""), stranger.issue("client")):
        with pytest.raises(StoreDown, match="did not answer"):
            store_of(member, "refused", certificate, key).acquire(info="test")


def test_a_server_that_another_authority_vouches_for_is_not_believed(member, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(StoreDown, match="SSLError"):
        store_of(member, "forged", *member.authority.issue("client"), ca=stranger.path).acquire(info="test")
