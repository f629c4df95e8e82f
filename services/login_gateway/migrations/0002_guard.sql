-- Every user has a guard from the start, whoever made the user.

CREATE FUNCTION guard_new_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO user_guard (user_id) VALUES (NEW.user_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER guard_new_user AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION guard_new_user();

INSERT INTO user_guard (user_id) SELECT user_id FROM users ON CONFLICT DO NOTHING;
