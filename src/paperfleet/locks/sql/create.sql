CREATE TABLE IF NOT EXISTS paperfleet_lease (
    name text PRIMARY KEY,
    generation bigint NOT NULL,
    owner text NOT NULL,
    until timestamptz NOT NULL
)
