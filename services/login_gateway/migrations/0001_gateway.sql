-- Accounts, users, logins and what guards them. Contacts stand sealed, with a keyed hash and a masked form.

CREATE TABLE accounts (
    account_id      uuid PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    state           text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    session_seconds int NOT NULL DEFAULT 7776000,
    code_digits     smallint NOT NULL DEFAULT 6,
    code_seconds    int NOT NULL DEFAULT 300,
    epoch           bigint NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000),
    policy_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    long_codes_until timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    user_id       uuid PRIMARY KEY,
    account_id    uuid NOT NULL REFERENCES accounts,
    username      text NOT NULL,
    username_key  text NOT NULL,
    external_id   text,
    password_hash text,
    name          text,
    phone         bytea,
    phone_hash    bytea,
    phone_masked  text,
    phone_country text,
    email         bytea,
    email_hash    bytea,
    email_masked  text,
    sms_on        boolean NOT NULL DEFAULT false,
    email_on      boolean NOT NULL DEFAULT false,
    role          text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin', 'operator')),
    kind          text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'integration')),
    disabled      boolean NOT NULL DEFAULT false,
    locale        text,
    claims        jsonb NOT NULL DEFAULT '{}',
    epoch         bigint NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000),
    version       int NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, username_key),
    UNIQUE (account_id, external_id)
);
CREATE INDEX users_phone ON users (phone_hash) WHERE phone_hash IS NOT NULL;
CREATE INDEX users_email ON users (email_hash) WHERE email_hash IS NOT NULL;

-- One narrow row for each user, locked before a login's row: it serialises all guesses of one user.
CREATE TABLE user_guard (
    user_id          uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    wrong_at         timestamptz[] NOT NULL DEFAULT '{}',
    wrong_total      int NOT NULL DEFAULT 0,
    locked_at        timestamptz,
    noticed_at       timestamptz,
    long_codes_until timestamptz
) WITH (fillfactor = 70);

CREATE TABLE logins (
    login_id       uuid PRIMARY KEY,
    account_id     uuid NOT NULL,
    user_id        uuid NOT NULL,
    state          text NOT NULL CHECK (state IN ('pending', 'verified', 'closed')),
    closed_why     text,
    audience       text NOT NULL DEFAULT 'apps',
    fed_by         text,
    reference      text,
    attempts       smallint NOT NULL DEFAULT 0,
    sends          smallint NOT NULL DEFAULT 1,
    last_send_at   timestamptz NOT NULL DEFAULT now(),
    digits         smallint NOT NULL,
    salt           bytea NOT NULL,
    code_key_id    smallint NOT NULL,
    channels       text[] NOT NULL,
    masked         jsonb NOT NULL DEFAULT '{}',
    auth_time      timestamptz NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    account_epoch  bigint NOT NULL,
    user_epoch     bigint NOT NULL,
    device         text,
    context        jsonb NOT NULL DEFAULT '{}',
    issued_at      bigint,
    mint_key_id    smallint,
    channel        text,
    verify_key     bytea,
    delivery       jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
CREATE INDEX logins_due ON logins (expires_at) WHERE state = 'pending';
CREATE INDEX logins_user ON logins (user_id, created_at);
CREATE INDEX logins_account_pending ON logins (account_id) WHERE state = 'pending';
CREATE UNIQUE INDEX logins_reference ON logins (account_id, reference) WHERE reference IS NOT NULL;

CREATE TABLE idempotency (
    user_id    uuid NOT NULL,
    key        bytea NOT NULL,
    body_mac   bytea NOT NULL,
    login_id   uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_due ON idempotency (expires_at);

-- Counters over a sliding window: one row for each thing counted ("sends:user:…", "passwords:…"), never a contact.
CREATE TABLE counters (
    name       bytea PRIMARY KEY,
    hits       timestamptz[] NOT NULL DEFAULT '{}',
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX counters_due ON counters (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, users, user_guard, logins, idempotency, counters TO {role};
