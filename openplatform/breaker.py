"""A circuit breaker that all processes share: what fails for one worker is not tried by the next fifty.

Each failure adds a point, each success takes one away, and points are forgotten a minute after the last failure. At
THRESHOLD points the breaker opens. After OPEN_MS one caller may try: its success closes the breaker, its failure opens
it again for twice as long, up to a limit. Without the store nothing is remembered and every call is let through.
"""

import logging
from dataclasses import dataclass
from typing import Any

from openplatform.store import StoreDown, store

THRESHOLD = 5
MEMORY_MS = 60_000
OPEN_MS = 10_000
OPEN_MAX_MS = 60_000
TRIAL_MS = 30_000  # longer than any call: a caller that died during its trial does not keep the breaker open for ever

logger = logging.getLogger(__name__)

# One hash a breaker: points, opened_at, open_until and open_for in milliseconds, trial_until. The store's clock is the
# only one. The names of those that are open are in a set, for there is no cheap way to search a store.
_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
_MAY_CALL = (
    _NOW
    + """
local v = redis.call('HMGET', KEYS[1], 'open_until', 'trial_until')
if not v[1] then return 1 end
if now < tonumber(v[1]) or now < tonumber(v[2] or 0) then return 0 end
redis.call('HSET', KEYS[1], 'trial_until', now + ARGV[1])
return 1
"""
)
_RECORD = (
    _NOW
    + """
local failed, threshold, memory = ARGV[1] == '1', tonumber(ARGV[2]), tonumber(ARGV[3])
local open_for, open_max = tonumber(ARGV[4]), tonumber(ARGV[5])
local v = redis.call('HMGET', KEYS[1], 'points', 'open_until', 'open_for')
local points, was_open = tonumber(v[1] or 0), v[2]
if not failed then
  if was_open or points <= 1 then
    redis.call('DEL', KEYS[1])
    redis.call('SREM', KEYS[2], ARGV[6])
    return was_open and 'closed' or ''
  end
  redis.call('HSET', KEYS[1], 'points', points - 1)
  return ''
end
if was_open and now < tonumber(was_open) then return '' end
points = math.min(points + 1, threshold)
redis.call('HSET', KEYS[1], 'points', points)
if points >= threshold then
  if was_open then open_for = math.min(tonumber(v[3]) * 2, open_max) end
  if not was_open then redis.call('HSET', KEYS[1], 'opened_at', now) redis.call('SADD', KEYS[2], ARGV[6]) end
  redis.call('HSET', KEYS[1], 'open_until', now + open_for, 'open_for', open_for)
  redis.call('HDEL', KEYS[1], 'trial_until')
  redis.call('PEXPIRE', KEYS[1], open_for + memory)
  return 'opened'
end
redis.call('PEXPIRE', KEYS[1], memory)
return ''
"""
)


_LIST = (
    _NOW
    + """
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local v = redis.call('HMGET', 'breaker:' .. name, 'opened_at', 'open_until')
  if v[2] then
    table.insert(found, {name, now - tonumber(v[1] or now), tonumber(v[2]) - now})
  else
    redis.call('SREM', KEYS[1], name)
  end
end
return found
"""
)
_OPEN_NAMES = "breakers:open"


@dataclass(frozen=True, kw_only=True)
class OpenBreaker:
    """One that holds back what can wait. `trial_in_s` is 0 when the next caller may try."""

    name: str
    open_for_s: int
    trial_in_s: int


def open_breakers() -> list[OpenBreaker]:
    """All that are open, by name. Raises StoreDown."""
    with store() as client:
        found = client.eval(_LIST, 1, _OPEN_NAMES)
    rows = sorted((name.decode(), int(open_ms), int(left_ms)) for name, open_ms, left_ms in found)
    return [
        OpenBreaker(name=name, open_for_s=open_ms // 1000, trial_in_s=max(0, left_ms) // 1000)
        for name, open_ms, left_ms in rows
    ]


@dataclass(frozen=True)
class Breaker:
    """The breaker called `name`, the same one in every process."""

    name: str

    def may_call(self) -> bool:
        """Whether a call that can wait should be made now. In a half-open breaker exactly one caller hears True."""
        try:
            return bool(self._run(_MAY_CALL, TRIAL_MS))
        except StoreDown:
            return True

    def record(self, *, failed: bool) -> None:
        """How a call went, also one that did not ask first."""
        try:
            change = self._run(_RECORD, int(failed), THRESHOLD, MEMORY_MS, OPEN_MS, OPEN_MAX_MS, self.name)
        except StoreDown:
            return
        if change:
            logger.error("breaker %s %s", self.name, change.decode())

    def reset(self) -> None:
        """Forget everything: an operator knows that the trouble is over. Raises StoreDown."""
        with store() as client:
            client.delete(f"breaker:{self.name}")

    def _run(self, script: str, *arguments: int | str) -> Any:
        with store() as client:
            return client.eval(script, 2, f"breaker:{self.name}", _OPEN_NAMES, *arguments)
