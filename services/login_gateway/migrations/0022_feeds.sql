-- The second road of feeds: the topic `logins`, with its offsets here, and a budget for both roads.

-- The public half of the key that a feed client signs its records with; the private half is derived from its secret.
ALTER TABLE clients ADD COLUMN feed_key bytea;
ALTER TABLE clients ALTER COLUMN feed_key SET STATISTICS 0;

-- How far each partition was read. They move in the transaction that opens the logins.
CREATE TABLE feed_offsets (
    cluster_id  text NOT NULL,
    partition   int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (cluster_id, partition)
) WITH (fillfactor = 70);

-- An account's budget as one instant: until when it is spent. A login moves it on by a minute's part; an account whose
-- instant lies a whole minute ahead has nothing left.
ALTER TABLE accounts ADD COLUMN feed_per_minute int NOT NULL DEFAULT 12000;
CREATE TABLE feed_budgets (
    account_id  uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    spent_until timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Logins of the topic whose account is over its budget: each waits here for its turn, and nobody else's behind it.
CREATE TABLE feed_waiting (
    account_id uuid NOT NULL,
    place      bigint GENERATED ALWAYS AS IDENTITY,
    client_id  text NOT NULL,
    item       jsonb NOT NULL,
    due_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, place)
);
CREATE INDEX feed_waiting_due ON feed_waiting (due_at);

-- References that are over, by age: a login's id begins with its time.
CREATE INDEX logins_referenced ON logins (login_id) WHERE reference IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON feed_offsets, feed_budgets, feed_waiting TO {role};
