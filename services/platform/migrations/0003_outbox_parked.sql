-- Parked events are few among what may be millions that wait: who counts them reads only these.
CREATE INDEX outbox_parked ON outbox (seq) WHERE parked IS NOT NULL;
