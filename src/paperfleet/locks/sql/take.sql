INSERT INTO paperfleet_lease AS lease (name, generation, owner, until)
VALUES (
    %(name)s,
    floor(extract(epoch FROM clock_timestamp()) * 1000),
    %(owner)s,
    clock_timestamp() + %(ttl)s * interval '1 second'
)
ON CONFLICT (name) DO UPDATE
SET generation = greatest(lease.generation + 1, excluded.generation),
    owner = excluded.owner,
    until = excluded.until
WHERE lease.until <= clock_timestamp()
RETURNING generation
