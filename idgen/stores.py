"""Which lease store a process uses: the choice is the setting IDGEN_LEASE_STORE. Django is imported only in here."""

from typing import TYPE_CHECKING

from idgen.conf import setting
from idgen.errors import NoWorker
from idgen.leases.base import LeaseStore

if TYPE_CHECKING:
    from idgen.leases.etcd import EtcdLeases
    from idgen.leases.postgresql import PostgresLeases

NAMES = ("postgresql", "etcd")


def store_from_settings() -> LeaseStore:
    """The store that Django's settings name.

    Raises:
        NoWorker: Django is not configured, or the setting names no store.
        StoreDown: etcd is chosen and no endpoint is given.
    """
    try:
        from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 - the core works without Django
    except ImportError as error:
        raise NoWorker("without Django, make a Generator with a lease store of its own") from error
    try:
        name = setting("IDGEN_LEASE_STORE")
    except ImproperlyConfigured as error:
        raise NoWorker("Django has no settings yet: set DJANGO_SETTINGS_MODULE") from error
    if name not in NAMES:
        raise NoWorker(f"IDGEN_LEASE_STORE is {name!r}, not one of {', '.join(NAMES)}")
    return etcd_store() if name == "etcd" else postgresql_store()


def postgresql_store(alias: str = "default") -> "PostgresLeases":
    """Leases in the database `alias`. The name is read now, so that a test run finds its test database."""
    from django.db import connections  # noqa: PLC0415

    from idgen.leases.postgresql import PostgresLeases  # noqa: PLC0415

    parameters = dict(connections[alias].get_connection_params())
    parameters.pop("cursor_factory", None)
    return PostgresLeases(parameters=parameters)


def etcd_store() -> "EtcdLeases":
    """Leases in the etcd cluster that IDGEN_ETCD_ENDPOINTS names."""
    from idgen.leases.etcd import EtcdLeases  # noqa: PLC0415
    from idgen.leases.etcd_gateway import Tls  # noqa: PLC0415

    return EtcdLeases(
        endpoints=setting("IDGEN_ETCD_ENDPOINTS"),
        prefix=setting("IDGEN_ETCD_PREFIX"),
        tls=Tls(ca=setting("IDGEN_ETCD_CA"), certificate=setting("IDGEN_ETCD_CERT"), key=setting("IDGEN_ETCD_KEY")),
    )
