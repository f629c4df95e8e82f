-- A replay's id is its account's own; `*` is one over all accounts.
ALTER TABLE replays DROP CONSTRAINT replays_pkey;
ALTER TABLE replays ADD PRIMARY KEY (account_id, id);
