-- The functions of pgmq 1.4 that a store calls, for a server of that age: no headers, whole seconds, no last_read_at.
CREATE SCHEMA pgmq;
CREATE TABLE pgmq.meta (
    queue_name varchar UNIQUE NOT NULL,
    is_partitioned boolean NOT NULL,
    is_unlogged boolean NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL
);
CREATE TYPE pgmq.message_record AS (
    msg_id bigint, read_ct integer, enqueued_at timestamptz, vt timestamptz, message jsonb
);
CREATE FUNCTION pgmq.create(queue_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    columns text := 'read_ct int DEFAULT 0 NOT NULL, enqueued_at timestamptz DEFAULT now() NOT NULL,'
        ' vt timestamptz NOT NULL, message jsonb';
BEGIN
    EXECUTE format('CREATE TABLE IF NOT EXISTS pgmq.%I (msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, %s)',
        'q_' || lower(queue_name), columns);
    EXECUTE format('CREATE TABLE IF NOT EXISTS pgmq.%I (msg_id bigint PRIMARY KEY, %s,'
        ' archived_at timestamptz DEFAULT now() NOT NULL)', 'a_' || lower(queue_name), columns);
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON pgmq.%I (vt)', 'q_' || lower(queue_name) || '_vt_idx',
        'q_' || lower(queue_name));
    INSERT INTO pgmq.meta (queue_name, is_partitioned, is_unlogged) VALUES (queue_name, false, false)
    ON CONFLICT DO NOTHING;
END $$;
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], delay integer DEFAULT 0) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('INSERT INTO pgmq.%I (vt, message)'
        ' SELECT clock_timestamp() + make_interval(secs => %s), unnest($1) RETURNING msg_id',
        'q_' || lower(queue_name), delay) USING msgs;
END $$;
CREATE FUNCTION pgmq.set_vt(queue_name text, msg_id bigint, vt integer) RETURNS SETOF pgmq.message_record
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('UPDATE pgmq.%I SET vt = now() + make_interval(secs => %s)'
        ' WHERE msg_id = %s RETURNING msg_id, read_ct, enqueued_at, vt, message', 'q_' || lower(queue_name), vt, msg_id);
END $$;
CREATE FUNCTION pgmq.delete(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('DELETE FROM pgmq.%I WHERE msg_id = ANY($1) RETURNING msg_id',
        'q_' || lower(queue_name)) USING msg_ids;
END $$;
CREATE FUNCTION pgmq.archive(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH archived AS (DELETE FROM pgmq.%I WHERE msg_id = ANY($1)'
        ' RETURNING msg_id, vt, read_ct, enqueued_at, message) INSERT INTO pgmq.%I (msg_id, vt, read_ct, enqueued_at, message)'
        ' SELECT msg_id, vt, read_ct, enqueued_at, message FROM archived RETURNING msg_id',
        'q_' || lower(queue_name), 'a_' || lower(queue_name)) USING msg_ids;
END $$;
