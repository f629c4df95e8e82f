-- Revocations by age (recent ones for a reader's start, old ones to purge), sessions of an account by time of sign-in.

CREATE INDEX revocations_age ON revocations (revoked_at);
CREATE INDEX sessions_account ON sessions (account_id, login_id);
