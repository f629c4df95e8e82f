"""A platform that feeds logins: it did the password step, and hands them over, by HTTP or by Kafka.

    GATEPOST_URL=… GATEPOST_CLIENT=client_id:secret python examples/feed_logins.py --user external-id --count 10000
    KAFKA=… GATEPOST_CLIENT=… python examples/feed_logins.py --by topic --account its-id --user external-id

Prints how many were opened (by the topic: written), at what rate, and why others were refused. Each line of `--users
FILE` is an external id.
"""

import argparse
import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gatepost_client import FedLogin, FedUser, Gatepost, GatepostError, Refused
from gatepost_client.feed_topic import TopicFeed


def logins(users: list[str], count: int, run: str) -> Iterator[FedLogin]:
    """One at a time, made when it is asked for: `authenticated_at` is the moment of the password step."""
    for number in range(count):
        user = FedUser(external_id=users[number % len(users)])
        yield FedLogin(reference=f"{run}-{number}", user=user, authenticated_at=datetime.now(UTC))


async def by_http(client: tuple[str, str], given: Iterator[FedLogin]) -> Counter[str]:
    """The same `run` again opens nothing twice: a reference is the idempotency key."""
    became: Counter[str] = Counter()
    async with Gatepost(os.environ["GATEPOST_URL"], client=client, patience=60) as gatepost:
        async for fed in gatepost.feed.send(given, batch=100, at_once=2):
            outcome = fed.outcome
            became[f"refused: {outcome.reason}" if isinstance(outcome, Refused) else type(outcome).__name__] += 1
    return became


async def by_topic(client: tuple[str, str], account: str, given: Iterator[FedLogin]) -> Counter[str]:
    """What becomes of a record is told elsewhere: `gatepost.feed.state`, the topic `login-outcomes`."""
    became: Counter[str] = Counter()
    async with TopicFeed(client, account, bootstrap_servers=os.environ["KAFKA"]) as feed:
        async for one in feed.send(given):
            became[f"refused: {one.reason}" if isinstance(one, Refused) else type(one).__name__] += 1
    return became


async def main() -> None:
    options = arguments()
    users = [options.user] if options.user else options.users.read_text().split()
    client_id, _, secret = os.environ["GATEPOST_CLIENT"].partition(":")
    client, given = (client_id, secret), logins(users, options.count, options.run)
    begun = time.perf_counter()
    try:
        became = await (by_http(client, given) if options.by == "http" else by_topic(client, options.account, given))
    except GatepostError as error:
        raise SystemExit(f"feed_logins: {error}") from None
    spent = time.perf_counter() - begun
    for outcome, number in became.most_common():
        print(f"{outcome}\t{number}")
    print(f"answered\t{became.total()}\tin {spent:.1f} s, {became.total() / spent:.0f}/s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Feed logins to Gatepost.")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="an external id")
    who.add_argument("--users", type=Path, help="a file of external ids")
    parser.add_argument("--by", choices=("http", "topic"), default="http")
    parser.add_argument("--account", help="the account's id, with --by topic")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--run", default=f"run{time.time_ns():x}x", help="begins every reference")
    options = parser.parse_args()
    if options.by == "topic" and options.account is None:
        parser.error("--by topic needs --account")
    needs = ("GATEPOST_URL" if options.by == "http" else "KAFKA", "GATEPOST_CLIENT")
    if missing := [name for name in needs if not os.environ.get(name)]:
        parser.error(f"set {' and '.join(missing)} in the environment, as the first lines of this file show")
    return options


if __name__ == "__main__":
    asyncio.run(main())
