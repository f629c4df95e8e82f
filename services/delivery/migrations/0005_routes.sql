-- Without a number of its own a provider takes three quarters of a worker's calls, and as many a second as it can.
ALTER TABLE providers ALTER COLUMN slots DROP NOT NULL, ALTER COLUMN slots DROP DEFAULT,
    ADD COLUMN per_second double precision CHECK (per_second BETWEEN 0.01 AND 100000);
UPDATE providers SET slots = NULL WHERE slots = 64;

-- A provider's place for one account, one country, or both; `*` is any.
CREATE TABLE routes (
    account_id text        NOT NULL,
    country    text        NOT NULL CHECK (country ~ '^(\*|[A-Z0-9]{2,3})$'),
    provider   text        NOT NULL REFERENCES providers ON DELETE CASCADE,
    position   int         NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 1000),
    weight     int         NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000),
    by         text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, country, provider)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON routes TO {role};

-- A channel that has no room is passed over as a whole.
DROP INDEX deliveries_queue;
CREATE INDEX deliveries_queue ON deliveries (account_id, channel, due_at) WHERE state = 'queued';
