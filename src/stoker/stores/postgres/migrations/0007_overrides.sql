-- What operators say of job names at run time, as JSON, and every change of it.
CREATE TABLE stoker.override (
    name text PRIMARY KEY,
    text text NOT NULL,
    said_by text NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE stoker.override_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    text text,                        -- null: it was taken back
    said_by text NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX override_history_name ON stoker.override_history (name, id);
