"""`gatepost clients | accounts | users | sessions`: with database access, and over HTTP."""

import asyncio
import base64
import json
import os
import re
import secrets
import stat
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from deploy.local.processes import inherited
from services.login_gateway.commands import GROUPS
from tests.commands import typed
from tests.unit.login_gateway.test_brands import svg

ROOT = Path(__file__).parent.parent.parent.parent
CSV = """username,name,phone,email,two_factor_sms,two_factor_email,disabled,claims
ada,"King, Ada",+442079460101,ada@example.com,true,false,no,"{""plan"": ""pro""}"
grace,Grace,12,,yes,,,
linus,Linus,,linus@example.com,perhaps,,,
edsger,Edsger,,edsger@example.com,,true,,
barbara,too,few
ADA,Twice,,,,,,
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


async def process(environ: dict[str, str], *arguments: str) -> Ran:
    """The command as a process of its own."""
    started = await typed(*arguments, environment={**inherited(), **environ})
    out, err = await started.communicate()
    return Ran(started.returncode or 0, out.decode(), err.decode())


async def gatepost(environ: dict[str, str], *arguments: str, given: str = "") -> Ran:
    """The same code in a thread: a process for each of these many calls would take minutes."""
    return await asyncio.to_thread(_run, environ, arguments, given)


def _run(environ: dict[str, str], arguments: tuple[str, ...], given: str) -> Ran:
    app = typer.Typer()
    for name, group in GROUPS.items():
        app.add_typer(group, name=name)
    none = {name: None for name in os.environ if name.startswith("GATEPOST_")}
    result = CliRunner().invoke(app, list(arguments), input=given, env={**none, **environ, "COLUMNS": "200"})
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def over_http(gateway, tmp_path):
    """The environment of somebody with a client and no database access."""
    pair = base64.b64decode(gateway.root["Authorization"].removeprefix("Basic ")).decode()
    (tmp_path / "client").write_text(pair)
    return {"GATEPOST_CLIENT_FILE": str(tmp_path / "client"), "GATEPOST_GATEWAY_URL": gateway.base}


async def test_the_first_client_and_administrator_are_made_with_database_access(environ, gateway, heard, tmp_path):
    file = tmp_path / "operator"
    scopes = [part for scope in ("accounts:write", "operate") for part in ("--scope", scope)]
    made = await process(
        environ, "clients", "create", "--account", "*", *scopes, "--internal", "--out-file", str(file), "--json"
    )
    assert (made.code, made.err) == (0, "")
    assert made.data["scopes"] == ["accounts:write", "internal", "operate"]
    assert "client_secret" not in made.data
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith(f"{made.data['client_id']}:")
    await heard.wait(lambda e: getattr(e, "client_id", "") == made.data["client_id"])

    name = f"t-{secrets.token_hex(6)}"
    assert (await gatepost(environ, "accounts", "create", name)).code == 0
    arguments = ["--account", name, "--admin", "--phone", "+44 20 7946 0104", "--sms-codes", "--json"]
    admin = await gatepost(environ, "users", "create", "root", *arguments)
    assert (admin.data["role"], admin.data["warnings"]) == ("admin", ["no-fallback-email"])
    login = {"account": name, "username": "root", "password": admin.data["password"]}
    assert (await gateway("POST", "/v1/logins", login, who=None)).status == 202


async def test_an_account_is_kept_over_http(over_http):
    name = f"t-{secrets.token_hex(6)}"
    made = await gatepost(over_http, "accounts", "create", name, "--code-digits", "8", "--json")
    assert made.data["settings"]["code_digits"] == 8
    changed = await gatepost(over_http, "accounts", "set", name, "--session-seconds", "7200", "--json")
    assert (changed.data["settings"]["session_seconds"], changed.data["effective"]) == (7200, "now")
    shown = await gatepost(over_http, "accounts", "show", name)
    assert "session_seconds" in shown.out
    assert name in (await gatepost(over_http, "accounts", "list")).out


async def test_an_accounts_sign_in_pages_get_a_name_a_colour_and_a_logo(gateway, account, over_http, tmp_path):
    logo = tmp_path / "bank.svg"
    logo.write_bytes(svg())
    given = ["--name", "Example Bank", "--colour", "#1F3C88", "--logo", str(logo), "--json"]
    made = await gatepost(over_http, "accounts", "brand", account["name"], *given)
    assert made.data == {"name": "Example Bank", "colour": "#1f3c88", "logo": "image/svg+xml"}
    shown = await gateway("GET", f"/v1/accounts/{account['name']}/brand")
    assert base64.b64decode(shown.data["logo"]["data"]) == svg()
    logo.write_bytes(svg("<script/>"))
    refused = await gatepost(over_http, "accounts", "brand", account["name"], "--logo", str(logo))
    assert (refused.code, "shapes, groups and gradients" in refused.err) == (1, True)
    assert (await gateway("GET", f"/v1/accounts/{account['name']}/brand")).data == shown.data


async def test_a_users_life_by_commands(over_http, gateway):
    account = (await gateway.account())["name"]
    where = ["--account", account]
    made = await gatepost(over_http, "users", "create", "ada", *where, "--password-stdin", given="a good long phrase\n")
    assert (made.code, "a good long phrase" in made.out) == (0, False)
    edited = await gatepost(over_http, "users", "edit", "ADA", *where, "--phone", "+442079460101", "--sms", "--json")
    assert (edited.data["phone_masked"], edited.data["two_factor"]["sms"]) == ("+44 •••• ••01", True)
    removed = await gatepost(over_http, "users", "edit", "ada", *where, "--phone", "", "--no-sms-codes", "--json")
    assert removed.data["phone_masked"] is None
    shown = await gatepost(over_http, "users", "show", "ada", *where, "--json")
    assert shown.data["user_id"] == edited.data["user_id"]
    assert "ada" in (await gatepost(over_http, "users", "list", *where)).out
    assert (await gatepost(over_http, "users", "unlock", "ada", *where)).code == 0
    expired = await gatepost(over_http, "sessions", "expire", "ada", *where, "--json")
    assert expired.data == {"effective": "now"}
    everybody = await gatepost(over_http, "sessions", "expire-all", account, "--yes", "--json")
    assert everybody.data == {"effective": "now"}


async def test_contacts_are_asked_for_so_that_no_list_of_processes_shows_them(over_http, gateway):
    where = ["--account", (await gateway.account())["name"], "--phone", "-", "--email", "-", "--json"]
    typed = "+442079460101\nada@example.com\na good long phrase\n"
    made = await gatepost(over_http, "users", "create", "ada", *where, "--password-stdin", given=typed)
    assert made.code == 0, made.err
    created = json.loads(made.out[made.out.index("{") :])  # before it, what the runner shows as typed
    assert (created["phone"], created["email"], created["has_password"]) == ("+442079460101", "ada@example.com", True)
    edited = await gatepost(over_http, "users", "edit", "ada", *where, given="+442079460102\ngrace@example.com\n")
    changed = json.loads(edited.out[edited.out.index("{") :])
    assert (changed["phone"], changed["email"]) == ("+442079460102", "grace@example.com")


@pytest.mark.parametrize("how", ["prompt", "stdin", "file"])
async def test_a_new_password_is_asked_for_or_read_and_never_shown(over_http, gateway, tmp_path, how):
    where = ["--account", (await gateway.account())["name"]]
    phrase = f"another good phrase {how}"
    (tmp_path / "phrase").write_text(phrase + "\n")
    await gatepost(over_http, "users", "create", "ada", *where, "--json")
    given = {"prompt": f"{phrase}\n{phrase}\n", "stdin": f"{phrase}\n", "file": ""}[how]
    options = {"prompt": [], "stdin": ["--password-stdin"], "file": ["--password-file", str(tmp_path / "phrase")]}[how]
    changed = await gatepost(over_http, "users", "password", "ADA", *where, *options, "--json", given=given)
    assert (changed.code, changed.data["username"]) == (0, "ada"), changed.err
    assert phrase not in changed.out + changed.err
    login = {"account": where[1], "username": "ada", "password": phrase}
    assert (await gateway("POST", "/v1/logins", login, who=None)).status == 200


async def test_two_different_passwords_or_a_weak_one_change_nothing(over_http, gateway):
    where = ["--account", (await gateway.account())["name"]]
    made = (await gatepost(over_http, "users", "create", "ada", *where, "--json")).data
    differing = await gatepost(over_http, "users", "password", "ada", *where, given="one good phrase\nanother one\n")
    weak = await gatepost(over_http, "users", "password", "ada", *where, "--password-stdin", given="short\n")
    assert (differing.code, weak.code) == (1, 1)
    assert "bad-password" in weak.err
    login = {"account": where[1], "username": "ada", "password": made["password"]}
    assert (await gateway("POST", "/v1/logins", login, who=None)).status == 200


async def test_a_user_is_deleted_after_a_yes_and_only_then(over_http, gateway):
    where = ["--account", (await gateway.account())["name"]]
    made = (await gatepost(over_http, "users", "create", "ada", *where, "--json")).data
    assert (await gatepost(over_http, "users", "delete", "ada", *where, given="n\n")).code == 1
    assert (await gatepost(over_http, "users", "delete", "ada", *where)).code == 1
    assert (await gatepost(over_http, "users", "delete", "ada", *where, given="y\n")).code == 0
    await gatepost(over_http, "users", "create", "grace", *where)
    gone = await gatepost(over_http, "users", "delete", "grace", *where, "--yes", "--json")
    assert (gone.code, gone.data["deleted"]) == (0, True)
    again = await gatepost(over_http, "users", "delete", made["user_id"], *where, "--yes")
    assert (again.code, "not-found" in again.err) == (1, True)
    login = {"account": where[1], "username": "ada", "password": made["password"]}
    assert (await gateway("POST", "/v1/logins", login, who=None)).status == 401


async def test_the_systems_own_commands_say_what_they_found(environ, stack, tmp_path):
    """What `make up` does in one process, as an operator does it by hand."""
    kafka, keys = {"GATEPOST_KAFKA": stack.kafka}, ["--dir", str(tmp_path / "keys")]
    (tmp_path / "dsn").write_text(stack.dsn("gateway", "gatepost_owner"))
    owner = {"GATEPOST_DATABASE_FILE": str(tmp_path / "dsn")}
    assert (await process(kafka, "topics", "create")).out == "all topics exist\n"
    assert (await process(kafka, "topics", "check")).code == 0
    assert (await process(owner, "migrate", "gateway")).code == 0
    assert (await process(owner, "migrate", "gateway", "--check")).out == "up to date\n"
    made = await process({}, "keys", "new", *keys)
    assert (made.code, "keyrings made" in made.out) == (0, True)
    assert "complete" in (await process({}, "keys", "new", *keys)).out
    assert "active" in (await process({}, "keys", "list", *keys)).out


async def test_both_factors_have_options_of_one_kind_and_the_older_name_is_taken_but_not_shown(over_http):
    for command in ("create", "edit"):
        told = (await gatepost(over_http, "users", command, "--help")).out
        assert all(f"--{factor}-codes" in told for factor in ("sms", "email"))
        assert re.search(r"--(no-)?sms(?!-codes)", told) is None


async def test_a_csv_with_bad_lines_is_imported_and_each_bad_line_is_named(over_http, gateway, tmp_path):
    account = await gateway.account()
    file = tmp_path / "users.csv"
    file.write_text(CSV)
    ran = await gatepost(over_http, "users", "import", str(file), "--account", account["name"])
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["line 3", "line 4", "line 6", "line 7"]
    assert any("line 3" in line and "bad-phone" in line for line in lines)
    assert any("line 4" in line and "two_factor_sms must be true or false" in line for line in lines)
    assert "created            2" in ran.out
    found = await gateway("GET", f"/v1/accounts/{account['name']}/users?search=ada")
    assert (found.data["users"][0]["name"], found.data["users"][0]["claims"]) == ("King, Ada", {"plan": "pro"})


async def test_ndjson_is_imported_with_database_access_and_told_as_json(environ, gateway, tmp_path):
    account = await gateway.account()
    file = tmp_path / "users.ndjson"
    file.write_text('{"username": "ada", "external_id": "e-1"}\n\nnot json\n{"username": "grace"}\n')
    first = await gatepost(environ, "users", "import", str(file), "--account", account["name"], "--json")
    assert (first.code, first.data["created"], first.data["failed"]) == (1, 2, 1)
    assert first.data["failures"][0]["line"] == 3
    again = await gatepost(environ, "users", "import", str(file), "--account", account["name"], "--json")
    assert (again.data["updated"], [bad["line"] for bad in again.data["failures"]]) == (1, [3, 4])


async def test_a_clients_life_by_commands(over_http, gateway):
    account = await gateway.account()
    made = await gatepost(
        over_http, "clients", "create", "--account", account["name"], "--scope", "accounts:write", "--json"
    )
    client_id = made.data["client_id"]
    assert len(made.data["client_secret"]) >= 43
    rotated = await gatepost(over_http, "clients", "rotate", client_id, "--json")
    assert rotated.data["client_secret"] != made.data["client_secret"]
    assert (await gatepost(over_http, "clients", "disable", client_id, "--json")).data["enabled"] is False
    listed = (await gatepost(over_http, "clients", "list", "--json")).data
    assert next(client for client in listed if client["client_id"] == client_id)["enabled"] is False
    internal = await gatepost(over_http, "clients", "create", "--account", "*", "--internal")
    assert (internal.code, "command line" in internal.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["accounts", "show", "no-such-account"], 1, "There is no such account"),
        (["accounts", "create", "Bad Name"], 1, "lower-case"),
        (["accounts", "set", "x"], 2, "say what to change"),
        (["users", "import", "/no/such/file.csv", "--account", "x"], 2, "no such file"),
        (["users", "list"], 2, "say which with --account"),
        (["clients", "create"], 2, "at least one --scope"),
        (["clients", "create", "--scope", "users:read"], 2, "deliveries:read"),
        (["clients", "create", "--scope", "feed", "--out-file", "/no/such/place"], 2, "No such file"),
        (["clients", "disable", ".."], 2, "names nothing"),
        (["clients", "disable", "../accounts"], 1, "There is no such client"),
        (["accounts", "set", "x", "--state", "sleepy"], 2, "suspended"),
        (["users", "create", "x", "--account", "x", "--role", "king"], 2, "operator"),
        (["users", "import", "/", "--account", "x"], 2, "directory"),
        (["users", "frobnicate"], 2, "No such command"),
        (["users", "password", "x", "--password-stdin", "--password-file", "y"], 2, "not both"),
        (["users", "password", "x", "--password-file", "/no/such/file"], 2, "No such file"),
    ],
)
async def test_what_cannot_be_done_says_so_with_its_exit_code(over_http, account, arguments, code, words):
    ran = await gatepost(over_http, *arguments)
    assert ran.code == code, ran
    assert words in ran.err


async def test_a_csv_of_unknown_columns_is_refused_before_anything_is_sent(over_http, tmp_path):
    file = tmp_path / "users.csv"
    file.write_text("username,colour\nada,red\n")
    ran = await gatepost(over_http, "users", "import", str(file), "--account", "x")
    assert (ran.code, "colour" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"username,name\nada,Ada\njoerg,J\xf6rg\n", "line 3 is not UTF-8; save the file as UTF-8"),
        ("username,name\nada,Ada\n".encode("utf-16"), "line 1 is not UTF-8"),
        (b"username,username\nada,grace\n", "names username twice"),
    ],
)
async def test_a_csv_that_would_come_out_wrong_is_refused_before_anything_is_sent(
    over_http, gateway, tmp_path, content, words
):
    account = (await gateway.account())["name"]
    file = tmp_path / "users.csv"
    file.write_bytes(content)
    ran = await gatepost(over_http, "users", "import", str(file), "--account", account)
    assert (ran.code, words in ran.err) == (2, True), ran.err
    assert json.loads((await gatepost(over_http, "users", "list", "--account", account, "--json")).out) == []


async def test_a_csv_of_a_spreadsheet_with_a_mark_before_its_first_letter_is_read(over_http, gateway, tmp_path):
    account = (await gateway.account())["name"]
    file = tmp_path / "users.csv"
    file.write_bytes("username,name\nada,Jörg\n".encode("utf-8-sig"))
    assert (await gatepost(over_http, "users", "import", str(file), "--account", account)).code == 0
    (user,) = json.loads((await gatepost(over_http, "users", "list", "--account", account, "--json")).out)
    assert user["name"] == "Jörg"


async def test_a_client_whose_file_cannot_be_written_is_not_made(over_http, gateway, tmp_path):
    async def clients() -> list[str]:
        return [one["client_id"] for one in json.loads((await gatepost(over_http, "clients", "list", "--json")).out)]

    account, before = (await gateway.account())["name"], await clients()
    create = ["clients", "create", "--account", account, "--scope", "accounts:write", "--out-file"]
    assert (await gatepost(over_http, *create, str(tmp_path / "no" / "file"))).code == 2
    assert (await gatepost(over_http, *create, str(tmp_path))).code == 2
    assert await clients() == before
    assert (await gatepost(over_http, *create, str(tmp_path / "kept"))).code == 0
    client_id, _, secret = (tmp_path / "kept").read_text().strip().partition(":")
    assert (
        await gatepost(over_http, "clients", "rotate", client_id, "--out-file", str(tmp_path / "x" / "y"))
    ).code == 2
    (tmp_path / "again").write_text(f"{client_id}:{secret}")
    still = over_http | {"GATEPOST_CLIENT_FILE": str(tmp_path / "again")}
    assert (await gatepost(still, "accounts", "show", account)).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "client", "kept"]


async def test_a_database_command_that_is_refused_leaves_no_file(over_http, tmp_path):
    file = tmp_path / "mine"
    refused = ["clients", "create", "--account", "no-such", "--scope", "feed", "--out-file", str(file)]
    assert (await gatepost(over_http, *refused)).code == 1
    assert not list(tmp_path.glob("*mine*"))


@pytest.mark.parametrize(
    ("environ_given", "arguments", "code", "words"),
    [
        ({"GATEPOST_CLIENT_FILE": "no/such"}, ["accounts", "list"], 2, "GATEPOST_CLIENT_FILE: no such file: /"),
        ({"GATEPOST_CLIENT_FILE": "no/such"}, ["deliveries", "list"], 2, "GATEPOST_CLIENT_FILE: no such file: /"),
        ({"GATEPOST_CLIENT_FILE": "no/such"}, ["whoami"], 2, "GATEPOST_CLIENT_FILE: no such file: /"),
        ({"GATEPOST_CLIENT_FILE": "/usr/bin/env"}, ["whoami"], 2, "client_id:secret"),
        ({"GATEPOST_CLIENT_FILE": "/usr"}, ["whoami"], 2, "directory"),
        ({"GATEPOST_DATABASE_FILE": "/no/such"}, ["migrate", "gateway"], 2, "GATEPOST_DATABASE_FILE: /no/such"),
        ({"GATEPOST_DATABASE": "foo"}, ["migrate", "gateway"], 2, "GATEPOST_DATABASE"),
        ({"GATEPOST_DATABASE": "postgresql://a:b@127.0.0.1:9/x"}, ["migrate", "gateway"], 1, "does not answer"),
        (
            {"GATEPOST_DATABASE": "postgresql://a:b@127.0.0.1:9/x", "GATEPOST_KEYS": "/no"},
            ["accounts", "list"],
            2,
            "/no",
        ),
        ({"GATEPOST_KAFKA": "127.0.0.1:9"}, ["topics", "check"], 2, "Kafka does not answer"),
        ({}, ["keys", "new", "--dir", "/proc/none"], 1, "/proc/none"),
        ({}, ["keys", "new", "--dir", "/etc/hostname"], 1, "/etc/hostname"),
        ({}, ["keys", "list", "--dir", "/no/such"], 2, "gatepost keys new --dir /no/such`"),
        ({}, ["accounts"], 2, "Usage: gatepost accounts"),
    ],
)
async def test_what_stops_a_command_is_one_line_and_no_stack_trace(environ_given, arguments, code, words):
    ran = await process({"GATEPOST_HOME": "/no/such/home", **environ_given}, *arguments)
    assert ran.code == code, ran
    assert words in ran.err + ran.out
    assert "Traceback" not in ran.err


async def test_what_answers_at_the_wrong_address_is_not_taken_for_gatepost(over_http):
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for command in (["accounts", "list"], ["deliveries", "list"]):
            names = {"GATEPOST_GATEWAY_URL": url, "GATEPOST_DELIVERY_URL": url}
            ran = await process(over_http | names, *command)
            assert (ran.code, "is not Gatepost" in ran.err, "Traceback" in ran.err) == (1, True, False)


async def test_a_slash_at_the_end_of_the_address_does_no_harm(over_http):
    slash = over_http | {"GATEPOST_GATEWAY_URL": over_http["GATEPOST_GATEWAY_URL"] + "/"}
    assert (await gatepost(slash, "accounts", "list")).code == 0


async def test_internal_without_database_access_names_what_it_needs(over_http):
    ran = await gatepost(over_http, "clients", "create", "--account", "*", "--internal")
    assert (ran.code, "GATEPOST_KEYS" in ran.err, "GATEPOST_DATABASE" in ran.err) == (1, True, True)


async def test_a_password_that_nobody_gave_is_asked_for_in_words(over_http, account):
    ran = await gatepost(over_http, "users", "password", "ada", "--account", account["name"])
    assert (ran.code, "standard input has ended" in ran.err) == (1, True)


async def test_the_version_is_the_one_of_the_package():
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (await process({}, "--version")).out == f"gatepost {found}\n"


async def test_a_gateway_that_is_away_is_named(tmp_path):
    (tmp_path / "client").write_text("cl_x:y")
    away = {"GATEPOST_CLIENT_FILE": str(tmp_path / "client"), "GATEPOST_GATEWAY_URL": "http://127.0.0.1:9"}
    ran = await gatepost(away, "accounts", "list")
    assert (ran.code, "does not answer" in ran.err) == (1, True)


async def test_without_a_sign_in_a_command_says_what_to_do(tmp_path):
    ran = await gatepost({"GATEPOST_HOME": str(tmp_path)}, "accounts", "list")
    assert (ran.code, "gatepost login" in ran.err) == (2, True)
