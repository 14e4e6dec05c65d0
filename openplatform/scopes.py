"""What a key may do. A view names what it needs; a key that is copied out of a report job cannot refund."""

from collections.abc import Iterable, Mapping

from django.db import models
from django.utils.translation import gettext_lazy as _

from openplatform.key_material import Purpose
from openplatform.key_states import ScopesRefused


class Scope(models.TextChoices):
    PAYMENTS_WRITE = "payments:write", _("create and close orders")
    REFUNDS_WRITE = "refunds:write", _("ask for refunds")
    QUERIES_READ = "queries:read", _("read orders, refunds and notifications")
    BILLS_READ = "bills:read", _("download bills")
    KEYS_MANAGE = "keys:manage", _("register, retire and revoke keys")


ANY_KEY = ""  # for what every caller may know: a view says so, it does not say nothing
DEFAULT_SCOPES = tuple(scope.value for scope in Scope if scope is not Scope.KEYS_MANAGE)

Needs = Mapping[str, str]  # HTTP method to a scope, or to ANY_KEY


def checked_scopes(scopes: Iterable[str] | None, *, purpose: Purpose) -> list[str]:
    """The scopes of a new key, each once and in order; the default ones for None. Raises ScopesRefused."""
    wanted = set(DEFAULT_SCOPES if scopes is None and purpose is Purpose.SIGN else scopes or ())
    if bool(wanted) != (purpose is Purpose.SIGN) or not wanted <= set(Scope.values):
        raise ScopesRefused
    return [scope for scope in Scope.values if scope in wanted]
