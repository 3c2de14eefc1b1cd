-- name: add
INSERT INTO quarantine (name, reason, hint, attempts, since, next_try)
VALUES (?1, ?2, ?3, 1, ?4, ?5)
ON CONFLICT (name) DO UPDATE
SET reason = excluded.reason, hint = excluded.hint, attempts = attempts + 1,
    next_try = excluded.next_try
RETURNING attempts

-- name: release
DELETE FROM quarantine WHERE name = ?1

-- name: all
SELECT name, reason, hint, attempts, since, next_try FROM quarantine ORDER BY name
