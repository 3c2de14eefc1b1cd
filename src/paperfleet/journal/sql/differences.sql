-- name: table
CREATE TEMP TABLE found (
    name TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    modified_ns ANY,
    file_id TEXT,
    version TEXT
) STRICT, WITHOUT ROWID

-- name: insert
INSERT OR REPLACE INTO temp.found (name, size, modified_ns, file_id, version)
VALUES (?1, ?2, ?3, ?4, ?5)

-- name: count
SELECT count(*) FROM temp.found

-- name: changed
SELECT f.name, f.size, f.modified_ns, f.file_id, f.version,
       k.name, coalesce(k.target_name, k.name), k.size, k.sha256, k.modified_ns, k.file_id,
       k.version, k.target_etag, k.sure, k.intended_sha256
FROM temp.found AS f LEFT JOIN known AS k ON k.name = f.name
WHERE k.name IS NULL OR k.sure = 0 OR k.size <> f.size OR k.modified_ns IS NOT f.modified_ns
   OR k.file_id IS NOT f.file_id OR k.version IS NOT f.version
ORDER BY f.name

-- name: vanished
SELECT k.name, coalesce(k.target_name, k.name), k.size, k.sha256, k.modified_ns, k.file_id,
       k.version, k.target_etag, k.sure, k.intended_sha256
FROM known AS k
WHERE k.name = ?1 AND NOT EXISTS (SELECT 1 FROM temp.found AS f WHERE f.name = k.name)
UNION ALL
SELECT k.name, coalesce(k.target_name, k.name), k.size, k.sha256, k.modified_ns, k.file_id,
       k.version, k.target_etag, k.sure, k.intended_sha256
FROM known AS k
WHERE k.name >= ?2 AND k.name < ?3
  AND NOT EXISTS (SELECT 1 FROM temp.found AS f WHERE f.name = k.name)

-- name: below
SELECT count(*) FROM known WHERE name >= ?2 AND name < ?3

-- name: proven_below
SELECT count(*) FROM known WHERE name >= ?2 AND name < ?3 AND sure = 1

-- name: in
SELECT name, coalesce(target_name, name), size, sha256, modified_ns, file_id, version, target_etag,
       sure, intended_sha256
FROM known
WHERE name >= ?2 AND name < ?3 AND instr(substr(name, length(?2) + 1), '/') = 0

-- name: folders_in
SELECT DISTINCT substr(rest, 1, instr(rest, '/') - 1)
FROM (SELECT substr(name, length(?2) + 1) AS rest FROM known WHERE name >= ?2 AND name < ?3)
WHERE instr(rest, '/') > 0

-- name: aliased
SELECT name, target_name, size, sha256, modified_ns, file_id, version, target_etag, sure,
       intended_sha256
FROM known WHERE target_name IS NOT NULL

-- name: owner
SELECT name FROM known WHERE name = ?1 AND target_name IS NULL
UNION ALL
SELECT name FROM known WHERE target_name = ?1
LIMIT 1
