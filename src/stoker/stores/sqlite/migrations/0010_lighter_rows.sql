-- One trigger again for all that goes with a job: each costs every deleted row, whatever its WHEN says. And one that asks
-- the old row for a column behind the 32nd has SQLite copy all of them, so what lies there is marked in `slot_states`:
-- bit 8 for gates, bit 9 for a batch; and it is read from the row while that still stands.
UPDATE stoker_job SET slot_states = coalesce(slot_states, 0) | 256 WHERE gates IS NOT NULL;
UPDATE stoker_job SET slot_states = coalesce(slot_states, 0) | 512 WHERE batch IS NOT NULL;
DROP TRIGGER stoker_gates_go;
DROP TRIGGER stoker_job_goes;
CREATE TRIGGER stoker_job_goes BEFORE DELETE ON stoker_job
WHEN OLD.failed_at IS NOT NULL OR OLD.slot_states IS NOT NULL
BEGIN
    DELETE FROM stoker_failure WHERE job = OLD.id;
    UPDATE stoker_slot SET held = 0 WHERE key = OLD.slot AND holder = OLD.id;
    DELETE FROM stoker_slot WHERE key = OLD.slot AND holder = OLD.id AND until IS NULL;
    INSERT INTO stoker_batch_event (batch, job, node, kind, count)
    SELECT batch, id, coalesce(node, ''), CASE state WHEN 3 THEN 5 ELSE 6 END, 1
    FROM stoker_job WHERE id = OLD.id AND batch IS NOT NULL AND state < 5;
    INSERT INTO stoker_stirred (text, spent) SELECT key, NOT heard FROM stoker_place WHERE job = OLD.id
    ON CONFLICT (text) DO UPDATE SET spent = spent + excluded.spent;
    DELETE FROM stoker_place WHERE job = OLD.id;
    DELETE FROM stoker_waiting WHERE job = OLD.id;
END;

-- Who waits at a gate is found in stoker_waiting; an index by state costs every job that changes its own.
DROP INDEX stoker_job_gated;
