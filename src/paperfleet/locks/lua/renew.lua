-- KEYS: the lease. ARGV: the owner, the time in milliseconds. Returns 1 if it is the owner's still.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
