-- What attempts logged, as JSON text; null for jobs that do not keep it.
ALTER TABLE stoker_job ADD COLUMN lines TEXT;

-- Of several jobs of one key that count only once they run, the first in a claim's order takes it. An update goes through
-- rows in the order of their ids, whatever it joins; what is inserted into a view comes in the order of its select.
CREATE VIEW stoker_follower AS SELECT id FROM stoker_job WHERE 0;
CREATE TRIGGER stoker_follower_follows INSTEAD OF INSERT ON stoker_follower
BEGIN
    UPDATE stoker_job SET pos = 0 WHERE id = NEW.id;
END;

DROP TRIGGER stoker_lease_starts;
CREATE TRIGGER stoker_lease_starts AFTER INSERT ON stoker_lease
BEGIN
    UPDATE stoker_job
    SET state = 3, token = NEW.token, worker = NEW.worker, starts = starts + 1, started_at = NEW.at,
        cancelling = 0, begun = 0
    WHERE id IN (SELECT value FROM json_each(NEW.ids)) AND +state = 2;
    INSERT INTO stoker_follower (id)
    SELECT job.id
    FROM json_each(CASE WHEN (SELECT keys FROM stoker_counter) THEN NEW.ids ELSE '[]' END) AS one
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
    WHERE job.slot IS NOT NULL AND +job.state = 3
    ORDER BY one.key;
END;
