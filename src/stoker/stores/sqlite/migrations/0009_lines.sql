-- What attempts logged, as JSON text; null for jobs that do not keep it.
ALTER TABLE stoker_job ADD COLUMN lines TEXT;
