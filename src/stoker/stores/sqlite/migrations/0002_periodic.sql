-- Periodic entries. Their texts are for planners; `last` is the planned instant of the latest tick that was decided.
CREATE TABLE stoker_entry (
    application TEXT NOT NULL,
    name TEXT NOT NULL,
    rhythm TEXT NOT NULL,          -- when; where it changes, it counts from then on
    spec TEXT NOT NULL,            -- everything, with the job
    version INTEGER NOT NULL,      -- counts the specifications it has had
    declared INTEGER NOT NULL,     -- by code or settings, not added at run time
    anchor INTEGER NOT NULL,       -- when it was registered first
    last INTEGER NOT NULL,
    registration TEXT NOT NULL,    -- the call that registered it last
    paused_at INTEGER,
    call TEXT,                     -- the one that ticked last
    PRIMARY KEY (application, name)
) WITHOUT ROWID;
