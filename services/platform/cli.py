"""How `gatepost` commands reach a running system: the saved sign-in, one call helper, one way to print."""

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from services.platform.clock import to_the_second
from services.platform.environment import BadSettings

HOME: Final = "GATEPOST_HOME"
CLIENT_FILE: Final = "GATEPOST_CLIENT_FILE"
PORTS: Final = {"gateway": 8080, "delivery": 8081, "session_store": 8082}
WIDEST: Final = 1000


class Refused(Exception):
    """The service answered with a problem document; the text is what to show."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        field = f" [{problem['field']}]" if problem.get("field") else ""
        super().__init__(f"{problem.get('detail', 'The call failed.')}{field} ({status} {problem.get('type', '')})")
        self.status = status
        self.name = str(problem.get("type", "")).removeprefix("urn:gatepost:")
        self.more = problem


class Away(Exception):
    """Nobody answers; the text says where."""


class Saved(msgspec.Struct):
    """What `gatepost login` keeps (0600): where, and with what."""

    gateway: str
    delivery: str
    session_store: str
    authorization: str = ""
    username: str = ""

    def __repr__(self) -> str:
        return f"Saved({self.gateway})"


def home() -> Path:
    return Path(os.environ.get(HOME, Path.home() / ".config" / "gatepost"))


def save(saved: Saved) -> None:
    home().mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home() / "login.json"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(msgspec.json.encode(saved))


def saved() -> Saved:
    """A client from GATEPOST_CLIENT_FILE with the URLs of the environment, or the saved sign-in."""
    found = from_environment() or kept()
    if found is None:
        fail(
            "Not signed in. Run `gatepost login`, or set GATEPOST_CLIENT_FILE (and GATEPOST_GATEWAY_URL). With access"
            " to the gateway's database, GATEPOST_KEYS and GATEPOST_DATABASE (or _FILE) are enough for clients,"
            " accounts and users.",
            code=2,
        )
    return found


def kept() -> Saved | None:
    """What `gatepost login` kept, whatever the environment says."""
    try:
        return msgspec.json.decode((home() / "login.json").read_bytes(), type=Saved)
    except (OSError, msgspec.MsgspecError):
        return None


def forget() -> None:
    (home() / "login.json").unlink(missing_ok=True)


def addresses() -> Saved:
    """Where the services are as far as the environment says, without credentials."""
    return Saved(**{name: _url(f"GATEPOST_{name.upper()}_URL", port) for name, port in PORTS.items()})


def from_environment() -> Saved | None:
    path = os.environ.get(CLIENT_FILE)
    if not path:
        return None
    found = addresses()
    found.authorization = basic(_pair(Path(path)))
    return found


def _pair(path: Path) -> str:
    try:
        pair = path.read_text().strip()
    except FileNotFoundError:
        raise BadSettings(f"{CLIENT_FILE}: no such file: {path.absolute()}") from None
    except OSError as bad:
        raise BadSettings(f"{CLIENT_FILE}: {path}: {bad.strerror}") from None
    except UnicodeDecodeError:
        pair = ""
    if ":" not in pair or not pair.isprintable():
        raise BadSettings(f"{CLIENT_FILE}: {path}: a line client_id:secret belongs there")
    return pair


def _url(variable: str, port: int) -> str:
    return os.environ.get(variable, f"http://127.0.0.1:{port}").rstrip("/")


def part(text: str) -> str:
    """What somebody typed, as one part of a path: it must not lead to another call."""
    if text.strip() in ("", ".", ".."):
        fail(f"{text!r} names nothing.", code=2)
    return quote(text, safe="")


def hidden(what: str, twice: bool = False) -> str:
    """A secret: typed unseen at a terminal, else the next line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))
    given = _line_of_input(what)
    if twice and _line_of_input(f"{what}, again") != given:
        fail("The two lines differ.")
    return given


def _line_of_input(what: str) -> str:
    line = sys.stdin.readline()
    if not line:
        fail(f"{what}: standard input has ended. Run this at a terminal, or pipe it in as a line.")
    return line.rstrip("\r\n")


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with that exit code."""
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def call(service: str, method: str, path: str, body: object = None, **query: Any) -> Any:
    """One call to `gateway`, `delivery` or `session_store`; a problem document ends the command with exit code 1."""
    return call_as(saved(), service, method, path, body, query)


def call_as(
    who: Saved,
    service: str,
    method: str,
    path: str,
    body: object = None,
    query: dict[str, Any] | None = None,
    form: dict[str, str] | None = None,
) -> Any:
    """The same, as somebody else; `form` is sent instead of a JSON body."""
    try:
        return answer_to(who, service, method, path, body, query, form)
    except Refused as refused:
        fail(str(refused))


def answer_to(
    who: Saved,
    service: str,
    method: str,
    path: str,
    body: object = None,
    query: dict[str, Any] | None = None,
    form: dict[str, str] | None = None,
) -> Any:
    """The same, but a problem document is raised as `Refused`; `Away` when nobody answers."""
    import asyncio

    return asyncio.run(_call(who, service, method, path, body, query or {}, form))


async def _call(
    who: Saved,
    service: str,
    method: str,
    path: str,
    body: object,
    query: dict[str, Any],
    form: dict[str, str] | None,
) -> Any:
    import aiohttp

    given = {name: str(value) for name, value in query.items() if value is not None}
    headers = {"Authorization": who.authorization} if who.authorization else {}
    data: Any = form
    if body is not None:
        headers["Content-Type"], data = "application/json", msgspec.json.encode(body)
    timeout = aiohttp.ClientTimeout(total=30)
    base = getattr(who, service)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, base + path, params=given, data=data, headers=headers) as answer,
        ):
            return read(base, answer.status, await answer.read())
    except (aiohttp.ClientError, TimeoutError) as away:
        raise Away(does_not_answer(base, away)) from None


def account_id(given: str | None) -> str | None:
    """The id of an account that was given by its name or id; only the gateway knows names."""
    if given is None:
        return None
    try:
        return str(UUID(given))
    except ValueError:
        return str(call("gateway", "GET", f"/v1/accounts/{part(given)}")["account_id"])


def does_not_answer(base: str, why: Exception) -> str:
    return f"{base} does not answer ({type(why).__name__}). Is the service running, and the address right?"


def read(base: str, status: int, data: bytes) -> Any:
    """An answer's JSON; raises `Refused` for a problem document, and ends the command for what is not Gatepost's."""
    try:
        content = json.loads(data) if data else {}
    except ValueError:
        fail(f"What answers at {base} is not Gatepost ({status}, and no JSON). Is the address right?")
    if status >= 400:
        raise Refused(status, content if isinstance(content, dict) else {})
    return content


def show(data: Any, as_json: bool, columns: list[str] | None = None) -> None:
    """Print an answer: as JSON, as a table of those columns, or as name and value."""
    if as_json:
        typer.echo(json.dumps(data, indent=1, ensure_ascii=False))
    elif columns is not None:
        _table(data, columns)
    else:
        _lines(data)


def _lines(data: dict[str, Any]) -> None:
    found = list(flat(data))
    wide = max([18, *(len(name) for name, _ in found)])
    for name, value in found:
        typer.echo(f"{name:{wide}} {_cell(value)}".rstrip())


def flat(data: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """What stands inside something is named after it: `two_factor.sms`."""
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _table(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """A row a line; where that is wider than the terminal, a value a line: an id that was cut cannot be copied."""
    table = Table(*(Column(name, no_wrap=True) for name in columns), box=None)
    for row in rows:
        table.add_row(*(to_the_second(_cell(row.get(column))) for column in columns))
    wide, terminal = Console(width=WIDEST, markup=False), Console()
    if not rows:
        typer.echo("none")
    elif not terminal.is_terminal or wide.measure(table).maximum <= terminal.width:
        wide.print(table)
    else:
        for row in rows:
            _lines({column: row.get(column) for column in columns})
            typer.echo()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_cell(one) for one in value)
        case dict():
            return json.dumps(value, ensure_ascii=False) if value else ""
        case _:
            return str(value)
