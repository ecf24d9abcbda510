CREATE TABLE meta (
    id INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL,
    reserved INTEGER NOT NULL,
    clean INTEGER,
    log_pruned INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE channel (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    value TEXT NOT NULL,
    folded_seq INTEGER NOT NULL,
    pruned_seq INTEGER NOT NULL,
    blocks INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE log (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    min_ts INTEGER NOT NULL,
    max_ts INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
);
-- Each has all columns that a read chooses blocks by, so that it need not touch the bodies of others.
CREATE INDEX block_by_seq ON block (channel, last_seq, first_seq, bytes);
CREATE INDEX block_by_time ON block (channel, max_ts, min_ts);
CREATE INDEX block_by_age ON block (max_ts, channel, last_seq, bytes);
CREATE TABLE gap (
    first_offset INTEGER PRIMARY KEY,
    last_offset INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE device (id TEXT PRIMARY KEY, body TEXT NOT NULL, checksum INTEGER NOT NULL);
