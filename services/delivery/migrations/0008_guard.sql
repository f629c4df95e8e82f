-- What is watched for SMS pumping. `prefixes` of a delivery are keyed hashes of the beginnings of its number; `email_off`
-- says that an e-mail took the place of an SMS for a user who has e-mail off.
ALTER TABLE deliveries ADD COLUMN prefixes bytea, ADD COLUMN email_off boolean NOT NULL DEFAULT false;
CREATE INDEX deliveries_email_off ON deliveries (created_at DESC, id DESC) WHERE email_off;

-- A row for each beginning of numbers that an account sends to: this window and the one before it. `shown` is sealed, and
-- written only once many numbers share the beginning: together with a masked number it would be most of a contact.
CREATE TABLE guard_prefixes (
    account_id   uuid        NOT NULL,
    prefix       bytea       NOT NULL,
    country      text,
    since        timestamptz NOT NULL,
    sends        int         NOT NULL DEFAULT 0,
    verified     int         NOT NULL DEFAULT 0,
    stopped      int         NOT NULL DEFAULT 0,
    old_sends    int         NOT NULL DEFAULT 0,
    old_verified int         NOT NULL DEFAULT 0,
    old_stopped  int         NOT NULL DEFAULT 0,
    lifted_until timestamptz,
    shown        bytea,
    PRIMARY KEY (account_id, prefix)
) WITH (fillfactor = 70);
CREATE INDEX guard_prefixes_since ON guard_prefixes (since);
CREATE INDEX guard_prefixes_shown ON guard_prefixes (account_id) WHERE shown IS NOT NULL;

-- Numbers that a code came back from: a keyed hash, as in `deliveries`.
CREATE TABLE guard_proven (
    recipient bytea       PRIMARY KEY,
    at        timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX guard_proven_at ON guard_proven (at);

-- What was spent of a day's budget; `*` is the installation.
CREATE TABLE guard_budgets (
    day        date    NOT NULL,
    account_id text    NOT NULL,
    spent      numeric NOT NULL,
    PRIMARY KEY (day, account_id)
) WITH (fillfactor = 70);

-- A day's figures. `provider` and `reason` are empty where there is none.
CREATE TABLE guard_figures (
    day        date    NOT NULL,
    account_id uuid    NOT NULL,
    country    text    NOT NULL,
    provider   text    NOT NULL,
    reason     text    NOT NULL,
    sends      int     NOT NULL DEFAULT 0,
    verified   int     NOT NULL DEFAULT 0,
    stopped    int     NOT NULL DEFAULT 0,
    cost       numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (day, account_id, country, provider, reason)
) WITH (fillfactor = 70);

-- What an account has of its own; versions as in `wordings`.
CREATE TABLE guard_settings (
    account_id uuid        PRIMARY KEY,
    settings   jsonb,
    version    bigint      NOT NULL UNIQUE,
    updated_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON guard_prefixes, guard_proven, guard_budgets, guard_figures TO {role};
GRANT SELECT, INSERT, UPDATE ON guard_settings TO {role};
