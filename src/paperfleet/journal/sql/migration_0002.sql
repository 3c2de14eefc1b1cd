-- Which files got other content at the target, when last, and what they lost: see mirror.guard.
CREATE TABLE overwrites (
    name TEXT PRIMARY KEY,
    at REAL NOT NULL,
    loss TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the guard holds back is a delete or an overwrite.
ALTER TABLE refusals ADD COLUMN loss TEXT NOT NULL DEFAULT 'delete';
