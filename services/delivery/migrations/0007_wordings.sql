-- What a login was started on, as its client calls it: an e-mail says which sign-in its code belongs to.
ALTER TABLE logins ADD COLUMN device text;

-- An account's own wording. Versions are given one at a time and in order, so that a worker reads only what is newer
-- than what it knows; a wording that was taken back stays as NULL, so that every worker hears of it.
CREATE TABLE wordings (
    account_id uuid        PRIMARY KEY,
    wording    jsonb,
    version    bigint      NOT NULL UNIQUE,
    updated_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE ON wordings TO {role};
