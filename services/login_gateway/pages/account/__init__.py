"""The account console: an account's administrator at `/account`. Pages call what the API's calls call."""

from typing import Final

from aiohttp import web

from services.login_gateway.house import House
from services.login_gateway.pages.account import (
    audit,
    general,
    imports,
    outside,
    user,
    user_deletion,
    user_password,
    user_sessions,
    users,
)
from services.login_gateway.pages.account.desk import DESK, Desk
from services.login_gateway.postgres import people
from services.login_gateway.who import ACCOUNT, RIGHTS, USER, USERS
from services.platform.auth import Right
from services.platform.auth import User as SignedIn
from services.platform.keys.tokens import BadToken
from services.platform.ui.console import CONSOLE, Address, Console, Link, Person

HOME: Final = "/account"
LINKS: Final = (
    Link(users.LIST, "Users"),
    Link(outside.OUTSIDE, "Outside two-factor"),
    Link(audit.AUDIT, "Audit"),
    Link(general.GENERAL, "General"),
)
FOR_WHOM: Final = "The account console is for administrators: who may sign in, how, and for how long."

# Each page stands for a call of the API and answers to that call's row of the who table.
STANDS_FOR: Final[dict[Address, Address]] = {
    ("GET", HOME): ("GET", USERS),
    ("GET", users.LIST): ("GET", USERS),
    ("POST", users.FIND): ("GET", USERS),
    ("POST", user.EXPERIENCE): ("GET", USERS),
    ("GET", imports.IMPORT): ("POST", f"{ACCOUNT}/imports"),
    ("POST", imports.IMPORT): ("POST", f"{ACCOUNT}/imports"),
    ("GET", outside.OUTSIDE): ("GET", USERS),
    ("GET", audit.AUDIT): ("GET", USERS),
    ("GET", general.GENERAL): ("PATCH", ACCOUNT),
    ("POST", general.GENERAL): ("PATCH", ACCOUNT),
    ("GET", general.CLEAR): ("PATCH", ACCOUNT),
    ("POST", general.CLEAR): ("POST", f"{ACCOUNT}/expire-sessions"),
    ("GET", user.NEW): ("POST", USERS),
    ("POST", user.NEW): ("POST", USERS),
    ("GET", user.ONE): ("GET", USER),
    ("POST", user.ONE): ("PATCH", USER),
    ("POST", user.UNLOCK): ("POST", f"{USER}/unlock"),
    ("GET", user_password.PASSWORD): ("POST", f"{USER}/password"),
    ("POST", user_password.PASSWORD): ("POST", f"{USER}/password"),
    ("GET", user_deletion.DELETE): ("DELETE", USER),
    ("POST", user_deletion.DELETE): ("DELETE", USER),
    ("POST", user_sessions.EXPIRE): ("POST", f"{USER}/expire-sessions"),
    ("POST", user_sessions.END): ("POST", f"{USER}/expire-sessions"),
}


def rights() -> dict[Address, Right]:
    """Raises `KeyError` for a page that stands for no call."""
    found = {page: RIGHTS[call] for page, call in STANDS_FOR.items()}
    return {page: right for page, right in found.items() if right is not None}


def mount(app: web.Application, house: House, desk: Desk) -> None:
    async def person(of: SignedIn) -> Person:
        username, account = await people.person(desk.admin.pool, of.user_id)
        return Person(username, account, account)

    async def account_of(token: str) -> str:
        try:
            return await people.account_of(desk.admin.pool, house.tokens.read(token).login_id)
        except BadToken:
            return ""

    app[DESK] = desk
    app[CONSOLE] = Console(
        home=HOME,
        name="Account Settings",
        for_whom=FOR_WHOM,
        links=LINKS,
        pages=rights(),
        public_url=house.settings.public_url,
        person=person,
        account_of=account_of,
    )
    app.router.add_get(HOME, users.home)
    for pages in (users, user, user_sessions, user_password, user_deletion, imports, outside, audit, general):
        pages.add_routes(app.router)
