-- name: insert
INSERT INTO operations (kind, name, state, recorded_at, doubts) VALUES (?1, ?2, ?3, ?4, ?5)

-- name: state
SELECT kind, state FROM operations WHERE id = ?1

-- name: advance
UPDATE operations SET state = ?3 WHERE id = ?1 AND state = ?2 RETURNING kind

-- name: end
DELETE FROM operations WHERE id = ?1 AND state = ?2 RETURNING kind

-- name: doubts
SELECT doubts FROM operations WHERE id = ?1

-- name: set_state
UPDATE operations SET state = ?2 WHERE id = ?1

-- name: delete
DELETE FROM operations WHERE id = ?1

-- name: ids
SELECT id FROM operations ORDER BY id

-- name: pending
SELECT kind, name, state, recorded_at FROM operations ORDER BY id LIMIT ?1

-- name: count
SELECT count(*) FROM operations

-- name: before
SELECT name, coalesce(target_name, name), size, sha256, modified_ns, file_id, version, target_etag,
       sure, intended_sha256
FROM known WHERE name = ?1

-- name: count_overwrite
INSERT OR REPLACE INTO overwrites (name, at, loss) VALUES (?1, ?2, ?3)

-- name: prune_overwrites
DELETE FROM overwrites WHERE at < ?1

-- name: overwrites_since
SELECT name, loss FROM overwrites WHERE at >= ?1

-- name: count_deletions
INSERT INTO deletions (at, count) VALUES (?1, ?2)
ON CONFLICT (at) DO UPDATE SET count = count + excluded.count

-- name: prune_deletions
DELETE FROM deletions WHERE at < ?1

-- name: deletions_since
SELECT coalesce(sum(count), 0) FROM deletions WHERE at >= ?1
