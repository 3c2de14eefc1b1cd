UPDATE paperfleet_lease
SET until = clock_timestamp() + %(ttl)s * interval '1 second'
WHERE name = %(name)s AND generation = %(generation)s
