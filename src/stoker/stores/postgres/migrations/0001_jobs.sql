-- Written for a schema called stoker; another name is put in its place when the migration is applied.
-- Instants and durations are microseconds. States: 1 scheduled, 2 available or running, 4 retryable, 5 completed,
-- 6 cancelled, 7 discarded.

-- The source of job ids and of places in line, so that neither is ever used twice. CACHE 1: numbers are given out in
-- the order in which they are asked for, whoever asks.
CREATE SEQUENCE stoker.line CACHE 1;

-- A job that is performed at the first attempt has its row written once and deleted (or marked as completed) once.
-- A claim does not touch it.
CREATE TABLE stoker.job (
    id bigint PRIMARY KEY,
    state smallint NOT NULL,
    queue text NOT NULL,
    route text NOT NULL,
    name text NOT NULL,
    priority integer NOT NULL,
    pos bigint NOT NULL,              -- place in line, a new one for each entry into available
    run_at bigint NOT NULL,           -- when it became or becomes available
    token text,                       -- of the claim that settled it last, so that a repeat is known
    worker text,
    starts integer NOT NULL DEFAULT 0,     -- claims that it has left; a running job has one more
    failures integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    snoozes integer NOT NULL DEFAULT 0,
    cancelling boolean NOT NULL DEFAULT false,
    begun text,                       -- the claim in which it began to run, of a suspect
    max_attempts integer NOT NULL,
    crash_limit integer NOT NULL,
    enqueued_at bigint NOT NULL,
    started_at bigint,
    finished_at bigint,
    expires_at bigint,                -- when a finished job is deleted
    failed_at bigint,                 -- when it failed last; null if there is no row of it in failure
    keep bigint,
    keep_failed bigint,
    version integer NOT NULL,
    parent text,
    root text,
    origin text,
    slot text,                        -- its unique key
    slot_states integer,              -- bit n: the key is taken while the job is in state n
    labels text NOT NULL,
    meta text NOT NULL,
    result text,
    args text NOT NULL
);
CREATE INDEX job_due ON stoker.job (run_at) WHERE state IN (1, 4);
CREATE INDEX job_expiry ON stoker.job (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX job_ended ON stoker.job (id) WHERE state IN (6, 7);
CREATE INDEX job_cancelling ON stoker.job (id) WHERE cancelling;

-- The line of available jobs. A claim deletes from it; rows are never updated, so a row's address does not change.
CREATE TABLE stoker.ready (
    queue text NOT NULL,
    route text NOT NULL,
    name text NOT NULL,
    priority integer NOT NULL,
    pos bigint NOT NULL,
    id bigint NOT NULL,
    run_at bigint NOT NULL,           -- since when it is available
    size integer NOT NULL             -- length of args: bounds what one claim carries
);
CREATE UNIQUE INDEX ready_line ON stoker.ready (queue, route, name, priority DESC, pos);

-- A claim takes a job off the line and leaves its row alone.
CREATE FUNCTION stoker.state_of(job stoker.job) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN job.state = 2 AND NOT EXISTS (
        SELECT FROM stoker.ready WHERE ready.queue = job.queue AND ready.route = job.route AND ready.name = job.name
            AND ready.priority = job.priority AND ready.pos = job.pos
    ) THEN 3 ELSE job.state END
$$;

-- One row per claim call, with the jobs that run under it: a job of state 2 runs exactly if it is in one of these.
-- Heartbeats touch this row alone. Whoever takes a job out of `running` locks its lease first.
CREATE TABLE stoker.lease (
    token text PRIMARY KEY,
    at bigint NOT NULL,
    until bigint NOT NULL,
    worker text NOT NULL,
    stopping boolean NOT NULL DEFAULT false,
    ids bigint[] NOT NULL
);
-- To compress them would take longer than everything else in a claim.
ALTER TABLE stoker.lease ALTER ids SET STORAGE EXTERNAL;
CREATE INDEX lease_until ON stoker.lease (until);

CREATE TABLE stoker.failure (
    id bigint PRIMARY KEY,
    job bigint NOT NULL,
    attempt integer NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL,
    message text NOT NULL,
    trace text NOT NULL,
    worker text NOT NULL
);
CREATE INDEX failure_job ON stoker.failure (job, id);

-- Unique keys. A key is taken until the instant `until`, and while its holder is in one of the holder's own states:
-- so no verb has to give a key back.
CREATE TABLE stoker.slot (
    key text PRIMARY KEY,
    holder bigint NOT NULL,
    until bigint
);
CREATE INDEX slot_window ON stoker.slot (until) WHERE until IS NOT NULL;

-- Receipts of enqueue calls.
CREATE TABLE stoker.call (
    call text PRIMARY KEY,
    at bigint NOT NULL,
    ids bigint[] NOT NULL,
    open boolean NOT NULL DEFAULT false,   -- while the steps of its own unit are at work
    conflict text                          -- what a job that insists on a free key ran into
);
ALTER TABLE stoker.call ALTER ids SET STORAGE EXTERNAL;
CREATE INDEX call_at ON stoker.call (at);

-- What became of the unique jobs of a call.
CREATE TABLE stoker.answer (
    call text NOT NULL REFERENCES stoker.call ON DELETE CASCADE,
    ordinal integer NOT NULL,
    job bigint NOT NULL,
    duplicate boolean NOT NULL,
    PRIMARY KEY (call, ordinal)
);

CREATE TABLE stoker.pause (
    kind text NOT NULL,
    value text NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (kind, value)
);

CREATE TABLE stoker.worker (
    id text PRIMARY KEY,
    until bigint NOT NULL,
    info text NOT NULL
);

CREATE TABLE stoker.leader (
    role text PRIMARY KEY,
    holder text NOT NULL,
    until bigint NOT NULL
);

-- What goes with a job. Never waits for a key that somebody's open transaction is taking over.
CREATE FUNCTION stoker.job_goes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM stoker.failure WHERE job = OLD.id;
    DELETE FROM stoker.slot WHERE key IN (
        SELECT key FROM stoker.slot WHERE key = OLD.slot AND holder = OLD.id AND until IS NULL FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END $$;
CREATE TRIGGER job_goes AFTER DELETE ON stoker.job
FOR EACH ROW WHEN (OLD.failed_at IS NOT NULL OR OLD.slot IS NOT NULL) EXECUTE FUNCTION stoker.job_goes();

-- A job that comes to wait again takes its key again, if that is free without waiting: an open transaction that asks
-- for the key holds its lock, and then the job goes on without one. Windows that are over were closed before.
CREATE FUNCTION stoker.job_waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A statement of its own, so that the next one sees what those did who had the lock before.
    IF pg_try_advisory_xact_lock(hashtextextended('stoker.' || NEW.slot, 0)) THEN
        INSERT INTO stoker.slot (key, holder)
        SELECT NEW.slot, NEW.id
        WHERE NOT EXISTS (
            SELECT FROM stoker.slot WHERE slot.key = NEW.slot AND (slot.holder = NEW.id OR slot.until IS NOT NULL
                OR EXISTS (SELECT FROM stoker.job AS other WHERE other.id = slot.holder AND other.slot = slot.key
                    AND (other.slot_states >> stoker.state_of(other)) & 1 = 1))
        ) ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER job_waits AFTER UPDATE ON stoker.job FOR EACH ROW
WHEN (NEW.slot IS NOT NULL AND NEW.state IN (1, 2, 4) AND (NEW.slot_states >> NEW.state) & 1 = 1)
EXECUTE FUNCTION stoker.job_waits();

-- Whether arguments have one of the wanted values at each path; `wanted` is a JSON array of [path, JSON text].
CREATE FUNCTION stoker.args_are(args text, wanted json) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    one record;
    found text;
BEGIN
    FOR one IN SELECT item->>0 AS path, array_agg(item->>1) AS texts FROM json_array_elements(wanted) AS item GROUP BY 1
    LOOP
        BEGIN
            found := (args::json #> string_to_array(one.path, '.'))::jsonb::text;
            IF found IS NULL OR NOT found = ANY (ARRAY(SELECT value::jsonb::text FROM unnest(one.texts) AS value)) THEN
                RETURN false;
            END IF;
        EXCEPTION WHEN data_exception THEN
            RETURN false;
        END;
    END LOOP;
    RETURN true;
END $$;

-- Deleted rows of these are many and their indexes short-lived: clean up early, whatever the size of the tables.
-- What was only inserted needs none.
ALTER TABLE stoker.job SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_insert_threshold = -1);
ALTER TABLE stoker.ready SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_insert_threshold = -1);
ALTER TABLE stoker.lease SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 1);
