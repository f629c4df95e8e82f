-- A replay is a job that any worker carries on: `after_at, after_id` is how far it looked (newest first, from `at` on),
-- `due_at` when it may send the next ones. `planned` are the counts when it was made, `counts` what came of it.
ALTER TABLE replays
    ADD COLUMN state      text             NOT NULL DEFAULT 'done' CHECK (state IN ('running', 'done', 'stopped')),
    ADD COLUMN per_second double precision NOT NULL DEFAULT 50 CHECK (per_second > 0),
    ADD COLUMN planned    jsonb            NOT NULL DEFAULT '{}',
    ADD COLUMN more       boolean          NOT NULL DEFAULT false,
    ADD COLUMN after_at   timestamptz      NOT NULL DEFAULT now(),
    ADD COLUMN after_id   uuid             NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN due_at     timestamptz      NOT NULL DEFAULT now(),
    ADD COLUMN ended_at   timestamptz,
    ADD COLUMN stopped_by text;
UPDATE replays SET planned = counts, ended_at = at;
-- One at a time for each account, and one over all of them.
CREATE UNIQUE INDEX replays_running ON replays (account_id) WHERE state = 'running';
CREATE INDEX replays_newest ON replays (at DESC, account_id, id);

-- What a replay looks through: the few that did not arrive, not the many that did.
CREATE INDEX deliveries_not_arrived ON deliveries (created_at DESC, id DESC)
    WHERE state IN ('failed', 'undelivered', 'unknown', 'expired');
CREATE INDEX deliveries_not_arrived_account ON deliveries (account_id, created_at DESC, id DESC)
    WHERE state IN ('failed', 'undelivered', 'unknown', 'expired');
CREATE INDEX deliveries_replayed ON deliveries (cause, account_id) WHERE cause LIKE 'replay:%';

-- A dead letter that nobody needs any more is put away with the reason.
ALTER TABLE dead_letters
    ADD COLUMN replayed_by    text,
    ADD COLUMN discarded_at   timestamptz,
    ADD COLUMN discarded_by   text,
    ADD COLUMN discard_reason text;
CREATE INDEX dead_letters_open ON dead_letters (at DESC, id DESC) WHERE replayed_at IS NULL AND discarded_at IS NULL;
