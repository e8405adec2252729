-- What attempts leave with their job, as JSON text; null until one does.
ALTER TABLE stoker.job ADD COLUMN progress text, ADD COLUMN checkpoint text;
