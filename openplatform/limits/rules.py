"""The rules in force, at most five seconds old in every process, and which of them a request meets."""

import ipaddress
import math
import time
from collections import defaultdict
from dataclasses import dataclass

from openplatform.caches import TimedCache
from openplatform.client_ip import UNKNOWN
from openplatform.models.limits import LimitAlgorithm, LimitScope, RateRule

RULES_CACHE_S = 5.0  # a changed rule is in force everywhere within this time
NETWORK_BITS_V6 = 64  # what one house gets: its single addresses are free to choose
SECOND_US = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`limit` requests in `period_s`; `size` is a bucket's burst or a window's number of cells."""

    id: int
    version: int
    scope: LimitScope
    algorithm: LimitAlgorithm
    limit: int
    period_s: int
    size: int = 0
    route: str = ""

    @property
    def policy(self) -> str:
        """What the rule is called in headers."""
        where = f"ip.{self.route}" if self.scope is LimitScope.IP else self.route or self.scope.value
        return f"{where}-{self.period_s}s"

    @property
    def quota(self) -> tuple[int, int]:
        """So many requests in so many seconds, as headers tell it: a bucket is full, and full again."""
        if self.algorithm in {LimitAlgorithm.TOKEN, LimitAlgorithm.LEAKY}:
            return self.size, math.ceil(self.size * self.period_s / self.limit)
        return self.limit, self.period_s


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A rule, and whose count by that rule a request goes to."""

    rule: Rule
    whom: str

    @property
    def key(self) -> str:
        """A rule that was changed has another version, and so begins anew."""
        return f"limit:{self.rule.id}:{self.rule.version}:{self.whom}"


_Place = tuple[LimitScope, str, int | None]
_Rules = dict[_Place, tuple[Rule, ...]]
_cache: "TimedCache[str, _Rules]" = TimedCache(size=1, lifetime_s=RULES_CACHE_S)


def tallies_of_address(address: str, *, door: str) -> list[Tally]:
    """What a request from this address meets at this door. An address that nobody knows meets nothing: else all whom a
    proxy hides would share one count, and one of them could use it up for all.
    """
    if address == UNKNOWN:
        return []
    whom = _network(address)
    return [Tally(rule=rule, whom=whom) for rule in _rules().get((LimitScope.IP, door, None), ())]


def tallies_of_app(app_id: int, *, route: str) -> list[Tally]:
    """What a request of this app for this operation meets. A rule of its own stands in place of those for all."""
    rules = _rules()
    found = [Tally(rule=rule, whom="all") for rule in rules.get((LimitScope.GLOBAL, "", None), ())]
    for scope, its_route in ((LimitScope.APP, ""), (LimitScope.APP_ROUTE, route)):
        own = rules.get((scope, its_route, app_id)) or rules.get((scope, its_route, None), ())
        found += [Tally(rule=rule, whom=str(app_id)) for rule in own]
    return found


def _rules() -> _Rules:
    known = _cache.get("all")
    if known is None:
        read_at = time.monotonic()
        known = _read()
        _cache.put("all", known, read_at=read_at)
    return known


def _read() -> _Rules:
    found: defaultdict[_Place, tuple[Rule, ...]] = defaultdict(tuple)
    for row in RateRule.objects.filter(enabled=True).order_by("pk"):
        found[LimitScope(row.scope), row.route, row.app_id] += (_rule(row),)
    return dict(found)


def _rule(row: RateRule) -> Rule:
    return Rule(
        id=row.pk, version=row.version, scope=LimitScope(row.scope), algorithm=LimitAlgorithm(row.algorithm),
        limit=row.limit, period_s=row.period_s, size=row.burst or row.cells or 0, route=row.route,
    )  # fmt: skip


def _network(address: str) -> str:
    ip = ipaddress.ip_address(address)
    if ip.version == 4:
        return address
    return str(ipaddress.IPv6Network((int(ip), NETWORK_BITS_V6), strict=False).network_address)
