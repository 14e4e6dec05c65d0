"""Blocking by itself: an address whose signatures fail again and again is kept out for a while.

Only the address counts. The app and the key are what the stranger wrote down: they would be the victim's. And it is
kept out for whoever proves nothing: a merchant behind the same address as an attacker (an office, a cloud's shared way
out) signs correctly and passes (openplatform.api.checks).

What is not an attack and looks like one:
- A merchant with a wrong clock signs correctly. Its requests are refused and do not count (openplatform.api.checks), so
  it goes on hearing in every answer what our clock says.
- Addresses inside our own network, and an address that we do not know, stand for many: a proxy that is not counted in
  TRUSTED_PROXY_COUNT would be blocked with everybody behind it.

IPv6 counts and is blocked by /64, which one customer has to itself; by single addresses it could go on for ever.
"""

import logging
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from openplatform.addresses import is_public
from openplatform.blocks import lists
from openplatform.blocks.networks import Network, owned_network, place_text, read_address
from openplatform.models.blocks import BlockEntry
from openplatform.store import StoreDown, store

WINDOW_S = 300

# The times of the last failures, as many as the limit has: exact, unlike a count that starts anew at fixed times.
# Crossing empties the list, so of all processes one hears of it.
_COUNT = """
local limit, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('LPUSH', KEYS[1], string.format('%d', now_ms))
redis.call('LTRIM', KEYS[1], 0, limit - 1)
redis.call('PEXPIRE', KEYS[1], window_ms)
local oldest_ms = redis.call('LINDEX', KEYS[1], limit - 1)
if not oldest_ms or now_ms - tonumber(oldest_ms) > window_ms then return 0 end
redis.call('DEL', KEYS[1])
return 1
"""

logger = logging.getLogger(__name__)


def count_failure(address: str, *, now: datetime) -> None:
    """A signature from this address was wrong. Never an error: with the store away nothing is blocked by itself."""
    network = _countable(address, now=now)
    if network is None:
        return
    try:
        is_one_too_many = _count(network)
    except StoreDown:
        return
    if is_one_too_many:
        _block(network, now=now)


def _countable(address: str, *, now: datetime) -> Network | None:
    """What failures of this address are counted for; None when they are not."""
    network = _owned(address) if settings.AUTO_BLOCK_FAILURES else None
    if network is None or lists.current_lists().exempts(read_address(address), now=now):
        return None
    return network


def _owned(address: str) -> Network | None:
    return owned_network(read_address(address)) if is_public(address) else None


def _count(network: Network) -> bool:
    key = f"block:failures:{place_text(network)}"
    with store() as client:
        return bool(client.eval(_COUNT, 1, key, settings.AUTO_BLOCK_FAILURES, WINDOW_S * 1000))


def _block(network: Network, *, now: datetime) -> None:
    try:
        entry = BlockEntry.block_automatically(network=network, now=now)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("%s could not be blocked: %s", network, type(error).__name__)
        return
    if entry is not None:
        lists.forget()
        logger.warning("%s is blocked until %s: %s", network, entry.expires_at, entry.reason)
