"""How `gatepost` commands reach a running system: the saved sign-in, one call helper, one way to print."""

import base64
import json
import os
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table

HOME: Final = "GATEPOST_HOME"
WIDEST: Final = 1000


class Refused(Exception):
    """The service answered with a problem document; the text is what to show."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Saved(msgspec.Struct):
    """What `gatepost login` keeps (0600): where, and with what."""

    gateway: str
    delivery: str
    session_store: str
    authorization: str = ""

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
    """The saved sign-in, or a client from GATEPOST_CLIENT_FILE with the URLs of the environment."""
    found = _from_environment()
    if found is not None:
        return found
    try:
        return msgspec.json.decode((home() / "login.json").read_bytes(), type=Saved)
    except (OSError, msgspec.MsgspecError):
        fail("Not signed in. Run `gatepost login`, or set GATEPOST_CLIENT_FILE and GATEPOST_GATEWAY_URL.", code=2)


def forget() -> bool:
    path = home() / "login.json"
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def _from_environment() -> Saved | None:
    path = os.environ.get("GATEPOST_CLIENT_FILE")
    if not path:
        return None
    pair = Path(path).read_text().strip()
    return Saved(
        gateway=os.environ.get("GATEPOST_GATEWAY_URL", "http://127.0.0.1:8080"),
        delivery=os.environ.get("GATEPOST_DELIVERY_URL", "http://127.0.0.1:8081"),
        session_store=os.environ.get("GATEPOST_SESSION_STORE_URL", "http://127.0.0.1:8082"),
        authorization=basic(pair),
    )


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with that exit code."""
    Console(stderr=True).print(message, style="red", markup=False)
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
    """The same, but a problem document is raised as `Refused`."""
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
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, getattr(who, service) + path, params=given, data=data, headers=headers) as answer,
        ):
            return _read(answer.status, await answer.read())
    except (aiohttp.ClientError, TimeoutError) as away:
        fail(f"{getattr(who, service)} does not answer ({type(away).__name__}). Is the service running?")


def _read(status: int, data: bytes) -> Any:
    content = json.loads(data) if data else {}
    if status >= 400:
        raise Refused(status, f"{content.get('detail', 'The call failed.')} ({status} {content.get('type', '')})")
    return content


def show(data: Any, as_json: bool, columns: list[str] | None = None) -> None:
    """Print an answer: as JSON, as a table of those columns, or as name and value."""
    if as_json:
        typer.echo(json.dumps(data, indent=1, ensure_ascii=False))
    elif columns is not None:
        _table(data, columns)
    else:
        for name, value in data.items():
            typer.echo(f"{name:18} {value if not isinstance(value, dict | list) else json.dumps(value)}")


def _table(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """As wide as it needs to be: an id that was cut short cannot be copied."""
    table = Table(box=None)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    Console(width=WIDEST, markup=False).print(table)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
