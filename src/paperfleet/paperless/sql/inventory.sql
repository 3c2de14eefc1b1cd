-- name: expected_table
CREATE TABLE expected (
    area TEXT NOT NULL,
    key BLOB NOT NULL,
    name BLOB NOT NULL,
    row INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (area, key)
) STRICT, WITHOUT ROWID

-- name: found_table
CREATE TABLE found (
    area TEXT NOT NULL,
    key BLOB NOT NULL,
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    modified_ns ANY,
    sha256 ANY,
    PRIMARY KEY (area, key)
) STRICT, WITHOUT ROWID

-- name: expect
INSERT OR IGNORE INTO expected (area, key, name, row, checksum) VALUES (?1, ?2, ?3, ?4, ?5)

-- name: find
INSERT OR IGNORE INTO found (area, key, name, size, modified_ns, sha256)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- name: totals
SELECT count(*), coalesce(sum(size), 0) FROM found

-- name: missing
SELECT e.area, e.name, e.row, e.checksum
FROM expected AS e LEFT JOIN found AS f ON f.area = e.area AND f.key = e.key
WHERE f.key IS NULL
ORDER BY e.area DESC, e.key

-- name: present
SELECT e.area, e.name, e.row, e.checksum, f.name, f.size, f.modified_ns, f.sha256
FROM expected AS e JOIN found AS f ON f.area = e.area AND f.key = e.key
WHERE e.checksum <> ''
ORDER BY e.area DESC, e.key

-- name: orphaned
SELECT f.area, f.name, f.size, f.modified_ns, f.sha256
FROM found AS f LEFT JOIN expected AS e ON f.area = e.area AND f.key = e.key
WHERE e.key IS NULL
ORDER BY f.area DESC, f.key

-- name: owner
SELECT name, row, checksum FROM expected WHERE area = ?1 AND key = ?2

-- name: is_found
SELECT 1 FROM found WHERE area = ?1 AND key = ?2
