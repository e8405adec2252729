-- The attempts whose endings this very unit accepts and that have follow-ups; empty between units.
CREATE TABLE stoker_accepted (
    job INTEGER NOT NULL,
    token TEXT NOT NULL,
    PRIMARY KEY (job, token)
) WITHOUT ROWID;
