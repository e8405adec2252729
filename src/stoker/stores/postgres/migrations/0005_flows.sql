-- Batches and workflows. `doc` is read by the client only; `call` moved it to its present version.
ALTER TABLE stoker.job ADD COLUMN batch text, ADD COLUMN node text;
CREATE INDEX job_batch ON stoker.job (batch, id) WHERE batch IS NOT NULL;

CREATE TABLE stoker.batch (
    id text PRIMARY KEY,
    version bigint NOT NULL,
    doc text NOT NULL,
    finished boolean NOT NULL,
    call text NOT NULL,
    at bigint NOT NULL                -- of its latest version
);
CREATE INDEX batch_finished ON stoker.batch (at) WHERE finished;

-- What members came to. Kinds: 0 added, 5 completed, 6 cancelled, 7 discarded; negative: no longer so.
CREATE TABLE stoker.batch_event (
    seq bigserial PRIMARY KEY,
    batch text NOT NULL,
    job bigint,
    node text NOT NULL,
    kind smallint NOT NULL,
    count integer NOT NULL
);
CREATE INDEX batch_event_batch ON stoker.batch_event (batch, seq);

-- Whoever ends a member appends to the ledger, in the same unit; nobody else's row is touched.
CREATE FUNCTION stoker.member_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO stoker.batch_event (batch, job, node, kind, count)
        VALUES (OLD.batch, OLD.id, coalesce(OLD.node, ''), 6, 1);
    ELSE
        INSERT INTO stoker.batch_event (batch, job, node, kind, count) VALUES (NEW.batch, NEW.id,
            coalesce(NEW.node, ''), CASE WHEN NEW.state >= 5 THEN NEW.state ELSE -OLD.state END, 1);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER member_moves AFTER UPDATE ON stoker.job FOR EACH ROW
WHEN (NEW.batch IS NOT NULL AND (NEW.state >= 5) <> (OLD.state >= 5)) EXECUTE FUNCTION stoker.member_moves();
CREATE TRIGGER member_goes AFTER DELETE ON stoker.job FOR EACH ROW
WHEN (OLD.batch IS NOT NULL AND OLD.state < 5) EXECUTE FUNCTION stoker.member_moves();
