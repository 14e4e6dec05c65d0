-- A place in a queue that lets one through per interval: the leaky bucket as a queue. What is in the bucket, divided by
-- the rate at which it runs out, is how long the next one waits; kept as the moment at which the bucket will be empty.
--
-- KEYS  the queue
-- ARGV  1: the interval in microseconds, 2: the longest wait that is given out, in microseconds
--       3: the time in microseconds; "" for this server's clock (only tests give another)
-- Gives the microseconds to wait, or -1 when the queue is too long; then nothing was reserved.

local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local interval, longest = tonumber(ARGV[1]), tonumber(ARGV[2])

local empty_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
local wait = empty_at - now
if wait > longest then
  return -1
end
empty_at = empty_at + interval
redis.call('SET', KEYS[1], string.format('%.0f', empty_at), 'PX', math.ceil((empty_at - now) / 1000) + 1)
return wait
