-- name: all
SELECT name, coalesce(target_name, name), size, sha256, modified_ns, file_id, version, target_etag,
       sure, intended_sha256
FROM known ORDER BY name

-- name: at
SELECT name, coalesce(target_name, name), size, sha256, modified_ns, file_id, version, target_etag,
       sure, intended_sha256
FROM known WHERE name = ?1
UNION ALL
SELECT name, coalesce(target_name, name), size, sha256, modified_ns, file_id, version, target_etag,
       sure, intended_sha256
FROM known WHERE name >= ?2 AND name < ?3

-- name: with_content
SELECT name, coalesce(target_name, name), size, sha256, modified_ns, file_id, version, target_etag,
       sure, intended_sha256
FROM known WHERE sha256 = ?1 ORDER BY name

-- name: count
SELECT count(*) FROM known

-- name: count_proven
SELECT count(*) FROM known WHERE sure = 1 AND length(sha256) > 0

-- name: in_doubt
SELECT name, coalesce(target_name, name), size, sha256, modified_ns, file_id, version, target_etag,
       sure, intended_sha256
FROM known WHERE sure = 0

-- name: take_over
INSERT OR IGNORE INTO known (name, target_name, size, sha256, modified_ns, file_id, version,
                             target_etag, sure, intended_sha256)
VALUES (?1, nullif(?2, ?1), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)

-- name: upsert
INSERT OR REPLACE INTO known (name, target_name, size, sha256, modified_ns, file_id, version,
                              target_etag, sure, intended_sha256)
VALUES (?1, nullif(?2, ?1), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)

-- name: doubt
INSERT INTO known (name, target_name, size, sha256, modified_ns, file_id, version, target_etag,
                   sure, intended_sha256)
VALUES (?1, nullif(?2, ?1), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (name) DO UPDATE
SET sure = 0, intended_sha256 = coalesce(excluded.intended_sha256, intended_sha256)

-- name: forget
DELETE FROM known WHERE name = ?1
