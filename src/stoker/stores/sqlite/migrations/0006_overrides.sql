-- What operators say of job names at run time, as JSON, and every change of it.
CREATE TABLE stoker_override (
    name TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    said_by TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE stoker_override_history (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    text TEXT,                     -- null: it was taken back
    said_by TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX stoker_override_history_name ON stoker_override_history (name, id);
