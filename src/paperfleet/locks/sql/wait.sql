-- Nobody waits longer than a lease lasts, also if the server's clock was set back meanwhile.
UPDATE paperfleet_lease
SET until = least(until, clock_timestamp() + %(ttl)s * interval '1 second')
WHERE name = %(name)s
RETURNING owner
