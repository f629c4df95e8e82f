-- Users whose sessions go, not only end: they hold claims and the name of a device.
CREATE TABLE erasures (
    account_id uuid        NOT NULL,
    user_id    uuid        PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    due_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erasures_due ON erasures (due_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON erasures TO {role};
