-- Jobs that are cancelled unless their first attempt has begun by an instant.
ALTER TABLE stoker_job ADD COLUMN start_by INTEGER;
CREATE INDEX stoker_job_start_by ON stoker_job (start_by)
    WHERE start_by IS NOT NULL AND state IN (0, 1, 2, 4) AND failures = 0 AND crashes = 0 AND snoozes = 0;
