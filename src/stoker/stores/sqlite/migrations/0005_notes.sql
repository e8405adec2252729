-- What attempts leave with their job, as JSON text; null until one does.
ALTER TABLE stoker_job ADD COLUMN progress TEXT;
ALTER TABLE stoker_job ADD COLUMN checkpoint TEXT;
