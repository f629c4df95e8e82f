-- What every service's database has: the outbox, the clients it may check, the audit.

CREATE TABLE outbox (
    id       uuid PRIMARY KEY,
    seq      bigint GENERATED ALWAYS AS IDENTITY,
    topic    text NOT NULL,
    key      bytea NOT NULL,
    value    bytea NOT NULL,
    headers  jsonb NOT NULL DEFAULT '{}',
    due_at   timestamptz NOT NULL DEFAULT now() + interval '5 seconds',
    tries    int NOT NULL DEFAULT 0,
    parked   text
);
CREATE INDEX outbox_due ON outbox (due_at, seq) WHERE parked IS NULL;

CREATE TABLE clients (
    client_id   text PRIMARY KEY,
    secret_hash bytea NOT NULL,
    account     text NOT NULL,
    scopes      text[] NOT NULL,
    enabled     boolean NOT NULL,
    revision    bigint NOT NULL,
    name        text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    who        text NOT NULL,
    action     text NOT NULL,
    account_id uuid,
    subject    text NOT NULL,
    details    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_account ON audit (account_id, id);

GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT ON migrations TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox, clients TO {role};
GRANT SELECT, INSERT ON audit TO {role};
