-- Work that comes round. Whoever moves `due_at` on does it, and moves it on again with each batch: who is killed is followed
-- by another soon.
CREATE TABLE chores (
    name     text PRIMARY KEY,
    due_at   timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    done     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON chores TO {role};

-- Parked events are few among what may be millions that wait: who counts or tidies them reads only these.
CREATE INDEX outbox_parked ON outbox (made_at) WHERE parked IS NOT NULL;
