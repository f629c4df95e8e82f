"""`gatepost users`."""

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.events import Role
from services.login_gateway.commands_accounts import chosen
from services.login_gateway.commands_clients import AsJson
from services.login_gateway.commands_import import import_file
from services.login_gateway.commands_reach import Api, run
from services.platform import cli

app = typer.Typer(no_args_is_help=True, help="The people and programs of an account.")

Account = Annotated[str | None, typer.Option(help="Name or id; not needed when there is one account.")]
ASKED = "- asks for it, so that no list of processes and no history shows it"
Phone = Annotated[
    str | None, typer.Option(help=f"With country code, like +44 20 7946 0958; an empty text removes it; {ASKED}.")
]
Email = Annotated[str | None, typer.Option(help=f"An empty text removes it; {ASKED}.")]
SmsCodes = Annotated[bool | None, typer.Option("--sms-codes/--no-sms-codes", help="Authentication by SMS.")]
EmailCodes = Annotated[bool | None, typer.Option("--email-codes/--no-email-codes", help="Authentication by e-mail.")]
Sms = Annotated[bool | None, typer.Option("--sms/--no-sms", hidden=True, help="As --sms-codes was called before.")]
RoleOption = Annotated[Role | None, typer.Option(help="admin: of the account; operator: of all deliveries.")]
Name = Annotated[str | None, typer.Option(help="The person's name.")]
Locale = Annotated[str | None, typer.Option(help="Language of messages, like en or pt-BR.")]
COLUMNS = ["user_id", "username", "name", "role", "kind", "phone_masked", "email_masked", "disabled", "locked"]


@app.command("create")
def create(  # noqa: PLR0913, PLR0917 - the options of a command
    username: str,
    account: Account = None,
    admin: Annotated[bool, typer.Option("--admin", help="The same as --role admin.")] = False,
    role: RoleOption = None,
    integration: Annotated[bool, typer.Option("--integration", help="A program, not a person.")] = False,
    name: Name = None,
    phone: Phone = None,
    email: Email = None,
    sms_codes: SmsCodes = None,
    email_codes: EmailCodes = None,
    sms: Sms = None,
    external_id: Annotated[str | None, typer.Option(help="Your own id for this user.")] = None,
    locale: Locale = None,
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="Signs in through a platform only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a user. Without --password-stdin a password is made and shown once."""
    phone, email = _typed("Phone", phone), _typed("E-mail", email)
    password, shown = _password(password_stdin, no_password)
    body = _given(name=name, phone=phone, email=email, external_id=external_id, locale=locale, password=password)
    body |= {"username": username, "role": "admin" if admin else role or "user"}
    body |= {"kind": "integration" if integration else "person"} | _two_factor(_either(sms_codes, sms), email_codes)

    async def action(api: Api) -> Any:
        return await api("POST", f"/v1/accounts/{await chosen(api, account)}/users", body)

    cli.show(run(action) | shown, as_json)


@app.command("import")
def import_users(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or NDJSON (.ndjson, .jsonl, .json).")],
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Import users. A bad line is named and the next one is read; exit code 1 when there was one."""
    if not file.exists():
        raise typer.BadParameter(f"{file}: no such file")
    if file.is_dir():
        raise typer.BadParameter(f"{file}: this is a directory; give a file")
    raise typer.Exit(import_file(file, account, as_json))


@app.command("edit")
def edit(  # noqa: PLR0913, PLR0917 - the options of a command
    user: str,
    account: Account = None,
    username: Annotated[str | None, typer.Option(help="A new username.")] = None,
    role: RoleOption = None,
    name: Name = None,
    phone: Phone = None,
    email: Email = None,
    sms_codes: SmsCodes = None,
    email_codes: EmailCodes = None,
    sms: Sms = None,
    locale: Locale = None,
    disabled: Annotated[bool | None, typer.Option("--disabled/--enabled")] = None,
    force_login: Annotated[bool, typer.Option("--force-login", help="End the user's sessions too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change a user, by username or id. Preferences and contacts end no session unless you say --force-login."""
    phone, email = _typed("Phone", phone), _typed("E-mail", email)
    given = _given(username=username, role=role, name=name, phone=phone, email=email, locale=locale, disabled=disabled)
    body = {key: None if value == "" else value for key, value in given.items()}
    body |= _two_factor(_either(sms_codes, sms), email_codes)
    if force_login:
        body["force_login"] = True
    if not body:
        raise typer.BadParameter("say what to change; see --help")
    cli.show(_about(user, account, "PATCH", "", body), as_json)


@app.command("show")
def show(user: str, account: Account = None, as_json: AsJson = False) -> None:
    """One user, by username or id, contacts included."""
    cli.show(_about(user, account, "GET"), as_json)


@app.command("list")
def listed(
    account: Account = None,
    search: Annotated[str | None, typer.Option(help="Part of a username or name, or a whole contact.")] = None,
    as_json: AsJson = False,
) -> None:
    """The users of an account."""

    async def action(api: Api) -> list[Any]:
        place, people, cursor = await chosen(api, account), [], None
        while True:
            page = await api("GET", f"/v1/accounts/{place}/users", search=search, cursor=cursor, limit=200)
            people += page["users"]
            cursor = page["cursor"]
            if cursor is None:
                return people

    cli.show(run(action), as_json, COLUMNS)


@app.command("unlock")
def unlock(user: str, account: Account = None, as_json: AsJson = False) -> None:
    """Forget the wrong codes and passwords of a user who was locked out."""
    cli.show(_about(user, account, "POST", "/unlock", {}), as_json)


@app.command("password")
def password(
    user: str,
    account: Account = None,
    password_stdin: Annotated[bool, typer.Option(help="Read it from standard input.")] = False,
    password_file: Annotated[Path | None, typer.Option(help="Read it from this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a user a new password, asked for twice unless it is read; their sessions end."""
    body = {"password": _new_password(password_stdin, password_file)}
    cli.show(_about(user, account, "POST", "/password", body), as_json)


@app.command("delete")
def delete(
    user: str,
    account: Account = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a user, by username or id, and end their sessions; says what remains and why. It cannot be undone."""
    if not yes:
        typer.confirm(f"Delete {user} for good?", abort=True, err=True)
    said = _about(user, account, "DELETE")
    if as_json:
        cli.show(said, as_json)
        return
    cli.show({name: value for name, value in said.items() if name != "remains"}, as_json)
    cli.show(said["remains"], as_json, ["what", "days", "why"])


async def found(api: Api, account: str, user: str) -> dict[str, Any]:
    """The user of that id or username."""
    from services.login_gateway.accounts import as_id
    from services.login_gateway.users import fold

    if as_id(user) is not None:
        answer: dict[str, Any] = await api("GET", f"/v1/accounts/{account}/users/{cli.part(user)}")
        return answer
    cursor = None
    while True:
        page = await api("GET", f"/v1/accounts/{account}/users", search=user, cursor=cursor, limit=200)
        for person in page["users"]:
            if fold(person["username"]) == fold(user):
                return dict(person)
        cursor = page["cursor"]
        if cursor is None:
            cli.fail("There is no user of that name in this account.")


def _about(user: str, account: str | None, method: str, path: str = "", body: object = None) -> Any:
    async def action(api: Api) -> Any:
        place = await chosen(api, account)
        known = await found(api, place, user)
        return await api(method, f"/v1/accounts/{place}/users/{known['user_id']}{path}", body)

    return run(action)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _typed(label: str, given: str | None) -> str | None:
    return str(typer.prompt(label, err=True)) if given == "-" else given


def _either(now: bool | None, before: bool | None) -> bool | None:
    """The option by its name of now, else by the one before."""
    return before if now is None else now


def _two_factor(sms: bool | None, email_codes: bool | None) -> dict[str, Any]:
    chosen_factors = _given(sms=sms, email=email_codes)
    return {"two_factor": chosen_factors} if chosen_factors else {}


def _new_password(from_stdin: bool, file: Path | None) -> str:
    """Never an argument: those stand in process lists and histories."""
    if from_stdin and file is not None:
        raise typer.BadParameter("give --password-stdin or --password-file, not both")
    if from_stdin:
        return _line(sys.stdin.readline())
    if file is None:
        return cli.hidden("New password", twice=True)
    try:
        return _line(file.read_text())
    except (OSError, UnicodeDecodeError) as bad:
        raise typer.BadParameter(f"{file}: {getattr(bad, 'strerror', None) or 'not text'}") from None


def _line(text: str) -> str:
    return text.rstrip("\r\n")


def _password(from_stdin: bool, without: bool) -> tuple[str | None, dict[str, str]]:
    """The password to set, and what to show of it."""
    if without:
        return None, {}
    if from_stdin:
        return _line(sys.stdin.readline()), {}
    made = secrets.token_urlsafe(15)
    return made, {"password": made}
