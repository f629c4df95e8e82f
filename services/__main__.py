"""`gatepost`: the product's command. Each service mounts its own."""

import asyncio
import sys
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any, Final

import structlog
import typer
from rich.console import Console
from typer.main import get_command

from services import VERSION
from services.platform import log
from services.platform.failures import explained


class Service(StrEnum):
    GATEWAY = "gateway"
    DELIVERY = "delivery"
    SESSION_STORE = "session-store"


PACKAGES = {
    Service.GATEWAY: "services.login_gateway",
    Service.DELIVERY: "services.delivery",
    Service.SESSION_STORE: "services.session_store",
}
GATEWAY, DELIVERY, STORE = PACKAGES.values()
OWNERS: Final = {
    **dict.fromkeys(("serve", "migrate", "--version", "login", "logout", "whoami", "keys", "topics", "audit"), ()),
    **dict.fromkeys(("clients", "accounts", "users"), (GATEWAY,)),
    **dict.fromkeys(("sessions", "recover"), (GATEWAY, STORE)),
    **dict.fromkeys(("deliveries", "replays", "dead-letters", "providers", "wordings", "guard"), (DELIVERY,)),
    **dict.fromkeys(("watch", "doctor", "probe"), (DELIVERY,)),
}
"""Whose commands are imported for a first word. A service is not kept waiting by the commands of all three."""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Two-factor login built from events.")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"gatepost {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


SETTINGS = {
    Service.GATEWAY: "GatewaySettings",
    Service.DELIVERY: "DeliverySettings",
    Service.SESSION_STORE: "SessionStoreSettings",
}


@app.command()
def serve(
    service: Service,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, envvar="GATEPOST_WORKERS", help="Processes that share the port; SIGHUP renews them."
        ),
    ] = None,
) -> None:
    """Run one service until SIGTERM."""
    from services.platform.work import loading

    with loading():
        from services.platform.settings import worker_number
    if workers is not None and worker_number() is None:
        raise typer.Exit(_supervised(service, workers))
    try:
        with loading():
            module = import_module(f"{PACKAGES[service]}.__main__")
        module.main()
    except Exception as error:
        structlog.get_logger().error("service_ended", exc_info=error)
        raise


def _supervised(service: Service, workers: int) -> int:
    from services.platform.settings import load_or_exit
    from services.platform.supervisor import supervise

    log.configure(service)
    kind = getattr(import_module(f"{PACKAGES[service]}.settings"), SETTINGS[service])
    return asyncio.run(supervise(load_or_exit(kind), workers))


@app.command()
def migrate(
    service: Service,
    check: Annotated[bool, typer.Option(help="Only say what is missing; exit 1 if anything is.")] = False,
) -> None:
    """Bring a service's database up to date. Needs GATEPOST_DATABASE (or _FILE) with the owner's rights."""
    from services.platform import migrate as migrations
    from services.platform.environment import secret_of

    dsn = secret_of("DATABASE")
    if check:
        missing = asyncio.run(migrations.pending(dsn, service))
        typer.echo("\n".join(missing) or "up to date")
        raise typer.Exit(1 if missing else 0)
    for name in asyncio.run(migrations.apply(dsn, service)):
        typer.echo(f"applied {name}")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 could not be done, 2 wrong use or settings."""
    log.of_command()
    mount(app, sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        _plain_flags(get_command(app))(prog_name="gatepost")
    except Exception as error:
        known = explained(error)
        if known is None:
            raise
        Console(stderr=True).print(known[0], style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(known[1])


def _plain_flags(command: Any) -> Any:
    """Help shows a flag without a type: it takes no value."""
    for parameter in command.params:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    for below in getattr(command, "commands", {}).values():
        _plain_flags(below)
    return command


def mount(root: typer.Typer, word: str = "") -> None:
    """The commands that may be meant by a first word; all of them where it is none."""
    if word in ("serve", "migrate", "--version"):
        return
    from services.platform import commands, commands_audit, commands_signin

    for command in (commands_signin.login, commands_signin.logout, commands_signin.whoami):
        root.command()(command)
    root.add_typer(commands.keys, name="keys")
    root.add_typer(commands.topics, name="topics")
    root.add_typer(commands_audit.audit, name="audit")
    for package in OWNERS.get(word, PACKAGES.values()):
        _mount_groups(root, import_module(f"{package}.commands"))


def _mount_groups(root: typer.Typer, module: Any) -> None:
    """Two services may have commands of one group: `gatepost sessions` is the gateway's and the store's."""
    for name, group in module.GROUPS.items():
        known = next((each.typer_instance for each in root.registered_groups if each.name == name), None)
        if known is not None:
            known.registered_commands.extend(group.registered_commands)
        else:
            root.add_typer(group, name=name)
    for name, command in getattr(module, "COMMANDS", {}).items():
        root.command(name)(command)


if __name__ == "__main__":
    main()
