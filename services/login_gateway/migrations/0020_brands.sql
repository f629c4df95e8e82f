-- What an account's sign-in pages look like: a name, a colour, a logo. Everybody who opens them sees it.
CREATE TABLE brands (
    account_id uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    name       text,
    colour     text,
    logo_kind  text,
    logo       bytea,
    CHECK ((logo_kind IS NULL) = (logo IS NULL))
);
GRANT SELECT, INSERT, UPDATE, DELETE ON brands TO {role};
