-- What grows old goes: a login with its messages and their steps, dead letters, replays.
GRANT DELETE ON delivery_log TO {role};
CREATE INDEX replays_ended ON replays (ended_at) WHERE state <> 'running';

-- Users whose traces go. What is still on its way is looked for again and again, until no topic holds it any more.
CREATE TABLE erasures (
    user_id uuid        PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    due_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erasures_due ON erasures (due_at);
CREATE INDEX dead_letters_key ON dead_letters USING hash (key);
GRANT SELECT, INSERT, UPDATE, DELETE ON erasures TO {role};
