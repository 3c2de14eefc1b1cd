-- name: tables
SELECT count(*) FROM sqlite_schema

-- name: pair
SELECT source, target FROM pair

-- name: set_pair
INSERT INTO pair (id, source, target, opened_at) VALUES (1, ?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET opened_at = excluded.opened_at
