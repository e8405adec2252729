-- All names begin with stoker_, because jobs may live in the application's own database file.
-- Instants and durations are integer microseconds. States: 1 scheduled, 2 available, 3 running, 4 retryable,
-- 5 completed, 6 cancelled, 7 discarded.

-- `value` is the one source of job ids and of places in line, so that neither is ever used twice. `keys` tells whether
-- a unique job was ever enqueued; while none was, nobody pays for keys.
CREATE TABLE stoker_counter (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    value INTEGER NOT NULL,
    keys INTEGER NOT NULL
);
INSERT INTO stoker_counter (one, value, keys) VALUES (1, 0, 0);

CREATE TABLE stoker_job (
    id INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    queue TEXT NOT NULL,
    route TEXT NOT NULL,
    name TEXT NOT NULL,
    priority INTEGER NOT NULL,
    pos INTEGER NOT NULL,          -- place in line, a new one for each entry into available
    run_at INTEGER NOT NULL,       -- when it became or becomes available
    size INTEGER NOT NULL,         -- length of args: bounds what one claim carries
    token TEXT,                    -- of the latest claim; stays after the end, so that a repeat is known
    worker TEXT,
    starts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    snoozes INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0,
    begun INTEGER NOT NULL DEFAULT 0,   -- a suspect that was marked as started in its present claim
    max_attempts INTEGER NOT NULL,
    crash_limit INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    expires_at INTEGER,            -- when a finished job is deleted
    failed_at INTEGER,             -- when it failed last; null if there is no row of it in stoker_failure
    keep INTEGER,
    keep_failed INTEGER,
    version INTEGER NOT NULL,
    parent TEXT,
    root TEXT,
    origin TEXT,
    slot TEXT,                     -- its unique key
    slot_states INTEGER,           -- bit n: the key is taken while the job is in state n
    labels TEXT NOT NULL,
    meta TEXT NOT NULL,
    result TEXT,
    args TEXT NOT NULL
);
CREATE INDEX stoker_job_ready ON stoker_job (queue, route, name, priority DESC, pos, size) WHERE state = 2;
CREATE INDEX stoker_job_due ON stoker_job (run_at) WHERE state IN (1, 4);
CREATE INDEX stoker_job_expiry ON stoker_job (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX stoker_job_ended ON stoker_job (state, id) WHERE state IN (6, 7);

CREATE TABLE stoker_failure (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    trace TEXT NOT NULL,
    worker TEXT NOT NULL
);
CREATE INDEX stoker_failure_job ON stoker_failure (job);

CREATE TRIGGER stoker_failure_shows AFTER INSERT ON stoker_failure
BEGIN
    UPDATE stoker_job SET failed_at = NEW.at WHERE id = NEW.job;
END;

-- One row per claim call. Heartbeats touch it alone, so they never wait for a job's row and never rewrite one.
CREATE TABLE stoker_lease (
    token TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    worker TEXT NOT NULL,
    stopping INTEGER NOT NULL DEFAULT 0,
    ids TEXT NOT NULL              -- JSON array of job ids, in the order to run them
);

-- A trigger, because it fires for a new lease only: a repeat of a claim call inserts none and so takes nothing.
-- `+state` keeps the planner off the index of available jobs, whatever its statistics say. The second update lets keys
-- follow (see stoker_key_follows).
CREATE TRIGGER stoker_lease_starts AFTER INSERT ON stoker_lease
BEGIN
    UPDATE stoker_job
    SET state = 3, token = NEW.token, worker = NEW.worker, starts = starts + 1, started_at = NEW.at,
        cancelling = 0, begun = 0
    WHERE id IN (SELECT value FROM json_each(NEW.ids)) AND +state = 2;
    UPDATE stoker_job SET pos = 0
    WHERE id IN (SELECT value FROM json_each(CASE WHEN (SELECT keys FROM stoker_counter) THEN NEW.ids ELSE '[]' END))
        AND slot IS NOT NULL AND +state = 3;
END;

-- Unique keys. A key is taken while `held`, or until the instant `until`.
CREATE TABLE stoker_slot (
    key TEXT PRIMARY KEY,
    holder INTEGER NOT NULL,
    held INTEGER NOT NULL,
    until INTEGER
) WITHOUT ROWID;
CREATE INDEX stoker_slot_window ON stoker_slot (until) WHERE held = 0;

-- A key follows its holder through every verb: given up where the state is not one of its own, taken again on
-- re-entry if it is free, and otherwise left to whoever has it. It follows changes of `pos`, which every verb that moves
-- a job writes, but for claim and completion: a trigger costs each row 1 µs, so they do it for unique jobs only.
-- Where the row tells the present instant a window that has closed is free too; the verbs that make jobs wait again
-- delete such windows first.
CREATE TRIGGER stoker_key_follows AFTER UPDATE OF pos ON stoker_job WHEN NEW.slot IS NOT NULL
BEGIN
    UPDATE stoker_slot SET held = (NEW.slot_states >> NEW.state) & 1 WHERE key = NEW.slot AND holder = NEW.id;
    DELETE FROM stoker_slot WHERE key = NEW.slot AND holder = NEW.id AND held = 0 AND until IS NULL;
    INSERT INTO stoker_slot (key, holder, held)
    SELECT NEW.slot, NEW.id, 1 WHERE (NEW.slot_states >> NEW.state) & 1
    ON CONFLICT (key) DO UPDATE SET holder = NEW.id, held = 1, until = NULL
    WHERE NOT held AND until <= CASE WHEN NEW.state = 3 THEN NEW.started_at WHEN NEW.state >= 5 THEN NEW.finished_at END;
END;

-- One trigger for all that goes with a job, because each costs every deleted row.
CREATE TRIGGER stoker_job_goes AFTER DELETE ON stoker_job WHEN OLD.failed_at IS NOT NULL OR OLD.slot IS NOT NULL
BEGIN
    DELETE FROM stoker_failure WHERE job = OLD.id;
    UPDATE stoker_slot SET held = 0 WHERE key = OLD.slot AND holder = OLD.id;
    DELETE FROM stoker_slot WHERE key = OLD.slot AND holder = OLD.id AND until IS NULL;
END;

-- Receipts of enqueue calls: `count` ids from `first` on.
CREATE TABLE stoker_call (
    first INTEGER PRIMARY KEY,
    call TEXT NOT NULL UNIQUE,
    count INTEGER NOT NULL,
    at INTEGER NOT NULL,
    conflict TEXT                  -- what a job that insists on a free key ran into; then nothing was stored
);

-- What became of the unique jobs of a call.
CREATE TABLE stoker_answer (
    call TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    job INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    PRIMARY KEY (call, ordinal)
) WITHOUT ROWID;

CREATE TRIGGER stoker_answers_go AFTER DELETE ON stoker_call
BEGIN
    DELETE FROM stoker_answer WHERE call = OLD.call;
END;

CREATE TABLE stoker_pause (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;

CREATE TABLE stoker_worker (
    id TEXT PRIMARY KEY,
    until INTEGER NOT NULL,
    info TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE stoker_leader (
    role TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;
