"""The lists as every request asks them: compiled in this process, at most five seconds old, without a query.

PostgreSQL is the truth. When it is away, what was read last stays in force: a list that is a little old keeps strangers
out, an empty one would open the door wide. A process that has never read the lists lets nobody in: the database's error
goes up, and the open API makes TRY_LATER of it.
"""

import logging
import math
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from openplatform.blocks.networks import FOR_EVER, Address, Network, NetworkTable, place_of, read_address
from openplatform.blocks.values import Kind, host_and_above, host_text, payer_index
from openplatform.caches import TimedCache
from openplatform.client_ip import UNKNOWN
from openplatform.models.blind_key import BlindKey
from openplatform.models.blocks import AppAddress, BlockEntry, BlockSource, ExemptAddress, ListMarker, NotifyHost

REFRESH_S = 4.0  # with the time that reading takes, a change is in force everywhere within five seconds
FAILING_S = 30.0
_ALL = "all"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Lists:
    """All lists of one moment. Entries that end by time do so without being read again."""

    marker: uuid.UUID | None
    named: NetworkTable  # addresses that a person blocked: no exemption helps
    caught: NetworkTable  # networks that a person blocked
    suspected: NetworkTable  # what was blocked automatically
    exempt: NetworkTable
    others: Mapping[tuple[str, str], float] = field(default_factory=dict)
    payer_keys: tuple[bytes, ...] = field(default=(), repr=False)
    app_places: Mapping[int, NetworkTable] = field(default_factory=dict)
    notify_hosts: Mapping[int, frozenset[str]] = field(default_factory=dict)

    def blocks_address(self, text: str, *, now: datetime) -> bool:
        """By a person, for everybody there. `text` as client_ip() gives it. Who has no address that we know cannot be
        told from others: not blocked.
        """
        if text == UNKNOWN:
            return False
        address, at = read_address(text), now.timestamp()
        return self.named.holds(address, at=at) or (
            self.caught.holds(address, at=at) and not self.exempt.holds(address, at=at)
        )

    def suspects_address(self, text: str, *, now: datetime) -> bool:
        """Whether too many signatures from there were wrong: it is blocked for all whose own is not right."""
        if text == UNKNOWN:
            return False
        address, at = read_address(text), now.timestamp()
        return self.suspected.holds(address, at=at) and not self.exempt.holds(address, at=at)

    def exempts(self, address: Address, *, now: datetime) -> bool:
        return self.exempt.holds(address, at=now.timestamp())

    def blocks_caller(self, *, app_id: int, serial_no: str, now: datetime) -> bool:
        return self._blocks(Kind.APP, str(app_id), now=now) or self._blocks(Kind.SERIAL, serial_no, now=now)

    def blocks_payer(self, payer_id: str, *, now: datetime) -> bool:
        indexes = [payer_index(payer_id, key=key) for key in self.payer_keys] if payer_id else []
        return any(self._blocks(Kind.PAYER_HASH, index, now=now) for index in indexes)

    def blocks_host(self, host: str, *, now: datetime) -> bool:
        """A name is blocked with every name below it: below one's own domain, new names cost nothing."""
        return any(self._blocks(Kind.NOTIFY_HOST, name, now=now) for name in host_and_above(host))

    def lets_in(self, *, app_id: int, address: str, now: datetime) -> bool:
        """Whether this app calls from this address, if it named any at all."""
        places = self.app_places.get(app_id)
        return places is None or places.holds(read_address(address), at=now.timestamp())

    def may_be_told(self, *, app_id: int, host: str) -> bool:
        """Whether this app is told at this host: one of its own, or any while it has none and none is required."""
        hosts = self.notify_hosts.get(app_id)
        return not settings.NOTIFICATION_HOSTS_REQUIRED if hosts is None else host_text(host) in hosts

    def _blocks(self, kind: Kind, value: str, *, now: datetime) -> bool:
        return now.timestamp() < self.others.get((kind, value), 0)


_fresh: "TimedCache[str, Lists]" = TimedCache(size=1, lifetime_s=REFRESH_S)
_last: "TimedCache[str, Lists]" = TimedCache(size=1, lifetime_s=math.inf)
_failing: "TimedCache[str, bool]" = TimedCache(size=1, lifetime_s=FAILING_S)
_reading = threading.Lock()


def current_lists() -> Lists:
    """The lists, at most REFRESH_S old while the database answers.

    One thread reads and the others wait for it; but not for a database that has just failed: then they go on with what
    there is. Not to be called inside a transaction: a failure to read would break it. Raises the database's error when
    nothing was ever read.
    """
    fresh = _fresh.get(_ALL)
    if fresh is not None:
        return fresh
    last = _last.get(_ALL)
    if last is None:
        return _refreshed(None)
    if not _reading.acquire(blocking=not _failing.get(_ALL)):
        return last
    try:
        return _fresh.get(_ALL) or _refreshed(last)
    finally:
        _reading.release()


def forget() -> None:
    """Read the lists at the next question: for the process that has just changed them."""
    _fresh.clear()


def _refreshed(last: Lists | None) -> Lists:
    read_at = time.monotonic()
    try:
        lists = _read(last)
    except (DatabaseError, InterfaceError) as error:
        if last is None:
            raise
        logger.warning("the blacklist could not be read, the last one stays in force: %s", type(error).__name__)
        lists, read_at = last, time.monotonic()  # counted from now: not every request asks a dead database
        _failing.put(_ALL, True, read_at=read_at)  # noqa: FBT003 - the value of a set
    else:
        _failing.clear()
    _last.put(_ALL, lists, read_at=read_at)
    _fresh.put(_ALL, lists, read_at=read_at)
    return lists


def _read(last: Lists | None) -> Lists:
    # The marker first: rows that change after it was read are read again next time, and none is missed.
    marker = ListMarker.read()
    if last is not None and marker == last.marker:
        return last
    now = timezone.now()
    entries = BlockEntry.live(now=now).values_list("kind", "value", "source", "expires_at")
    return _compiled(
        marker=marker,
        entries=entries,
        exempt=ExemptAddress.live(now=now).values_list("value", flat=True),
        app_places=AppAddress.live(now=now).values_list("app_id", "value"),
        notify_hosts=NotifyHost.live(now=now).values_list("app_id", "value"),
    )


def _compiled(
    *,
    marker: uuid.UUID | None,
    entries: Iterable[tuple[str, str, str, datetime | None]],
    exempt: Iterable[str],
    app_places: Iterable[tuple[int, str]],
    notify_hosts: Iterable[tuple[int, str]],
) -> Lists:
    named: list[tuple[str, float]] = []
    caught: list[tuple[str, float]] = []
    suspected: list[tuple[str, float]] = []
    others: dict[tuple[str, str], float] = {}
    for kind, value, source, expires_at in entries:
        until = FOR_EVER if expires_at is None else expires_at.timestamp()
        if kind not in {Kind.IP, Kind.CIDR}:
            others[kind, value] = until
        elif source == BlockSource.AUTO:
            suspected.append((value, until))
        elif kind == Kind.IP:
            named.append((value, until))
        else:
            caught.append((value, until))
    return Lists(
        marker=marker,
        named=NetworkTable(_places(named)),
        caught=NetworkTable(_places(caught)),
        suspected=NetworkTable(_places(suspected)),
        exempt=_lasting(exempt),
        others=others,
        payer_keys=BlindKey.all_keys() if any(kind == Kind.PAYER_HASH for kind, _value in others) else (),
        app_places={app_id: _lasting(values) for app_id, values in _by_app(app_places).items()},
        notify_hosts={app_id: frozenset(values) for app_id, values in _by_app(notify_hosts).items()},
    )


def _by_app(pairs: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for app_id, value in pairs:
        found.setdefault(app_id, []).append(value)
    return found


def _lasting(values: Iterable[str]) -> NetworkTable:
    return NetworkTable(_places((value, FOR_EVER) for value in values))


def _places(values: Iterable[tuple[str, float]]) -> Iterator[tuple[Network, float]]:
    """One row that somebody wrote by hand into the database must not take every list away."""
    for value, until in values:
        try:
            yield place_of(value), until
        except ValueError:
            logger.error("a list of addresses holds what is no address: %s", value)  # noqa: TRY400 - it says all
