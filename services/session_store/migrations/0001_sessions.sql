-- Sessions, and what ends them: floors, policies, revocations. No token, no secret: a hash of each.

CREATE TABLE sessions (
    login_id      uuid PRIMARY KEY,
    account_id    uuid NOT NULL,
    user_id       uuid NOT NULL,
    issued_at     timestamptz NOT NULL,
    auth_time     timestamptz NOT NULL,
    secret_hash   bytea NOT NULL,
    amr           text[] NOT NULL,
    acr           text NOT NULL,
    aud           text NOT NULL,
    role          text NOT NULL,
    claims        jsonb NOT NULL DEFAULT '{}',
    device        text,
    account_epoch bigint NOT NULL,
    user_epoch    bigint NOT NULL
);
CREATE INDEX sessions_user ON sessions (account_id, user_id, issued_at DESC, login_id);
CREATE INDEX sessions_age ON sessions (issued_at);

CREATE TABLE floors (
    scope text NOT NULL,
    id    uuid NOT NULL,
    floor bigint NOT NULL,
    PRIMARY KEY (scope, id)
);

CREATE TABLE policies (
    account_id   uuid NOT NULL,
    effective_at timestamptz NOT NULL,
    max_age      int NOT NULL,
    PRIMARY KEY (account_id, effective_at)
);

CREATE TABLE revocations (
    login_id   uuid PRIMARY KEY,
    revoked_at timestamptz NOT NULL DEFAULT now()
);

-- Accounts about which the gateway said something that this version does not understand.
CREATE TABLE stopped_accounts (
    account_id uuid PRIMARY KEY,
    event_type text NOT NULL
);

CREATE TABLE offsets (
    cluster_id  text NOT NULL,
    topic       text NOT NULL,
    partition   int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (cluster_id, topic, partition)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, floors, policies, revocations, stopped_accounts, offsets TO {role};
