-- What the account console lists, page by page: an account's users in order, those without a second factor, its audit.
CREATE INDEX users_account ON users (account_id, user_id);
CREATE INDEX users_outside ON users (account_id, kind, user_id) WHERE NOT (sms_on OR email_on OR disabled);
CREATE INDEX audit_subject ON audit (account_id, subject, id);
CREATE INDEX audit_who ON audit (account_id, who, id);
CREATE INDEX audit_action ON audit (account_id, action, id);
