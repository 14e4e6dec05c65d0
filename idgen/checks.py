"""Mistakes that would cost ids or uniqueness, found by `manage.py check`, with `--deploy` or `--database default`."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name
from django.db import DatabaseError, connections

from idgen import layout
from idgen.conf import setting
from idgen.leases.base import StoreDown
from idgen.leases.etcd_prevote import PreVote, survey
from idgen.public import PublicKeysError, PublicNumbers
from idgen.stores import NAMES, etcd_store

_MEMBERS_MIN = 3
MAKE_PUBLIC_KEY = "Make one: python3 -c \"import base64, os; print('A:' + base64.b64encode(os.urandom(32)).decode())\""


@register
def check_store(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    """The store has a name that we know, and etcd has endpoints."""
    store, endpoints = setting("IDGEN_LEASE_STORE"), setting("IDGEN_ETCD_ENDPOINTS")
    if store not in NAMES:
        yield Error(f"IDGEN_LEASE_STORE is {store!r}.", hint=f"One of {', '.join(NAMES)}.", id="idgen.E001")
    if store != "etcd":
        return
    if not endpoints:
        yield Error("IDGEN_LEASE_STORE is etcd and IDGEN_ETCD_ENDPOINTS is empty.", id="idgen.E002")
    for endpoint in endpoints:
        if urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname:
            yield Error(f"{endpoint} in IDGEN_ETCD_ENDPOINTS is not a URL.", id="idgen.E003")


@register
def check_public_keys(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    if not setting("IDGEN_PUBLIC_KEYS"):
        return
    try:
        PublicNumbers.parse(setting("IDGEN_PUBLIC_KEYS"))
    except PublicKeysError as error:
        yield Error(f"IDGEN_PUBLIC_KEYS: {error}.", hint="ID:base64,ID:base64; the first one writes.", id="idgen.E004")


@register(deploy=True)
def check_public_keys_are_set(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    if not setting("IDGEN_PUBLIC_KEYS"):
        yield Error("IDGEN_PUBLIC_KEYS is not set: no app can be registered.", hint=MAKE_PUBLIC_KEY, id="idgen.E007")


@register(Tags.database)
def check_lease_table(
    app_configs: Sequence[Any] | None,  # noqa: ARG001
    databases: Sequence[str] | None = None,
    **_: Any,
) -> Iterable[CheckMessage]:
    """The table has a row per worker id and was made for this very layout of ids."""
    if "default" not in (databases or []) or setting("IDGEN_LEASE_STORE") != "postgresql":
        return
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT to_regclass('idgen_lease') IS NOT NULL")
            if not cursor.fetchone()[0]:
                return  # before the first migration
            cursor.execute("SELECT count(*), obj_description('idgen_lease'::regclass) FROM idgen_lease")
            count, description = cursor.fetchone()
    except DatabaseError:
        return  # a database that does not answer is not our mistake to report
    if count != layout.WORKER_COUNT:
        yield Error(
            f"The lease table has {count} rows, not {layout.WORKER_COUNT}.", hint="idgen_repair --seed", id="idgen.E005"
        )
    if description is not None and description != layout.DESCRIPTION:
        yield Error(
            f"The code's layout is {layout.DESCRIPTION!r}, the database's {description!r}.",
            hint="Old and new ids would collide: change both in a migration that moves every id.",
            id="idgen.E006",
        )


@register(deploy=True)
def check_etcd(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    """How the cluster runs. It is asked over the network, so only with --deploy."""
    endpoints = setting("IDGEN_ETCD_ENDPOINTS")
    if setting("IDGEN_LEASE_STORE") != "etcd" or not endpoints:
        return
    if len(endpoints) < _MEMBERS_MIN or len(endpoints) % 2 == 0:
        yield Warning(
            f"{len(endpoints)} etcd endpoints: give all members, an odd number from three on.", id="idgen.W001"
        )
    if not all(endpoint.startswith("https://") for endpoint in endpoints):
        yield Warning("etcd is spoken to without TLS.", hint="https:// and IDGEN_ETCD_CA", id="idgen.W002")
    yield from _prevote()


def _prevote() -> Iterable[CheckMessage]:
    store = etcd_store()
    found = survey(store.gateway)
    store.close()
    for endpoint, prevote in found.items():
        if isinstance(prevote, StoreDown):
            yield Warning(f"etcd {endpoint} does not answer.", hint=str(prevote), id="idgen.W004")
        elif prevote is not PreVote.ON:
            yield Warning(
                f"etcd {endpoint}: PreVote is {prevote.value}.",
                hint="Start it with --pre-vote: without it a member that rejoins stops writes for a second or two.",
                id="idgen.W003",
            )
