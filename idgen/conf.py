"""The settings of this app with their defaults: a project that sets none of them leases from its default database."""

from typing import Any, Final

DEFAULTS: Final[dict[str, Any]] = {
    "IDGEN_LEASE_STORE": "postgresql",
    "IDGEN_ETCD_ENDPOINTS": (),
    "IDGEN_ETCD_PREFIX": "/idgen",
    "IDGEN_ETCD_CA": "",
    "IDGEN_ETCD_CERT": "",
    "IDGEN_ETCD_KEY": "",
    "IDGEN_PUBLIC_KEYS": "",
}


def setting(name: str) -> Any:
    """The value of one of ours. Django is imported here, so that the core works without it."""
    from django.conf import settings  # noqa: PLC0415

    return getattr(settings, name, DEFAULTS[name])
