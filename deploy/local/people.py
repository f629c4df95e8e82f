"""The account, users and clients that the local system begins with, made through the product's own API."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Person:
    """A user of the demo account; `says` is what signing in is like for them."""

    username: str
    says: str
    body: dict[str, Any]
    password: str = field(default_factory=lambda: secrets.token_urlsafe(15), repr=False)


def people() -> list[Person]:
    """One user of each kind. The numbers are from ranges kept free for fiction, the addresses from example.com."""
    return [
        Person("linus", "no second factor: signed in at once", {"email": "linus@example.com"}),
        Person("ada", "SMS", {"phone": "+442079460101", "email": "ada@example.com", "two_factor": {"sms": True}}),
        Person(
            "grace",
            "SMS; if it fails, e-mail, though e-mail is off",
            {"phone": "+442079460102", "email": "grace@example.com", "two_factor": {"sms": True, "email": False}},
        ),
        Person("edsger", "e-mail", {"email": "edsger@example.com", "two_factor": {"email": True}}),
        Person(
            "barbara",
            "SMS, e-mail as fallback or on request",
            {"phone": "+442079460103", "email": "barbara@example.com", "two_factor": {"sms": True, "email": True}},
        ),
        Person(
            "admin",
            "administrator: SMS, e-mail as fallback or on request",
            {
                "phone": "+442079460104",
                "email": "admin@example.com",
                "two_factor": {"sms": True, "email": True},
                "role": "admin",
            },
        ),
        Person(
            "operator",
            "operator of the installation: SMS, e-mail as fallback or on request",
            {
                "phone": "+442079460105",
                "email": "operator@example.com",
                "two_factor": {"sms": True, "email": True},
                "role": "operator",
            },
        ),
        Person("robot", "integration: no second factor", {"kind": "integration"}),
    ]


class Api:
    """A client of the three services: JSON in, status and JSON out."""

    def __init__(self, session: aiohttp.ClientSession, urls: dict[str, str], client: tuple[str, str]) -> None:
        self._session = session
        self.urls = urls
        self._auth = {"Authorization": aiohttp.encode_basic_auth(*client)}

    async def call(
        self, service: str, method: str, path: str, body: object = None, *, authenticated: bool = True, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        headers = (self._auth if authenticated else {}) | options.pop("headers", {})
        url = self.urls[service] + path
        async with self._session.request(method, url, json=body, headers=headers, **options) as answer:
            data = await answer.json(content_type=None) if answer.content_length != 0 else {}
            return answer.status, data or {}

    async def expect(self, status: int, service: str, method: str, path: str, body: object = None, **more: Any) -> Any:
        """The same, ending the story when the answer is another one."""
        got, data = await self.call(service, method, path, body, **more)
        if got != status:
            raise RuntimeError(f"{method} {path} answered {got}, not {status}: {data.get('detail', data)}")
        return data


async def populate(api: Api) -> tuple[str, list[Person]]:
    """Make the account `demo` and its users where they are missing; gives the account's id and the people."""
    status, answer = await api.call("gateway", "POST", "/v1/accounts", {"name": "demo"})
    if status == 409:
        raise RuntimeError("the account demo exists already")
    if status != 201:
        raise RuntimeError(f"the account demo could not be made: {answer}")
    account = answer["account_id"]
    made = people()
    for person in made:
        body = {"username": person.username, "password": person.password, **person.body}
        await api.expect(201, "gateway", "POST", f"/v1/accounts/{account}/users", body)
    return account, made
