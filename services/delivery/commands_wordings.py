"""`gatepost wordings`: how messages read."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from services.platform.cli import account_id, call, fail, part, show

wordings = typer.Typer(no_args_is_help=True, help="How messages read: an account's own words, previews, templates.")

Account = Annotated[str, typer.Argument(help="Name or id of an account.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WordingFile = Annotated[Path, typer.Argument(help="JSON, as `gatepost wordings show --json` prints it.")]
SERVICE = "delivery"


@wordings.command("show")
def show_wording(account: Account, as_json: Json = False) -> None:
    """What an account says in its own words; an empty answer is the built-in wording."""
    wording = call(SERVICE, "GET", _path(account))["wording"]
    if not wording and not as_json:
        return typer.echo("nothing of its own: the messages read as built in")
    return show(wording, as_json)


@wordings.command("set")
def set_wording(account: Account, file: WordingFile, as_json: Json = False) -> None:
    """Replace all of an account's own words by those of a file; workers use them within two seconds."""
    show(call(SERVICE, "PUT", _path(account), _read(file))["wording"], as_json)


@wordings.command("delete")
def delete_wording(account: Account, as_json: Json = False) -> None:
    """Go back to the built-in wording."""
    show(call(SERVICE, "DELETE", _path(account)), as_json)


@wordings.command("preview")
def preview(
    account: Account,
    locale: Annotated[str | None, typer.Option(help="Of the user who is written to, like de-AT.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Words to try, before they are set.")] = None,
    message: Annotated[str, typer.Option(help="`code`, or a notice like `locked`.")] = "code",
    html: Annotated[Path | None, typer.Option(help="Write the e-mail's HTML to this file too.")] = None,
    as_json: Json = False,
) -> None:
    """SMS and e-mail as they would go out, with an example code."""
    asked = {"message": message, "locale": locale, "wording": _read(file) if file else None}
    found = call(SERVICE, "POST", f"{_path(account)}/preview", asked)
    if html is not None:
        html.write_text(found["email"]["html"], encoding="utf-8")
    if as_json:
        return show(found, as_json)
    sms, email = found["sms"], found["email"]
    cost = f"{sms['septets']} of 160 characters, {sms['segments']} segment"
    typer.echo(f"SMS from {sms['sender'] or 'the provider’s own number'} ({found['locale']}; {cost})\n")
    typer.echo(_inset(sms["text"]))
    typer.echo(f"\nE-mail from {email['sender'] or 'the address alone'}: {email['subject']}\n")
    return typer.echo(_inset(email["text"].rstrip()))


@wordings.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="As in GATEPOST_TEMPLATES.")],
    host: Annotated[str, typer.Option(help="As in GATEPOST_CODE_HOST: the last line of an SMS names it.")],
    locale: Annotated[str, typer.Option(help="As in GATEPOST_LOCALE.")] = "en",
) -> None:
    """Judge a folder of templates as delivery does when it starts; needs no service. Exit code 2 with every fault."""
    from services.delivery.messages.judging import load

    library = load(folder, host, locale)
    typer.echo(f"good: {', '.join(sorted(library.locales.values()))}")


def _path(account: str) -> str:
    return f"/v1/wordings/{part(str(account_id(account)))}"


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as bad:
        fail(f"{file}: {bad.strerror}.", code=2)
    except ValueError:
        fail(f"{file}: not JSON.", code=2)


def _inset(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.split("\n"))
