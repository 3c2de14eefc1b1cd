-- name: all
SELECT name, reason, since, approved, loss FROM refusals ORDER BY name

-- name: refuse
INSERT INTO refusals (name, reason, since, approved, loss) VALUES (?1, ?2, ?3, 0, ?4)
ON CONFLICT (name) DO UPDATE SET
    reason = excluded.reason,
    approved = approved AND loss = excluded.loss,
    loss = excluded.loss

-- name: drop
DELETE FROM refusals WHERE name = ?1

-- name: approved
SELECT name, loss FROM refusals WHERE approved = 1

-- name: approve_all
UPDATE refusals SET approved = 1
