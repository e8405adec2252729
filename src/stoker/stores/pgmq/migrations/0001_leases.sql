-- What pgmq has no place for. Written for a schema called stoker; another name is put in its place when the migration
-- is applied. Instants and durations are microseconds; queues are named as pgmq names them.

-- One row per claim call and queue. A message is ours as long as it is in one of these and its read_ct is the one here.
CREATE TABLE stoker.lease (
    token text NOT NULL,
    queue text NOT NULL,
    at bigint NOT NULL,
    until bigint NOT NULL,
    worker text NOT NULL,
    stopping boolean NOT NULL DEFAULT false,
    started bigint[] NOT NULL DEFAULT '{}',  -- suspects that began to run
    ids bigint[] NOT NULL,
    reads integer[] NOT NULL,                -- of each message its read_ct
    dues bigint[] NOT NULL,                  -- and when it had become available
    PRIMARY KEY (token, queue)
);
CREATE INDEX lease_until ON stoker.lease (until);

-- Which attempts ended, so that a repeat is known.
CREATE TABLE stoker.ended (
    token text NOT NULL,
    queue text NOT NULL,
    at bigint NOT NULL,
    ids bigint[] NOT NULL
);
CREATE INDEX ended_token ON stoker.ended (token);
CREATE INDEX ended_at ON stoker.ended (at);

-- Which messages a call has sent; part counts its groups of one queue and time.
CREATE TABLE stoker.call (
    call text NOT NULL,
    part integer NOT NULL,
    at bigint NOT NULL,
    ids bigint[] NOT NULL,
    PRIMARY KEY (call, part)
);
CREATE INDEX call_at ON stoker.call (at);

-- Until when archived messages are kept; those that are not here stay.
CREATE TABLE stoker.kept (
    queue text NOT NULL,
    id bigint NOT NULL,
    until bigint NOT NULL
);
CREATE INDEX kept_until ON stoker.kept (until);

CREATE TABLE stoker.route (route text NOT NULL);

CREATE TABLE stoker.leader (
    role text PRIMARY KEY,
    holder text NOT NULL,
    until bigint NOT NULL
);

CREATE TABLE stoker.worker (
    id text PRIMARY KEY,
    until bigint NOT NULL,
    info text NOT NULL
);
