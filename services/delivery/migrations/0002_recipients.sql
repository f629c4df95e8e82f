-- A keyed hash of the recipient: replays count in what a phone or mailbox may get.
ALTER TABLE deliveries ADD COLUMN recipient bytea;
CREATE INDEX deliveries_recipient ON deliveries (recipient, created_at);
