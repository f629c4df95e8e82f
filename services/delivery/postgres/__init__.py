"""The ledger in Postgres: SQL stands here and nowhere else in delivery."""
