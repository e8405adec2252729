-- The routes that jobs have had, so that a worker with tags learns of them without looking through the jobs.
CREATE TABLE stoker_route (
    route TEXT PRIMARY KEY
) WITHOUT ROWID;
