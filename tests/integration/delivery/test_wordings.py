"""What is written to users: in their language, in their account's own words, as it arrives."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from deploy.local.stack import Stack
from schemas.events import Context
from services.delivery.messages.own import Wording
from services.delivery.messages.sources import BadTemplates
from services.delivery.postgres.wordings import PostgresWordings
from services.platform.clock import new_id
from services.platform.postgres import connect
from tests.integration.delivery.conftest import Place, client
from tests.integration.delivery.house import own_house, record
from tests.integration.delivery.world import Login, World, until

EXAMPLE: dict[str, Any] = {
    "account_name": "Example Bank",
    "email_sender": "Example Bank Sécurité",
    "sms_sender": "EXAMPLE",
    "texts": {
        "de": {
            "sms": "{code} von {account}, {minutes} Min. gültig.",
            "email_subject": "Code für {account}",
            "email_greeting": "Grüß Gott,",
        },
        "*": {"email_sign_off": "Your {account}"},
    },
}


def in_locale(locale: str | None, device: str | None = None) -> dict[str, Any]:
    return {"context": Context(locale=locale, device=device)}


async def newest(world: World, to: str | None) -> dict[str, Any]:
    await world.message(to)
    return (await world.messages(to))[-1]


async def put(world: World, account: UUID, wording: dict[str, Any]) -> None:
    """Set, and in use: workers look every two seconds."""
    shown = await world.call("PUT", f"/v1/wordings/{account}", json=wording)
    assert shown["wording"] == wording

    async def used() -> bool | None:
        login = await world.open(Login(account=account), **in_locale("de"))
        return wording["texts"]["de"]["sms"].partition(" ")[2][:4] in await world.message(login.phone) or None

    await until(used, 15, "the wording is used")


@pytest.mark.parametrize(
    ("locale", "line", "subject"),
    [
        ("de-AT", "ist Ihr Anmeldecode", "Ihr Anmeldecode"),
        ("fr", "est votre code de connexion", "Votre code de connexion"),
        ("ja", "is your sign-in code", "Your sign-in code"),
        (None, "is your sign-in code", "Your sign-in code"),
    ],
)
async def test_users_are_written_to_in_their_language(world: World, locale: str | None, line: str, subject: str):
    login = await world.open(Login(), **in_locale(locale))
    sms, code = await world.message(login.phone), world.code(login, "sms")
    assert line in sms
    assert sms.splitlines()[-1] == f"@127.0.0.1 #{code}"
    await world.open(login, cause="resend:1", channel="email", **in_locale(locale))
    mail = await newest(world, login.email)
    assert mail["subject"] == subject
    assert world.code(login, "email") in mail["body"]


async def test_an_email_says_which_sign_in_it_belongs_to_and_leads_nowhere(world: World):
    login = Login()
    before = datetime.now(UTC)
    await world.open(login, channel="email", **in_locale("en", "Firefox\u202e on <b>Linux</b>"))
    mail, code = await newest(world, login.email), world.code(login, "email")
    started = re.search(r"Sign-in started: (\d{4}-\d\d-\d\d \d\d:\d\d) UTC", mail["body"])
    assert started is not None
    assert 0 <= (datetime.fromisoformat(f"{started[1]}+00:00") - before.replace(second=0, microsecond=0)).seconds <= 60
    assert "Device: Firefox on b Linux b" in mail["body"]
    assert "Was this not you?" in mail["body"]
    assert mail["html"].count(code) == 1
    assert not re.search(r"<a\b|<b>|href|src=|url\(|https?:", mail["html"])
    assert mail["headers"]["Auto-Submitted"] == "auto-generated"
    assert mail["headers"]["Content-Type"].startswith("multipart/alternative")
    assert mail["headers"]["Content-Language"] == "en"
    assert code not in mail["subject"]


async def test_the_email_after_a_failed_sms_says_so_too(world: World):
    login = Login()
    await world.faults(sms={str(login.phone): {"mode": "refuse", "code": 21610}})
    await world.open(login, **in_locale("nl", "Tablet van Ada"))
    mail = await newest(world, login.email)
    assert mail["subject"] == "Uw inlogcode"
    assert "Apparaat: Tablet van Ada" in mail["body"]


async def test_an_id_of_a_device_is_not_shown(world: World):
    login = Login()
    await world.open(login, channel="email", **in_locale("en", str(new_id())))
    assert "Device" not in (await newest(world, login.email))["body"]


async def test_an_account_speaks_in_its_own_words(world: World):
    account = new_id()
    await put(world, account, EXAMPLE)
    login = await world.open(Login(account=account), **in_locale("de-AT"))
    sms = await newest(world, login.phone)
    code = world.code(login, "sms")
    assert sms["from"] == "EXAMPLE"
    assert sms["body"] == f"{code} von Example Bank, 5 Min. gültig.\n\n@127.0.0.1 #{code}"
    await world.open(login, cause="resend:1", channel="email", **in_locale("de-AT"))
    mail = await newest(world, login.email)
    assert mail["subject"] == "Code für Example Bank"
    assert mail["headers"]["From"] == "Example Bank Sécurité <codes@gatepost.example>"
    assert mail["body"].startswith("Grüß Gott,")
    assert mail["body"].rstrip().endswith("Your Example Bank")
    assert "Anmeldung bei Example Bank" in mail["body"]


async def test_another_account_and_another_language_are_left_as_they_are(world: World):
    account = new_id()
    await put(world, account, EXAMPLE)
    french = await world.open(Login(account=account), **in_locale("fr"))
    assert "est votre code" in await world.message(french.phone)
    other = await world.open(Login(), **in_locale("de"))
    assert "ist Ihr Anmeldecode" in await world.message(other.phone)


async def test_a_notice_comes_in_the_users_language_and_from_the_accounts_name(world: World):
    account = new_id()
    await put(world, account, EXAMPLE)
    login = Login(account=account)
    event = msgspec.structs.replace(world.notice(login, "email", "locked"), locale="de")
    await world.publish(event)
    mail = await newest(world, login.email)
    assert mail["subject"] == "Ihre Anmeldung ist gesperrt"
    assert mail["headers"]["From"].startswith("Example Bank Sécurité <")
    assert "Ihre Anmeldung bei Example Bank ist" in mail["body"]
    assert mail["html"]


async def test_what_was_taken_back_is_built_in_again(world: World):
    account = new_id()
    await put(world, account, EXAMPLE)
    assert (await world.call("DELETE", f"/v1/wordings/{account}"))["wording"] == {}
    assert (await world.call("GET", f"/v1/wordings/{account}"))["wording"] == {}

    async def built_in() -> bool | None:
        login = await world.open(Login(account=account), **in_locale("de"))
        return "ist Ihr Anmeldecode" in await world.message(login.phone) or None

    await until(built_in, 15, "the built-in wording")


async def test_a_sender_that_is_refused_in_a_country_costs_a_try_and_not_the_code(world: World):
    account, sender = new_id(), "NOT HERE"
    await put(world, account, EXAMPLE | {"sms_sender": sender})
    for tries in (2, 1):  # the second login knows
        login = Login(account=account, email=None)
        await world.faults(sms={str(login.phone): {"mode": "refuse", "code": 21657, "times": 1}} if tries == 2 else {})
        await world.open(login, **in_locale("de"))
        assert (await newest(world, login.phone))["from"] not in (sender, None)
        assert (await world.row(login, "sms", "delivered"))["tries"] == tries


async def test_an_operators_folder_speaks_in_the_place_of_the_built_in_files(
    world: World, stack: Stack, tmp_path: Path
):
    (tmp_path / "sv").mkdir()
    (tmp_path / "sv" / "code.sms.txt").write_text("{{ code }} är din inloggningskod.")
    (tmp_path / "email.html").write_text(
        "<h1>{{ subject }}</h1>{% for each in paragraphs %}<p>{{ each }}</p>{% endfor %}"
    )
    async with own_house(stack, templates=tmp_path, locale="sv") as house:
        login = Login()
        await house.ingest.challenges([record(world.challenge(login))])
        assert "är din inloggningskod" in await world.message(login.phone)
        await house.ingest.challenges([record(world.challenge(login, "resend:1", "email", **in_locale("de")))])
        mail = await newest(world, login.email)
        assert mail["html"].startswith("<h1>Ihr Anmeldecode</h1><p>Guten Tag,</p>")


async def test_templates_that_cannot_be_used_stop_a_house_before_it_is_built(stack: Stack, tmp_path: Path):
    (tmp_path / "email.html").write_text("{{ code }}<a href='https://x.example'>")
    with pytest.raises(BadTemplates, match=r"email\.html:1: holds <a>"):
        async with own_house(stack, templates=tmp_path):
            pass


@pytest.mark.parametrize(
    ("wording", "field", "why"),
    [
        ({"texts": {"de": {"sms": "{name}: {code}"}}}, "texts.de.sms", "{code}, {account}, {minutes}"),
        ({"texts": {"de": {"sms": "{code"}}}, "texts.de.sms", "a brace alone"),
        ({"texts": {"de": {"sms": "{code} " + "x" * 153}}}, "texts.de.sms", "of 160 characters"),
        ({"texts": {"de": {"sms": "{code} https://x.example"}}}, "texts.de.sms", "no link"),
        ({"texts": {"ja": {}}}, "texts.ja", "has no templates"),
        ({"sms_sender": "+++"}, "sms_sender", "country code"),
        ({"email_sender": "x@bank.example"}, "email_sender", "without @"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_says_why(world: World, wording: Any, field: str, why: str):
    account = new_id()
    for method, path, sent in (
        ("PUT", f"/v1/wordings/{account}", wording),
        ("POST", f"/v1/wordings/{account}/preview", {"wording": wording}),
    ):
        refused = await world.call(method, path, 400, json=sent)
        assert refused["type"] == "urn:gatepost:bad-wording"
        assert refused["field"] == field
        assert why in refused["detail"]
    assert (await world.call("GET", f"/v1/wordings/{account}"))["wording"] == {}


async def test_a_preview_shows_what_is_tried_and_what_is_set(world: World):
    account = new_id()
    path = f"/v1/wordings/{account}/preview"
    tried = await world.call("POST", path, json={"locale": "de-AT", "wording": EXAMPLE})
    assert tried["sms"]["text"] == "123456 von Example Bank, 5 Min. gültig.\n\n@127.0.0.1 #123456"
    assert tried["sms"] | {"text": ""} == {"sender": "EXAMPLE", "text": "", "septets": 59, "segments": 1}
    notice = await world.call("POST", path, json={"message": "locked", "locale": "fr"})
    assert "bloquée" in notice["sms"]["text"]
    assert "123456" not in str(notice)
    refused = await world.call("POST", path, 400, json={"message": "nothing"})
    assert "phone-changed" in refused["detail"]
    plain = await world.call("POST", path, json={"locale": "de-AT"})
    assert plain["locale"] == "de"
    assert "ist Ihr Anmeldecode" in plain["sms"]["text"]
    await world.call("PUT", f"/v1/wordings/{account}", json=EXAMPLE)
    assert await world.call("POST", path, json={"locale": "de-AT"}) | {"email": None} == tried | {"email": None}


async def test_changes_are_audited_without_the_texts(world: World, place: Place):
    account = new_id()
    await world.call("PUT", f"/v1/wordings/{account}", json=EXAMPLE)
    await world.call("DELETE", f"/v1/wordings/{account}")
    connection = await asyncpg.connect(place.dsn)
    rows = await connection.fetch("SELECT who, action, details FROM audit WHERE account_id = $1 ORDER BY id", account)
    await connection.close()
    assert [row["action"] for row in rows] == ["wordings.change", "wordings.delete"]
    assert all(row["who"].startswith("client:") for row in rows)
    details = msgspec.json.decode(rows[0]["details"])
    assert "texts.de.sms" in details["fields"]
    assert "gültig" not in rows[0]["details"]


async def test_only_an_accounts_own_operator_changes_it(world: World, place: Place):
    account = new_id()
    path = f"/v1/wordings/{account}"
    await world.call("PUT", path, 200, json=EXAMPLE, auth=await client(place, str(account), ["operate"]))
    await world.call("PUT", path, 404, json=EXAMPLE, auth=await client(place, str(new_id()), ["operate"]))
    await world.call("PUT", path, 403, json=EXAMPLE, auth=await client(place, str(account), ["deliveries:read"]))


async def test_a_worker_hears_every_change_of_many_that_come_at_once(place: Place):
    """Each reads only what is newer than what it knows, so no version may become visible after a later one."""
    pool = await connect(place.dsn, "test")
    try:
        known: dict[UUID, Wording | None] = {}
        reader = PostgresWordings(pool)
        accounts = [new_id() for _ in range(40)]

        async def write(account: UUID) -> None:
            await PostgresWordings(pool).put(account, Wording(account_name=f"A {account.hex[-8:]}"), "test")
            await PostgresWordings(pool).put(account, None, "test")
            await PostgresWordings(pool).put(account, Wording(account_name=f"B {account.hex[-8:]}"), "test")

        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(write(account)) for account in accounts]
            while not all(writer.done() for writer in writers):
                known |= dict(await reader.changes())
                await asyncio.sleep(0)
        known |= dict(await reader.changes())
        assert {a: known[a] for a in accounts} == {a: Wording(account_name=f"B {a.hex[-8:]}") for a in accounts}
    finally:
        await pool.close()
