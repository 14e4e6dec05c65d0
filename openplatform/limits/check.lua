-- Whether all rules let one request through, and then the taking: one step, which no other client comes between.
--
-- KEYS  one per rule; with a nonce then its key, and the one that is there when the signer's key was just revoked
-- ARGV  1: "take", or "look" to change nothing
--       2: the nonce's lifetime in seconds; "" without a nonce
--       3: the time in microseconds; "" for this server's clock, which is everybody's (only tests give another)
--       then for each rule: algorithm, limit, period in microseconds, size (a bucket's burst, a window's cells, or 0)
-- Gives {"allowed" | "denied" | "replayed" | "revoked", then for each rule: fits (0 or 1), how many are left, microseconds until
-- one more fits, microseconds until it is as if nothing had been}
--
-- A clock that was set back by a little counts on from where it was. State from further ahead is forgotten.

local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local ALMOST = 1e-9 -- floats: a token that is there but for rounding is there; what it lacks stays owed

local function milliseconds(us)
  return math.ceil(us / 1000) + 1
end

local function pair(text)
  local first, second = string.match(text, '^(%d+):(%d+)$')
  return tonumber(first), tonumber(second)
end

local function written(first, second)
  return string.format('%.0f:%.0f', first, second)
end

local rules = {}

function rules.fixed(key, limit, period)
  local window, used = math.floor(now / period), 0
  local kept = redis.call('GET', key)
  if kept then
    local its_window, its_used = pair(kept)
    if its_window == window or its_window == window + 1 then
      window, used = its_window, its_used
    end
  end
  local ends = (window + 1) * period - now
  local rule = {fits = used < limit}
  function rule.take()
    used = used + 1
    redis.call('SET', key, written(window, used), 'PX', milliseconds(ends))
  end
  function rule.tell()
    return limit - used, used < limit and 0 or ends, used == 0 and 0 or ends
  end
  return rule
end

-- The n cells before the present one count in full, and so does the present one: a little more than a period, and
-- therefore never more than the limit in any period. With n cells in all it would be up to twice the limit.
function rules.cells(key, limit, period, n)
  local width = math.ceil(period / n)
  local newest = math.floor(now / width)
  local kept = redis.call('HVALS', key)
  local counts, used = {}, 0
  for _, text in ipairs(kept) do
    local cell = pair(text)
    if cell > newest and cell <= newest + n then
      newest = cell
    end
  end
  for _, text in ipairs(kept) do
    local cell, count = pair(text)
    if cell >= newest - n and cell <= newest then
      counts[cell], used = count, used + count
    end
  end
  local function leaves(cell)
    return (cell + n + 1) * width - now
  end
  local rule = {fits = used < limit}
  function rule.take()
    counts[newest], used = (counts[newest] or 0) + 1, used + 1
    redis.call('HSET', key, newest % (n + 1), written(newest, counts[newest]))
    redis.call('PEXPIRE', key, milliseconds(leaves(newest)))
  end
  function rule.tell()
    local too_many, retry, reset = used - limit + 1, 0, 0
    for cell = newest - n, newest do
      local count = counts[cell] or 0
      if count > 0 then
        reset = leaves(cell)
        if too_many > 0 then
          too_many, retry = too_many - count, reset
        end
      end
    end
    return limit - used, retry, reset
  end
  return rule
end

function rules.token(key, limit, period, burst)
  local rate = limit / period
  local kept = redis.call('HMGET', key, 'tokens', 'at')
  local tokens, at = tonumber(kept[1] or burst), tonumber(kept[2] or now)
  if at > now + burst / rate then
    tokens, at = burst, now
  end
  tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
  at = math.max(at, now)
  local function after(wanted)
    return math.max(0, math.ceil((wanted - ALMOST - tokens) / rate)) + at - now
  end
  local rule = {fits = tokens >= 1 - ALMOST}
  function rule.keep()
    redis.call('HSET', key, 'tokens', string.format('%.17g', tokens), 'at', string.format('%.0f', at))
    redis.call('PEXPIRE', key, milliseconds(after(burst)))
  end
  function rule.take()
    tokens = tokens - 1
    rule.keep()
  end
  function rule.tell()
    return math.floor(tokens + ALMOST), tokens >= 1 - ALMOST and 0 or after(1), tokens >= burst and 0 or after(burst)
  end
  return rule
end

-- As a meter: what is in the bucket runs out at the rate, and who would make it run over is refused.
function rules.leaky(key, limit, period, burst)
  local rate = limit / period
  local kept = redis.call('HMGET', key, 'level', 'at')
  local level, at = tonumber(kept[1] or 0), tonumber(kept[2] or now)
  if at > now + burst / rate then
    level, at = 0, now
  end
  level = math.max(0, level - math.max(0, now - at) * rate)
  at = math.max(at, now)
  local function after(wanted)
    return math.max(0, math.ceil((level - wanted - ALMOST) / rate)) + at - now
  end
  local rule = {fits = level + 1 <= burst + ALMOST}
  function rule.keep()
    redis.call('HSET', key, 'level', string.format('%.17g', level), 'at', string.format('%.0f', at))
    redis.call('PEXPIRE', key, milliseconds(after(0)))
  end
  function rule.take()
    level = level + 1
    rule.keep()
  end
  function rule.tell()
    return math.floor(burst - level + ALMOST), level + 1 <= burst + ALMOST and 0 or after(burst - 1),
      level == 0 and 0 or after(0)
  end
  return rule
end

local nonce = ARGV[2] ~= '' and KEYS[#KEYS - 1]
local chosen, outcome = {}, 'allowed'
for position = 4, #ARGV, 4 do
  local key = KEYS[#chosen + 1]
  local limit, period, size = tonumber(ARGV[position + 1]), tonumber(ARGV[position + 2]), tonumber(ARGV[position + 3])
  local rule = rules[ARGV[position]](key, limit, period, size)
  chosen[#chosen + 1] = rule
  if not rule.fits then
    outcome = 'denied'
  end
end
if nonce and redis.call('EXISTS', nonce) == 1 then
  outcome = 'replayed' -- before the rules: whoever repeats what he has overheard takes nothing of what its owner may have
end
if nonce and redis.call('EXISTS', KEYS[#KEYS]) == 1 then
  outcome = 'revoked'
end

if ARGV[1] == 'take' then
  for _, rule in ipairs(chosen) do
    if outcome == 'allowed' then
      rule.take()
    elseif outcome == 'denied' and not rule.fits and rule.keep then
      rule.keep()
    end
  end
  if nonce and outcome == 'allowed' then
    redis.call('SET', nonce, 1, 'EX', ARGV[2])
  end
end

local answer = {outcome}
for _, rule in ipairs(chosen) do
  local left, retry, reset = rule.tell()
  answer[#answer + 1] = rule.fits and 1 or 0
  answer[#answer + 1] = math.max(0, left)
  answer[#answer + 1] = retry
  answer[#answer + 1] = reset
end
return answer
