-- Jobs that are cancelled unless their first attempt has begun by an instant.
ALTER TABLE stoker.job ADD COLUMN start_by bigint;
CREATE INDEX job_start_by ON stoker.job (start_by)
    WHERE start_by IS NOT NULL AND state IN (0, 1, 2, 4) AND failures = 0 AND crashes = 0 AND snoozes = 0;
