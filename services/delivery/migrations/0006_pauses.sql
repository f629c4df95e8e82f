-- A pause is of an account, a channel, a country, a provider, or of several at once; `*` is any.
ALTER TABLE pauses DROP CONSTRAINT pauses_pkey;
ALTER TABLE pauses ADD COLUMN channel text NOT NULL DEFAULT '*' CHECK (channel IN ('*', 'sms', 'email')),
    ADD COLUMN country text NOT NULL DEFAULT '*' CHECK (country ~ '^(\*|[A-Z0-9]{2,3})$'),
    ADD COLUMN provider text NOT NULL DEFAULT '*',
    ADD PRIMARY KEY (account_id, channel, country, provider);

-- When a row that waits is due: now, or, while operators hold it back, when its code is dead.
CREATE FUNCTION due(account_id uuid, channel text, country text, expires_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM pauses p WHERE p.provider = '*' AND p.account_id IN ('*', due.account_id::text)
            AND p.channel IN ('*', due.channel) AND p.country IN ('*', coalesce(due.country, ''))
    ) THEN due.expires_at ELSE now() END
$$;
GRANT EXECUTE ON FUNCTION due TO {role};
-- What waits under a pause from before.
UPDATE deliveries d SET due_at = due(account_id, channel, country, expires_at) WHERE state = 'queued';
