"""A flood of fed logins by both roads, while each process of the system is killed once; also a row of `make bench`."""
