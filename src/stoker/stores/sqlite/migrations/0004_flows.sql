-- The attempts whose endings this very unit accepts and that have follow-ups; empty between units.
CREATE TABLE stoker_accepted (
    job INTEGER NOT NULL,
    token TEXT NOT NULL,
    PRIMARY KEY (job, token)
) WITHOUT ROWID;

-- Batches and workflows. `doc` is read by the client only; `call` moved it to its present version.
ALTER TABLE stoker_job ADD COLUMN batch TEXT;
ALTER TABLE stoker_job ADD COLUMN node TEXT;
CREATE INDEX stoker_job_batch ON stoker_job (batch, id) WHERE batch IS NOT NULL;

CREATE TABLE stoker_batch (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    doc TEXT NOT NULL,
    finished INTEGER NOT NULL,
    call TEXT NOT NULL,
    at INTEGER NOT NULL            -- of its latest version
) WITHOUT ROWID;
CREATE INDEX stoker_batch_finished ON stoker_batch (at) WHERE finished;

-- What members came to. Kinds: 0 added, 5 completed, 6 cancelled, 7 discarded; negative: no longer so.
CREATE TABLE stoker_batch_event (
    seq INTEGER PRIMARY KEY,
    batch TEXT NOT NULL,
    job INTEGER,
    node TEXT NOT NULL,
    kind INTEGER NOT NULL,
    count INTEGER NOT NULL
);
CREATE INDEX stoker_batch_event_batch ON stoker_batch_event (batch, seq);

-- Every verb that moves a job writes `pos`, but for claim and completion; bit 2 of `keys` tells settle that there are
-- batches.
CREATE TRIGGER stoker_member_moves AFTER UPDATE OF pos ON stoker_job
WHEN NEW.batch IS NOT NULL AND (NEW.state >= 5) <> (OLD.state >= 5)
BEGIN
    INSERT INTO stoker_batch_event (batch, job, node, kind, count)
    VALUES (NEW.batch, NEW.id, coalesce(NEW.node, ''), CASE WHEN NEW.state >= 5 THEN NEW.state ELSE -OLD.state END, 1);
END;

DROP TRIGGER stoker_job_goes;
CREATE TRIGGER stoker_job_goes AFTER DELETE ON stoker_job
WHEN OLD.failed_at IS NOT NULL OR OLD.slot IS NOT NULL OR OLD.batch IS NOT NULL
BEGIN
    DELETE FROM stoker_failure WHERE job = OLD.id;
    UPDATE stoker_slot SET held = 0 WHERE key = OLD.slot AND holder = OLD.id;
    DELETE FROM stoker_slot WHERE key = OLD.slot AND holder = OLD.id AND until IS NULL;
    INSERT INTO stoker_batch_event (batch, job, node, kind, count)
    SELECT OLD.batch, OLD.id, coalesce(OLD.node, ''), CASE OLD.state WHEN 3 THEN 5 ELSE 6 END, 1
    WHERE OLD.batch IS NOT NULL AND OLD.state < 5;
END;
