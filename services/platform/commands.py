"""`gatepost keys` and `gatepost topics`."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from services.platform import acls
from services.platform.cli import fail
from services.platform.keys import files
from services.platform.keys.keyring import KeyringError, read_ring

if TYPE_CHECKING:
    from services.platform.kafka import Connection
    from services.platform.topics_check import Finding

keys = typer.Typer(no_args_is_help=True, help="Keyring files: make, rotate, list.")
topics = typer.Typer(no_args_is_help=True, help="Kafka topics: create, check, rights, publish.")

Folder = Annotated[Path, typer.Option("--dir", help="Folder with one folder for each service.")]


@keys.command("new")
def new(folder: Folder) -> None:
    """Make the first key of every purpose, each service's rings in a folder of its own. Existing files stay."""
    made = files.make_keys(folder)
    typer.echo(f"{len(made)} keyrings made in {folder}" if made else f"the keyrings in {folder} are complete")


@keys.command("list")
def show(folder: Folder, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Key ids and states by service and purpose; never a secret."""
    found = {s: {p: _states(folder / s / f"{p}.json") for p in files.purposes_of(s)} for s in files.SERVICES}
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for service, purposes in found.items():
        for purpose, states in purposes.items():
            typer.echo(f"{service:14} {purpose:18} " + ", ".join(f"{i}: {s}" for i, s in states.items()))


@keys.command("rotate")
def rotate(purpose: str, folder: Folder) -> None:
    """Distribute a new key. Once every service's /readyz reports it, run `gatepost keys activate`."""
    _rotates_by_hand(purpose)
    key_id = files.add_key(folder, purpose)
    typer.echo(
        f"key {key_id} of {purpose} is distributed; copy the files to the services, look at their /readyz, then:"
    )
    typer.echo(f"  gatepost keys activate {purpose} {key_id} --dir {folder}")


@keys.command("activate")
def activate(purpose: str, key_id: int, folder: Folder) -> None:
    """Make a distributed key the one that new things are made with."""
    present = {k["id"] for k in read_ring(folder / files.HOLDERS[purpose][0] / f"{purpose}.json")["keys"]}
    if key_id not in present:
        raise KeyringError(f"{purpose}: there is no key {key_id}; run `gatepost keys list --dir {folder}`")
    files.activate(folder, purpose, key_id)
    typer.echo(f"key {key_id} of {purpose} is active")


ENDS: Final = {
    "login": "logins under way",
    "session": "the sessions whose tokens name it",
    "mint": "repeated answers of verifications that name it",
    "grants": "events and clients signed with it that were not applied yet",
    "web": "sign-in pages under way",
    "receipts": "receipts of messages that are on their way",
    "contacts": "EVERY CONTACT THAT IS SEALED WITH IT: they can be read by nobody any more",
    "search": "the finding of contacts, and counts, made with it",
    "dead-letters": "the dead letters that were sealed for it",
}


@keys.command("revoke")
def revoke(
    purpose: str, key_id: int, folder: Folder, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Take a leaked key out of every keyring: what names it ends at once."""
    _rotates_by_hand(purpose)
    typer.echo(f"this ends {ENDS[purpose]}")
    if not yes:
        typer.confirm("revoke it?", abort=True)
    files.revoke(folder, purpose, key_id)
    typer.echo(f"key {key_id} of {purpose} is revoked; copy the files to the services")


def _rotates_by_hand(purpose: str) -> None:
    if purpose not in ENDS:
        raise typer.BadParameter(f"one of {', '.join(ENDS)} (the code key rotates daily by itself)")


def _states(path: Path) -> dict[int, str]:
    return {key["id"]: key["state"] for key in read_ring(path)["keys"]}


@topics.command("create")
def create(
    partitions: Annotated[int, typer.Option(help="For every topic but `clients`.", min=1)] = 12,
    replication: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Create the topics of the contract that the cluster does not have yet. Needs GATEPOST_KAFKA."""
    from services.platform.topics import create_topics

    made = asyncio.run(create_topics(_connection(), partitions, replication))
    typer.echo("created " + ", ".join(made) if made else "all topics exist")


Principals = Annotated[
    list[str] | None,
    typer.Option(help="Who somebody is to Kafka, like gateway=User:CN=gateway,O=Example; may be repeated."),
]


@topics.command("check")
def check(
    principal: Principals = None,
    who: Annotated[
        str | None, typer.Option("--as", help="Only what this service may do, by the rights of who asks.")
    ] = None,
    partitions: Annotated[int, typer.Option(help="For every topic but `clients`.", min=1)] = 12,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """What of the cluster is not as the code needs it, and the commands that mend it. Exit 1 if anything is wrong, 2 if
    Kafka could not be asked. Needs GATEPOST_KAFKA and, for the rights of all, an administrator of Kafka.
    """
    from services.platform.topics_check import SERVICES

    names = _principals(principal)
    if who is not None and who not in SERVICES:
        raise typer.BadParameter(f"{who}: one of {', '.join(SERVICES)}")
    found = asyncio.run(_found(who, names, partitions))
    wrong = any(each.level == "wrong" for each in found)
    if as_json:
        typer.echo(msgspec.json.encode({"ok": not wrong, "findings": found}))
    elif not found:
        typer.echo("all topics are as they are meant")
    else:
        typer.echo("# KAFKA is a broker of the cluster, ADMIN a properties file of somebody who may alter it")
        for each in found:
            typer.echo(f"{each.level:5}  {each.about}  {each.says}")
            for line in each.mend:
                typer.echo(f"       {line}")
    raise typer.Exit(1 if wrong else 0)


async def _found(who: str | None, names: dict[str, str], partitions: int) -> "list[Finding]":
    from aiokafka.errors import KafkaError

    from schemas.topics import GROUPS, TOPICS
    from services.platform import cluster
    from services.platform.topics_check import judged, of_own

    connection = _connection()
    try:
        if who is not None:
            return of_own(who, await cluster.own(connection, GROUPS[who]), names.get(who, f"User:{who}"))
        found = await cluster.cluster(connection, [topic.name for topic in TOPICS])
        return judged(found, partitions, names)
    except (KafkaError, OSError, TimeoutError) as away:
        fail(f"Kafka does not answer ({type(away).__name__}). Does it run at the address in GATEPOST_KAFKA?", code=2)


@topics.command("rights")
def rights(
    principal: Principals = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """What each principal may write and read, as lines for kafka-acls.sh; nobody needs more."""
    from schemas.topics import rights as of_table

    known, named = of_table(), _principals(principal)
    if as_json:
        typer.echo(json.dumps({who: {what: sorted(of) for what, of in may.items()} for who, may in known.items()}))
        return
    typer.echo("# KAFKA is a broker of the cluster, ADMIN a properties file of somebody who may alter its ACLs")
    for who, may in known.items():
        for line in acls.lines(who, named.get(who, f"User:{who}"), may):
            typer.echo(line)


@topics.command("publish")
def publish(file: Path) -> None:
    """Write a record that `gatepost dead-letters export` kept, byte for byte. Needs GATEPOST_KAFKA and the rights of
    who writes its topic.
    """
    from services.platform.topics import Exported, publish_again

    try:
        record = msgspec.json.decode(file.read_bytes(), type=Exported)
    except msgspec.DecodeError:
        fail(f"{file} is no exported record.", code=2)
    asyncio.run(publish_again(_connection(), record))
    typer.echo(f"published to {record.topic}")


def _principals(given: list[str] | None) -> dict[str, str]:
    from schemas.topics import rights as of_table

    named = dict(_pair(each) for each in given or [])
    if unknown := named.keys() - of_table().keys():
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: one of {', '.join(of_table())}")
    return named


def _pair(text: str) -> tuple[str, str]:
    name, _, principal = text.partition("=")
    if ":" not in principal:
        raise typer.BadParameter(f"{text}: write it as gateway=User:…")
    return name, principal


def _connection() -> "Connection":
    from services.platform.kafka import Connection
    from services.platform.settings import KafkaSettings, parsed

    return Connection.of(parsed(KafkaSettings))
