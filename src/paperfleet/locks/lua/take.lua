-- KEYS: the lease, its generation. ARGV: the owner, the time in milliseconds.
-- Returns {1, generation}, or {0, holder or reason}.
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then -- asked before, and the answer was lost
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, redis.call('GET', KEYS[2])}
end
if holder then
  return {0, holder}
end

-- A server that came back may have forgotten a holder who does not know that yet. Uptime is in
-- whole seconds, so one more.
local uptime = string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)')
if tonumber(uptime) * 1000 < tonumber(ARGV[2]) + 1000 then
  return {0, 'nobody known: the server has just started, and may have forgotten the holder'}
end

local now = redis.call('TIME')
local generation = math.max(
  tonumber(redis.call('GET', KEYS[2]) or 0) + 1,
  tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
)
local text = string.format('%.0f', generation)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, text}
