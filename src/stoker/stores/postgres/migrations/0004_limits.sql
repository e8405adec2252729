-- Limits: jobs that have gates wait at them in state 0 (available, but in no line) until they are let in, which is state
-- 2 and a place in the line. Only rows of such jobs are written here, and only for them does a trigger do anything.

ALTER TABLE stoker.job ADD COLUMN gates text;    -- a key on each line, behind `!` where the job keeps its place, else ` `
CREATE INDEX job_gated ON stoker.job (queue, route, name) WHERE state = 0;

-- What a rule lets in: so many at once, or so many starts in a period.
CREATE TABLE stoker.rule (
    name text PRIMARY KEY,
    running integer,
    starts integer,
    per bigint NOT NULL
);

-- Waiting jobs, by line: those of one queue, route, name and set of gates. `kept` is 0 for a job that kept a place.
CREATE TABLE stoker.waiting (
    line text NOT NULL,
    kept smallint NOT NULL,
    priority integer NOT NULL,
    pos bigint NOT NULL,
    job bigint NOT NULL
);
CREATE UNIQUE INDEX waiting_line ON stoker.waiting (line, kept, priority DESC, pos);
CREATE INDEX waiting_job ON stoker.waiting (job);

-- The gate at which a line waits until that is stirred.
CREATE TABLE stoker.parked (
    line text PRIMARY KEY,
    key text NOT NULL
);
CREATE INDEX parked_key ON stoker.parked (key);

-- The jobs that have passed a gate and not left again: admitted, running, or keeping their place between attempts.
CREATE TABLE stoker.place (
    key text NOT NULL,
    job bigint NOT NULL,
    keeps boolean NOT NULL,
    heard boolean NOT NULL,           -- false: at a rate, and no admit has heard that the job was started
    PRIMARY KEY (key, job)
);
CREATE INDEX place_job ON stoker.place (job);
CREATE INDEX place_unheard ON stoker.place (key) WHERE NOT heard;

-- The tokens of rates, in microseconds of their period for each.
CREATE TABLE stoker.bucket (
    key text PRIMARY KEY,
    level bigint NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE stoker.alarm (
    key text PRIMARY KEY,
    at bigint NOT NULL
);
CREATE INDEX alarm_at ON stoker.alarm (at);

-- Gates at which a place became free, and lines that somebody joined: to be looked at by the next call. Nobody waits for
-- anybody to write here, so a text may stand here more than once.
CREATE TABLE stoker.stirred (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text text NOT NULL,
    spent boolean NOT NULL DEFAULT false    -- a job left a rate before anybody heard of its start
);

CREATE OR REPLACE FUNCTION stoker.state_of(job stoker.job) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN job.state = 0 THEN 2 WHEN job.state = 2 AND NOT EXISTS (
        SELECT FROM stoker.ready WHERE ready.queue = job.queue AND ready.route = job.route AND ready.name = job.name
            AND ready.priority = job.priority AND ready.pos = job.pos
    ) THEN 3 ELSE job.state END
$$;

CREATE FUNCTION stoker.line_of(job stoker.job) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(E'\n', job.queue, job.route, job.name, job.gates)
$$;

-- A job gives its places up when it leaves `running`, or the line; one that becomes available is taken out of the line
-- that it was put in, and waits.
CREATE FUNCTION stoker.gates_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH left_places AS (
        DELETE FROM stoker.place WHERE job = NEW.id AND NOT (keeps AND NEW.state IN (1, 2, 4)) RETURNING key, heard
    )
    INSERT INTO stoker.stirred (text, spent) SELECT key, NOT heard FROM left_places;
    IF OLD.state = 0 THEN
        DELETE FROM stoker.waiting WHERE job = NEW.id;
    END IF;
    IF NEW.state = 2 THEN
        DELETE FROM stoker.ready WHERE ready.queue = NEW.queue AND ready.route = NEW.route AND ready.name = NEW.name
            AND ready.priority = NEW.priority AND ready.pos = NEW.pos;
        UPDATE stoker.job SET state = 0 WHERE job.id = NEW.id;
        INSERT INTO stoker.waiting (line, kept, priority, pos, job)
        VALUES (stoker.line_of(NEW), CASE WHEN EXISTS (SELECT FROM stoker.place WHERE place.job = NEW.id) THEN 0 ELSE 1 END,
            NEW.priority, NEW.pos, NEW.id);
        INSERT INTO stoker.stirred (text) VALUES (stoker.line_of(NEW));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER gates_follow AFTER UPDATE ON stoker.job FOR EACH ROW
WHEN (NEW.gates IS NOT NULL AND NEW.state <> 0 AND NOT (OLD.state = 0 AND NEW.state = 2)
    AND (NEW.state <> OLD.state OR NEW.pos <> OLD.pos) AND OLD.gates IS NOT NULL)
EXECUTE FUNCTION stoker.gates_follow();

CREATE FUNCTION stoker.gates_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH left_places AS (DELETE FROM stoker.place WHERE job = OLD.id RETURNING key, heard)
    INSERT INTO stoker.stirred (text, spent) SELECT key, NOT heard FROM left_places;
    DELETE FROM stoker.waiting WHERE job = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER gates_go AFTER DELETE ON stoker.job
FOR EACH ROW WHEN (OLD.gates IS NOT NULL) EXECUTE FUNCTION stoker.gates_go();

-- How much a gate lets in: `free` places or null, `level` tokens of `price` each or null. Whoever asks has the lock.
CREATE FUNCTION stoker.room_of(
    gate text, now bigint, started integer, OUT free integer, OUT level bigint, OUT price bigint, OUT pace integer, OUT capped boolean
) LANGUAGE plpgsql AS $$
DECLARE
    said stoker.rule;
    filled stoker.bucket;
    most bigint;
BEGIN
    SELECT * INTO said FROM stoker.rule WHERE rule.name = split_part(gate, '=', 1);
    IF said.running IS NOT NULL THEN
        free := said.running - (SELECT count(*) FROM stoker.place WHERE place.key = gate);
    END IF;
    IF said.starts IS NOT NULL THEN
        SELECT * INTO filled FROM stoker.bucket WHERE bucket.key = gate;
        most := (said.starts - (
            SELECT count(*) FROM stoker.place WHERE place.key = gate AND NOT place.heard
        ) - started) * said.per;
        price := said.per;
        pace := said.starts;
        capped := most < price;
        level := greatest(0, least(most, CASE WHEN filled.key IS NULL THEN said.starts * said.per
            ELSE filled.level + least(greatest(now - filled.at, 0), said.per) * said.starts END));
    END IF;
END $$;

-- What `stoker.stores.admission` says, in the database. The lock comes first and every statement after it sees what those
-- did who had it before; who does not get it leaves all to them, and comes again.
CREATE FUNCTION stoker.admit(
    now bigint, most integer, OUT admitted integer, OUT more boolean, OUT next_at bigint, OUT at bigint
) LANGUAGE plpgsql AS $$
DECLARE
    texts text[];
    spent text[];               -- rates, once for each start that no call has heard of
    lines text[];
    blocked boolean[];
    gates text[] := '{}';       -- those that were looked at, and what is known of each
    free integer[] := '{}';
    level bigint[] := '{}';
    price bigint[] := '{}';
    pace integer[] := '{}';
    capped boolean[] := '{}';
    used boolean[] := '{}';
    candidate record;
    room record;
    wanted text[];
    gate text;
    obstacle text;
    keeping boolean;
    n integer;
    place_in_line bigint;
BEGIN
    admitted := 0;
    more := false;
    at := now;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('stoker.admit', 0)) THEN
        more := EXISTS (SELECT FROM stoker.stirred);
        RETURN;
    END IF;

    WITH rung AS (DELETE FROM stoker.alarm WHERE alarm.at <= now RETURNING key),
    first AS (
        DELETE FROM stoker.stirred WHERE id = ANY (ARRAY(SELECT id FROM stoker.stirred ORDER BY id LIMIT 1000))
        RETURNING stirred.text, stirred.spent
    )
    SELECT array_agg(DISTINCT found.text), array_agg(found.text) FILTER (WHERE found.spent) INTO texts, spent
    FROM (SELECT key AS text, false AS spent FROM rung UNION ALL SELECT first.text, first.spent FROM first) AS found;

    WITH running AS (
        SELECT place.key, place.job FROM stoker.place JOIN stoker.job AS one ON one.id = place.job
        WHERE NOT place.heard AND stoker.state_of(one) <> 2
    ), told AS (
        UPDATE stoker.place SET heard = true FROM running WHERE place.key = running.key AND place.job = running.job
        RETURNING place.key
    )
    SELECT spent || array_agg(told.key) INTO spent FROM told;
    FOR gate IN SELECT DISTINCT one FROM unnest(spent) AS one LOOP
        SELECT * INTO room FROM stoker.room_of(gate, now, cardinality(array_positions(spent, gate)));
        n := cardinality(gates) + 1;
        gates[n] := gate;
        free[n] := room.free;
        level[n] := room.level;
        price[n] := room.price;
        pace[n] := room.pace;
        capped[n] := room.capped;
        used[n] := true;
    END LOOP;
    IF texts IS NOT NULL THEN
        SELECT array_agg(DISTINCT found.line) INTO lines FROM (
            SELECT text AS line FROM unnest(texts) AS text WHERE strpos(text, E'\n') > 0
            UNION ALL SELECT parked.line FROM stoker.parked WHERE parked.key = ANY (texts)
        ) AS found;
    END IF;
    lines := coalesce(lines, '{}');
    IF cardinality(lines) > 0 THEN
        blocked := array_fill(false, ARRAY[cardinality(lines)]);
    END IF;

    -- Of each line one job more than its gates can ever let in, so that a line that is used up is parked at once.
    FOR candidate IN
        SELECT line.place, line.text AS line, head.gates, head.paused, next.job, next.kept
        FROM unnest(lines) WITH ORDINALITY AS line (text, place) CROSS JOIN LATERAL (
            SELECT job.gates, CASE
                WHEN EXISTS (SELECT FROM stoker.pause WHERE kind = 'queue' AND value = job.queue)
                    THEN 'paused queue ' || job.queue
                WHEN EXISTS (SELECT FROM stoker.pause WHERE kind = 'name' AND value = job.name)
                    THEN 'paused name ' || job.name
                END AS paused
            FROM stoker.waiting JOIN stoker.job ON job.id = waiting.job WHERE waiting.line = line.text LIMIT 1
        ) AS head CROSS JOIN LATERAL (
            SELECT min(least(rule.running, rule.starts)) AS size
            FROM unnest(string_to_array(head.gates, E'\n')) AS one JOIN stoker.rule ON rule.name = split_part(substr(one, 2), '=', 1)
        ) AS smallest CROSS JOIN LATERAL (
            SELECT waiting.job, waiting.kept, waiting.priority, waiting.pos FROM stoker.waiting
            WHERE waiting.line = line.text ORDER BY waiting.kept, waiting.priority DESC, waiting.pos
            LIMIT least(most, smallest.size) + 1
        ) AS next
        ORDER BY next.kept, next.priority DESC, next.pos
    LOOP
        CONTINUE WHEN blocked[candidate.place];
        EXIT WHEN admitted >= most;
        obstacle := candidate.paused;
        wanted := string_to_array(candidate.gates, E'\n');
        IF obstacle IS NULL THEN
            FOREACH gate IN ARRAY wanted LOOP
                keeping := candidate.kept = 0 AND left(gate, 1) = '!'
                    AND EXISTS (SELECT FROM stoker.place WHERE place.key = substr(gate, 2) AND place.job = candidate.job);
                gate := substr(gate, 2);
                n := array_position(gates, gate);
                IF n IS NULL THEN
                    SELECT * INTO room FROM stoker.room_of(gate, now, 0);
                    n := cardinality(gates) + 1;
                    gates[n] := gate;
                    free[n] := room.free;
                    level[n] := room.level;
                    price[n] := room.price;
                    pace[n] := room.pace;
                    capped[n] := room.capped;
                    used[n] := false;
                END IF;
                IF (free[n] < 1 AND NOT keeping) OR level[n] < price[n] THEN
                    obstacle := gate;
                    IF level[n] < price[n] THEN
                        INSERT INTO stoker.alarm (key, at) VALUES (gate, now + greatest(
                            (price[n] - level[n] + pace[n] - 1) / pace[n], CASE WHEN capped[n] THEN 100000 ELSE 0 END))
                        ON CONFLICT (key) DO UPDATE SET at = excluded.at;
                    END IF;
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        IF obstacle IS NOT NULL THEN
            blocked[candidate.place] := true;
            INSERT INTO stoker.parked (line, key) VALUES (candidate.line, obstacle)
            ON CONFLICT (line) DO UPDATE SET key = excluded.key;
            CONTINUE;
        END IF;

        -- Somebody's transaction may have its hands on the job: then it is looked at again by a later call.
        PERFORM FROM stoker.job WHERE job.id = candidate.job AND job.state = 0 FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            blocked[candidate.place] := true;
            INSERT INTO stoker.stirred (text) VALUES (candidate.line);
            CONTINUE;
        END IF;
        FOREACH gate IN ARRAY wanted LOOP
            keeping := candidate.kept = 0 AND left(gate, 1) = '!'
                AND EXISTS (SELECT FROM stoker.place WHERE place.key = substr(gate, 2) AND place.job = candidate.job);
            n := array_position(gates, substr(gate, 2));
            used[n] := true;
            level[n] := level[n] - price[n];
            IF NOT keeping THEN
                free[n] := free[n] - 1;
            END IF;
            INSERT INTO stoker.place (key, job, keeps, heard)
            VALUES (substr(gate, 2), candidate.job, left(gate, 1) = '!', level[n] IS NULL)
            ON CONFLICT (key, job) DO NOTHING;
        END LOOP;
        place_in_line := nextval('stoker.line');
        DELETE FROM stoker.waiting WHERE waiting.job = candidate.job;
        UPDATE stoker.job SET state = 2, pos = place_in_line WHERE job.id = candidate.job;
        INSERT INTO stoker.ready (queue, route, name, priority, pos, id, run_at, size)
        SELECT job.queue, job.route, job.name, job.priority, place_in_line, job.id, job.run_at, length(job.args)
        FROM stoker.job WHERE job.id = candidate.job;
        admitted := admitted + 1;
    END LOOP;

    -- Lines that were not looked at to their end: those that have nobody left are forgotten.
    FOR n IN 1 .. cardinality(lines) LOOP
        IF NOT blocked[n] THEN
            IF EXISTS (SELECT FROM stoker.waiting WHERE waiting.line = lines[n]) THEN
                INSERT INTO stoker.stirred (text) VALUES (lines[n]);
                more := true;
            ELSE
                DELETE FROM stoker.parked WHERE parked.line = lines[n];
            END IF;
        END IF;
    END LOOP;
    FOR n IN 1 .. cardinality(gates) LOOP
        IF used[n] AND level[n] IS NOT NULL THEN
            INSERT INTO stoker.bucket (key, level, at) VALUES (gates[n], level[n], now)
            ON CONFLICT (key) DO UPDATE SET level = excluded.level, at = excluded.at;
        END IF;
    END LOOP;
    more := more OR coalesce(cardinality(texts), 0) >= 1000;
    next_at := (SELECT min(alarm.at) FROM stoker.alarm);
END $$;

ALTER TABLE stoker.stirred SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_insert_threshold = -1);
ALTER TABLE stoker.place SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1);
ALTER TABLE stoker.waiting SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_insert_threshold = -1);
