-- What happened in each minute, for the charts: added up from the log afterwards, so that a message pays nothing for it.
-- `bucket` says how long a call took: up to 1.25^bucket milliseconds; 0: nobody was called.
CREATE TABLE delivery_minutes (
    minute   timestamptz NOT NULL,
    channel  text        NOT NULL,
    provider text        NOT NULL,
    what     text        NOT NULL CHECK (what IN ('made', 'taken', 'refused', 'wrong_number', 'arrived', 'not_arrived',
                                                  'no_receipt', 'lost')),
    bucket   smallint    NOT NULL,
    many     bigint      NOT NULL,
    PRIMARY KEY (minute, channel, provider, what, bucket)
) WITH (fillfactor = 70);

-- How far the log was added up: one row. A log from before begins a day ago.
CREATE TABLE delivery_minutes_place (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    last_id bigint  NOT NULL
);
INSERT INTO delivery_minutes_place (last_id)
SELECT coalesce((SELECT min(id) - 1 FROM delivery_log WHERE at > now() - interval '1 day'), max(id), 0) FROM delivery_log;

GRANT SELECT, INSERT, UPDATE, DELETE ON delivery_minutes TO {role};
GRANT SELECT, UPDATE ON delivery_minutes_place TO {role};
