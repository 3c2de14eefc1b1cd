-- name: all
SELECT name, reason, since, approved FROM refusals ORDER BY name

-- name: refuse
INSERT INTO refusals (name, reason, since, approved) VALUES (?1, ?2, ?3, 0)
ON CONFLICT (name) DO UPDATE SET reason = excluded.reason

-- name: drop
DELETE FROM refusals WHERE name = ?1

-- name: approved
SELECT name FROM refusals WHERE approved = 1

-- name: approve_all
UPDATE refusals SET approved = 1
