-- Periodic entries. Their texts are for planners; `last` is the planned instant of the latest tick that was decided.
CREATE TABLE stoker.entry (
    application text NOT NULL,
    name text NOT NULL,
    rhythm text NOT NULL,             -- when; where it changes, it counts from then on
    spec text NOT NULL,               -- everything, with the job
    version integer NOT NULL,         -- counts the specifications it has had
    declared boolean NOT NULL,        -- by code or settings, not added at run time
    anchor bigint NOT NULL,           -- when it was registered first
    last bigint NOT NULL,
    registration text NOT NULL,       -- the call that registered it last
    paused_at bigint,
    call text,                        -- the one that ticked last
    PRIMARY KEY (application, name)
);
-- Rows are few and updated at each tick.
ALTER TABLE stoker.entry SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 200);
