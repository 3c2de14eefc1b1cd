-- To which source and target this journal belongs.
CREATE TABLE pair (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    opened_at REAL NOT NULL
) STRICT;

-- What we know to be at the target. target_name is NULL where it is the name itself. sha256 is 32
-- bytes, or none for a name that was new when its operation ended unseen. modified_ns is an
-- integer, or its digits as text beyond 64 bits (ext4 counts to the year 2446).
CREATE TABLE known (
    name TEXT PRIMARY KEY,
    target_name TEXT,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    modified_ns ANY,
    file_id TEXT,
    version TEXT,
    target_etag TEXT,
    sure INTEGER NOT NULL,
    intended_sha256 BLOB
) STRICT, WITHOUT ROWID;

CREATE INDEX known_by_content ON known (sha256);
CREATE INDEX known_under_other_names ON known (target_name) WHERE target_name IS NOT NULL;

-- What we are doing. doubts is a JSON array: the known rows that are true should nobody see how
-- the operation ends. Ids are never used twice.
CREATE TABLE operations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('recorded', 'running')),
    recorded_at REAL NOT NULL,
    doubts TEXT NOT NULL
) STRICT;

-- How many files were deleted, and when.
CREATE TABLE deletions (
    at REAL PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    name TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    hint TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    since REAL NOT NULL,
    next_try REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- What the guard holds back.
CREATE TABLE refusals (
    name TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    since REAL NOT NULL,
    approved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The etags of the target's folders when the target was last seen equal to this journal.
CREATE TABLE folder_etags (
    name TEXT PRIMARY KEY,
    etag TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Small facts as JSON.
CREATE TABLE facts (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
