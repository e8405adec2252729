-- For triggers and other languages: what one enqueue of a single job does, inside the transaction of whoever calls it.
-- Gives the job's id, or that of the job that has the unique key. Arguments are of type json, which keeps them byte for
-- byte. What an application's settings and its definition of the job say is not known here: these are the defaults.
CREATE FUNCTION stoker.enqueue(
    name text,
    args json DEFAULT '{}',
    queue text DEFAULT 'default',
    delay interval DEFAULT NULL,
    at timestamptz DEFAULT NULL,
    priority integer DEFAULT 0,
    max_attempts integer DEFAULT 20,
    unique_key text DEFAULT NULL,
    keep interval DEFAULT '1 day',            -- null: for ever
    keep_failed interval DEFAULT '14 days'
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    instant timestamptz := statement_timestamp();
    now bigint := (extract(epoch FROM instant) * 1000000)::bigint;
    due bigint := (extract(epoch FROM coalesce(enqueue.at, instant + delay, instant)) * 1000000)::bigint;
    slot_key text := encode(sha256(convert_to('key ' || unique_key, 'UTF8')), 'hex');
    new_id bigint;
    wrong text;
BEGIN
    wrong := CASE
        WHEN enqueue.name IS NULL OR enqueue.name !~ '^[[:alnum:]_.:/-]+$' THEN
            'name is ' || coalesce(quote_literal(enqueue.name), 'null') || '; it must be that of a job'
        WHEN enqueue.queue IS NULL OR enqueue.queue !~ '^[[:alnum:]_./-]+$' THEN
            'queue is ' || coalesce(quote_literal(enqueue.queue), 'null') || '; it must be the name of a queue'
        WHEN enqueue.args IS NULL OR json_typeof(enqueue.args) NOT IN ('object', 'array') THEN
            'args must be a JSON object (by name) or an array (by position)'
        WHEN enqueue.priority IS NULL OR enqueue.priority NOT BETWEEN -100 AND 100 THEN
            'priority is ' || coalesce(enqueue.priority::text, 'null') || '; it must be from -100 to 100'
        WHEN enqueue.max_attempts IS NULL OR enqueue.max_attempts < 1 THEN
            'max_attempts is ' || coalesce(enqueue.max_attempts::text, 'null') || '; it must be 1 or more'
        WHEN delay IS NOT NULL AND enqueue.at IS NOT NULL THEN 'delay and at exclude each other'
        WHEN enqueue.keep < interval '0' OR enqueue.keep_failed < interval '0' THEN
            'keep and keep_failed must not be negative'
    END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'stoker enqueue: %', wrong USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF unique_key IS NOT NULL THEN
        -- In a statement of its own, before the one that looks: that sees what the lock's last holder did.
        PERFORM pg_advisory_xact_lock(hashtextextended('stoker.' || slot_key, 0));
        SELECT slot.holder INTO new_id FROM stoker.slot WHERE slot.key = slot_key AND (slot.until > now OR EXISTS (
            SELECT FROM stoker.job AS other WHERE other.id = slot.holder AND other.slot = slot.key
                AND (other.slot_states >> stoker.state_of(other)) & 1 = 1));
        IF FOUND THEN
            RETURN new_id;
        END IF;
    END IF;

    new_id := nextval('stoker.line');
    IF unique_key IS NOT NULL THEN
        INSERT INTO stoker.slot AS slot (key, holder) VALUES (slot_key, new_id)
        ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = NULL;
    END IF;
    INSERT INTO stoker.job (id, state, queue, route, name, priority, pos, run_at, max_attempts, crash_limit,
        enqueued_at, keep, keep_failed, version, labels, meta, args, slot, slot_states)
    VALUES (new_id, CASE WHEN due <= now THEN 2 ELSE 1 END, enqueue.queue, '', enqueue.name, enqueue.priority, new_id,
        due, enqueue.max_attempts, 3, now, (extract(epoch FROM enqueue.keep) * 1000000)::bigint,
        (extract(epoch FROM enqueue.keep_failed) * 1000000)::bigint, 1, '[]', '{}', enqueue.args::text, slot_key,
        CASE WHEN slot_key IS NOT NULL THEN (1 << 1) | (1 << 2) | (1 << 4) END);
    IF due <= now THEN
        INSERT INTO stoker.ready (queue, route, name, priority, pos, id, run_at, size)
        VALUES (enqueue.queue, '', enqueue.name, enqueue.priority, new_id, new_id, due, length(enqueue.args::text));
    END IF;
    PERFORM pg_notify('stoker ' || nspname, enqueue.queue) FROM pg_catalog.pg_class
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = 'stoker.line'::regclass;
    RETURN new_id;
END $$;
