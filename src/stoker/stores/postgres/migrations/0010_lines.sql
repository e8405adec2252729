-- What attempts logged, as JSON text; null for jobs that do not keep it.
ALTER TABLE stoker.job ADD COLUMN lines text;

-- Jobs whose key counts once they have ended but not while they are available: see ADOPT in stores/postgres/unique.py.
CREATE INDEX job_late_key ON stoker.job (slot, started_at) WHERE state >= 5 AND slot_states & 4 = 0;

-- A plan made while few jobs wait at gates found the one to let in through job_gated, and went on to do so when 100,000
-- waited. `+ 0` leaves it the primary key.
DO $$ BEGIN
    EXECUTE replace(
        pg_get_functiondef('stoker.admit'::regproc),
        'job.id = candidate.job AND job.state = 0 FOR UPDATE', 'job.id = candidate.job AND job.state + 0 = 0 FOR UPDATE'
    );
END $$;
