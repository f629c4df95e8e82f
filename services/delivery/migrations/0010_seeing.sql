-- What an operator looks for first. Only rows that failed stand in it: what went well pays nothing for it.
CREATE INDEX deliveries_trouble ON deliveries (state, created_at DESC, id DESC)
    WHERE state IN ('failed', 'undelivered', 'unknown', 'expired');

-- The newest of a user, in the order of the list.
DROP INDEX deliveries_user;
CREATE INDEX deliveries_user ON deliveries (user_id, created_at DESC, id DESC);
