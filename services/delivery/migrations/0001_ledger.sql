-- One row per login, upserted by whichever event comes first; ingest, claim, fallback and replay read it.
CREATE TABLE logins (
    login_id      uuid PRIMARY KEY,
    account_id    uuid,
    user_id       uuid,
    account_epoch bigint,
    user_epoch    bigint,
    expires_at    timestamptz,
    closed_why    text,
    closed_at     timestamptz
);
CREATE INDEX logins_expiry ON logins (expires_at);

-- Epochs below the floor are dead: one row however many logins that ends.
CREATE TABLE floors (
    scope text   NOT NULL CHECK (scope IN ('user', 'account')),
    id    uuid   NOT NULL,
    floor bigint NOT NULL,
    PRIMARY KEY (scope, id)
);

CREATE VIEW login_states AS
SELECT l.*,
       coalesce(l.closed_why,
                CASE WHEN l.account_epoch < a.floor OR l.user_epoch < u.floor THEN 'sessions-expired' END) AS why
FROM logins l
LEFT JOIN floors a ON a.scope = 'account' AND a.id = l.account_id
LEFT JOIN floors u ON u.scope = 'user' AND u.id = l.user_id;

-- The ledger. `sealed` opens only with the event name, cause and expiry that stand beside it.
CREATE TABLE deliveries (
    id            uuid PRIMARY KEY,
    login_id      uuid        NOT NULL REFERENCES logins,
    channel       text        NOT NULL CHECK (channel IN ('sms', 'email')),
    cause         text        NOT NULL,
    account_id    uuid        NOT NULL,
    user_id       uuid        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'delivered', 'undelivered',
                                                        'unknown', 'failed', 'expired', 'cancelled')),
    reason        text,
    provider      text,
    provider_ref  text,
    due_at        timestamptz,
    lease         uuid,
    tries         int         NOT NULL DEFAULT 0,
    doubtful      int         NOT NULL DEFAULT 0,
    sealed        text        NOT NULL,
    sealed_event  text        NOT NULL,
    sealed_cause  text        NOT NULL,
    masked        text        NOT NULL,
    masked_email  text,
    country       text,
    locale        text,
    origin        text,
    code_key_id   int         NOT NULL,
    digits        int         NOT NULL,
    begun_at      timestamptz NOT NULL,
    challenged_at timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (login_id, channel, cause)
);
CREATE INDEX deliveries_queue ON deliveries (account_id, due_at) WHERE state = 'queued';
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL AND state <> 'queued';
CREATE INDEX deliveries_account ON deliveries (account_id, created_at DESC, id DESC);
CREATE INDEX deliveries_newest ON deliveries (created_at DESC, id DESC);
CREATE INDEX deliveries_user ON deliveries (user_id, created_at);

-- Append-only: the timeline.
CREATE TABLE delivery_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    login_id    uuid        NOT NULL,
    delivery_id uuid,
    account_id  uuid,
    what        text        NOT NULL,
    channel     text,
    cause       text,
    provider    text,
    reason      text,
    ms          int,
    cost        numeric
);
CREATE INDEX delivery_log_login ON delivery_log (login_id, id);

CREATE TABLE pauses (
    account_id text PRIMARY KEY,
    by         text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE providers (
    name       text PRIMARY KEY,
    channel    text        NOT NULL CHECK (channel IN ('sms', 'email')),
    enabled    boolean     NOT NULL DEFAULT true,
    weight     int         NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000),
    position   int         NOT NULL DEFAULT 0,
    slots      int         NOT NULL DEFAULT 64 CHECK (slots BETWEEN 1 AND 1024),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE replays (
    id         text PRIMARY KEY,
    account_id text        NOT NULL,
    by         text        NOT NULL,
    filter     jsonb       NOT NULL,
    counts     jsonb       NOT NULL,
    at         timestamptz NOT NULL DEFAULT now()
);

-- The bytes stay sealed; topic, position and reason are what an operator sees.
CREATE TABLE dead_letters (
    id          uuid PRIMARY KEY,
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    "offset"    bigint      NOT NULL,
    reason      text        NOT NULL,
    service     text,
    key         bytea,
    sealed      bytea       NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz
);
CREATE INDEX dead_letters_newest ON dead_letters (at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON logins, floors, deliveries, pauses, providers, replays, dead_letters
    TO {role};
GRANT SELECT ON login_states TO {role};
GRANT SELECT, INSERT ON delivery_log TO {role};
