-- KEYS: the lease, its generation, what the server remembers.
-- ARGV: the owner, the time in milliseconds, the longest time in use in milliseconds.
-- Returns {1, generation}, or {0, holder or reason}.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- A server whose memory is not the one of before (started again, flushed, a replica that took over)
-- may have forgotten holders who do not know that yet. The note of since when this server remembers
-- goes with the rest of what it knows, and is worth nothing to a server with another run id.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local noted, since = string.match(redis.call('GET', KEYS[3]) or '', '^(%w+) (%d+)$')
if noted ~= run_id then
  since = now
  redis.call('SET', KEYS[3], string.format('%s %.0f', run_id, now))
end

local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then -- asked before, and the answer was lost
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, redis.call('GET', KEYS[2])}
end
if holder then
  return {0, holder}
end
local left = tonumber(since) + tonumber(ARGV[3]) - now
if left > 0 then
  return {0, string.format(
    'nobody known: the server has just started, or lost its data, and may have forgotten a holder; '
    .. 'it gives out leases in %.0f s', math.ceil(left / 1000)
  )}
end

local generation = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, now)
local text = string.format('%.0f', generation)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, text}
