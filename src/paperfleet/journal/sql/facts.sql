-- name: get
SELECT value FROM facts WHERE key = ?1

-- name: set
INSERT OR REPLACE INTO facts (key, value) VALUES (?1, ?2)

-- name: etags
SELECT name, etag FROM folder_etags

-- name: set_etag
INSERT OR REPLACE INTO folder_etags (name, etag) VALUES (?1, ?2)

-- name: forget_etag
DELETE FROM folder_etags WHERE name = ?1
