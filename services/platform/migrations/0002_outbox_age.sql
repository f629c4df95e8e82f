-- How long an event has waited for Kafka.
ALTER TABLE outbox ADD COLUMN made_at timestamptz NOT NULL DEFAULT now();
