UPDATE paperfleet_lease
SET until = '-infinity'
WHERE name = %(name)s AND generation = %(generation)s
