-- What attempts logged, as JSON text; null for jobs that do not keep it.
ALTER TABLE stoker.job ADD COLUMN lines text;

-- Jobs whose key counts once they have ended but not while they are available: see ADOPT in stores/postgres/unique.py.
CREATE INDEX job_late_key ON stoker.job (slot, started_at) WHERE state >= 5 AND slot_states & 4 = 0;
