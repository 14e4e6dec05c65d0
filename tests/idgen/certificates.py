"""Certificates of a cluster, made for one test run: an authority, its members' and its clients' certificates."""

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from idgen.leases.etcd_gateway import Tls

DAY = timedelta(days=1)


class Authority:
    """Issues certificates into `directory`, which keeps `NAME.pem` and `NAME.key` of each."""

    def __init__(self, directory, *, name):
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(f"authority {name}")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._subject, self._key).add_extension(basic, critical=True)
        self.certificate = directory / f"{name}-authority.pem"
        self.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def server(self, name):
        """For 127.0.0.1. Good for a client too: etcd's JSON gateway calls its own server with it."""
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(name, usage, [alternative], until=datetime.now(UTC) + DAY)

    def client(self, name, *, until=None):
        """(certificate, key) of a client."""
        return self._issue(name, [ExtendedKeyUsageOID.CLIENT_AUTH], [], until=until or datetime.now(UTC) + DAY)

    def tls(self, pair=("", "")):
        """What a client that trusts this authority is configured with."""
        certificate, key = pair
        return Tls(ca=str(self.certificate), certificate=str(certificate), key=str(key))

    def _issue(self, name, usage, extensions, *, until):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_named(name), key, until=until)
        for extension in [x509.ExtendedKeyUsage(usage), *extensions]:
            builder = builder.add_extension(extension, critical=False)
        certificate, key_file = (self._directory / f"{name}{suffix}" for suffix in (".pem", ".key"))
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key_file

    def _builder(self, subject, key, *, until=None):
        until = until or datetime.now(UTC) + DAY
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - 2 * DAY)
            .not_valid_after(until)
        )


def _named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
