-- Guesses under way are told apart from wrong ones, and a login keeps the factors that it began with.

ALTER TABLE counters ADD COLUMN under_way timestamptz[] NOT NULL DEFAULT '{}';
ALTER TABLE logins ADD COLUMN factors text[] NOT NULL DEFAULT '{}';

-- Logins that ended unverified with a wrong code: an account where they pile up is being guessed at.
CREATE INDEX logins_guessed ON logins (ended_at) INCLUDE (account_id) WHERE state = 'closed' AND attempts > 0;
CREATE VIEW guessed_logins AS
SELECT account_id FROM logins WHERE state = 'closed' AND attempts > 0 AND ended_at > now() - interval '1 hour';

CREATE TABLE installation (
    one              boolean PRIMARY KEY DEFAULT true CHECK (one),
    long_codes_until timestamptz
);
INSERT INTO installation DEFAULT VALUES;

-- A feeding client's logins and wrong codes by the minute: too many wrong ones stop its feed.
CREATE TABLE feed_minutes (
    client_id text NOT NULL,
    minute    timestamptz NOT NULL,
    logins    bigint NOT NULL DEFAULT 0,
    wrong     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (client_id, minute)
) WITH (fillfactor = 70);
CREATE INDEX feed_minutes_due ON feed_minutes (minute);
CREATE TABLE feed_stops (
    client_id  text PRIMARY KEY,
    stopped_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION feed_stopped_at(clients) RETURNS timestamptz LANGUAGE sql STABLE AS
'SELECT stopped_at FROM feed_stops WHERE client_id = $1.client_id';

GRANT SELECT ON guessed_logins TO {role};
GRANT SELECT, UPDATE ON installation TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON feed_minutes, feed_stops TO {role};
