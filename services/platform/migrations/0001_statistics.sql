-- No query asks for these by their value: the planner's statistics need no copies of them.
ALTER TABLE outbox ALTER COLUMN value SET STATISTICS 0, ALTER COLUMN headers SET STATISTICS 0;
ALTER TABLE clients ALTER COLUMN secret_hash SET STATISTICS 0;
