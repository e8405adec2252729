-- Limits: jobs that have gates wait at them in state 0 (available, but nobody may claim it) until they are let in, which
-- is state 2. Only rows of such jobs are written here.

ALTER TABLE stoker_job ADD COLUMN gates TEXT;   -- a key on each line, behind `!` where the job keeps its place, else ` `
CREATE INDEX stoker_job_gated ON stoker_job (queue, route, name) WHERE state = 0;

-- What a rule lets in: so many at once, or so many starts in a period.
CREATE TABLE stoker_rule (
    name TEXT PRIMARY KEY,
    running INTEGER,
    starts INTEGER,
    per INTEGER NOT NULL
) WITHOUT ROWID;

-- Waiting jobs, by line: those of one queue, route, name and set of gates. `kept` is 0 for a job that kept a place.
CREATE TABLE stoker_waiting (
    line TEXT NOT NULL,
    kept INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    pos INTEGER NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (line, kept, priority DESC, pos)
) WITHOUT ROWID;
CREATE INDEX stoker_waiting_job ON stoker_waiting (job);

-- The gate at which a line waits until that is stirred.
CREATE TABLE stoker_parked (
    line TEXT PRIMARY KEY,
    key TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX stoker_parked_key ON stoker_parked (key);

-- The jobs that have passed a gate and not left again: admitted, running, or keeping their place between attempts.
CREATE TABLE stoker_place (
    key TEXT NOT NULL,
    job INTEGER NOT NULL,
    keeps INTEGER NOT NULL,
    heard INTEGER NOT NULL,        -- 0: at a rate, and no admit has heard that the job was started
    PRIMARY KEY (key, job)
) WITHOUT ROWID;
CREATE INDEX stoker_place_job ON stoker_place (job);
CREATE INDEX stoker_place_unheard ON stoker_place (key) WHERE heard = 0;

-- The tokens of rates, in microseconds of their period for each.
CREATE TABLE stoker_bucket (
    key TEXT PRIMARY KEY,
    level INTEGER NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE stoker_alarm (
    key TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX stoker_alarm_at ON stoker_alarm (at);

-- Gates at which a place became free, and lines that somebody joined: to be looked at by the next call.
CREATE TABLE stoker_stirred (
    text TEXT PRIMARY KEY,
    spent INTEGER NOT NULL DEFAULT 0    -- jobs that left a rate before anybody heard of their start
) WITHOUT ROWID;

-- Every verb that moves a job writes its `pos`. What is let in goes from 0 to 2 and is left alone.
CREATE TRIGGER stoker_gates_follow AFTER UPDATE OF pos ON stoker_job
WHEN NEW.gates IS NOT NULL AND NEW.state <> 3 AND NOT (OLD.state = 0 AND NEW.state = 2)
BEGIN
    INSERT INTO stoker_stirred (text, spent)
    SELECT key, NOT heard FROM stoker_place WHERE job = NEW.id AND NOT (keeps AND NEW.state IN (1, 2, 4))
    ON CONFLICT (text) DO UPDATE SET spent = spent + excluded.spent;
    DELETE FROM stoker_place WHERE job = NEW.id AND NOT (keeps AND NEW.state IN (1, 2, 4));
    DELETE FROM stoker_waiting WHERE job = NEW.id;
    INSERT INTO stoker_waiting (line, kept, priority, pos, job)
    SELECT NEW.queue || char(10) || NEW.route || char(10) || NEW.name || char(10) || NEW.gates,
        NOT EXISTS (SELECT 1 FROM stoker_place WHERE job = NEW.id), NEW.priority, NEW.pos, NEW.id
    WHERE NEW.state = 2;
    INSERT INTO stoker_stirred (text) SELECT line FROM stoker_waiting WHERE job = NEW.id
    ON CONFLICT (text) DO NOTHING;
    UPDATE stoker_job SET state = 0 WHERE id = NEW.id AND NEW.state = 2;
END;

CREATE TRIGGER stoker_gates_go AFTER DELETE ON stoker_job WHEN OLD.gates IS NOT NULL
BEGIN
    INSERT INTO stoker_stirred (text, spent) SELECT key, NOT heard FROM stoker_place WHERE job = OLD.id
    ON CONFLICT (text) DO UPDATE SET spent = spent + excluded.spent;
    DELETE FROM stoker_place WHERE job = OLD.id;
    DELETE FROM stoker_waiting WHERE job = OLD.id;
END;
