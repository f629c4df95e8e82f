"""The console's pages, and which row of delivery's who table each answers to. They are for operators only."""

from collections.abc import Mapping
from typing import Final

from services.delivery.settings import DeliverySettings
from services.delivery.who import RIGHTS
from services.platform.auth import Right, User
from services.platform.ui.console import Address, Console, Link, Person

HOME: Final = "/operations"
LINKS: Final = (
    Link("/operations", "Overview"),
    Link("/operations/messages", "Messages"),
    Link("/operations/failures", "Failures"),
    Link("/operations/live", "Live"),
    Link("/operations/replays", "Replays"),
    Link("/operations/providers", "Providers"),
    Link("/operations/guard", "Guard"),
    Link("/operations/dead-letters", "Dead letters"),
)
FOR_WHOM: Final = (
    "This console is for operators: people who look after the delivery of all accounts. "
    "Administrators of an account have a console of their own, at /account."
)
STANDS_FOR: Final[Mapping[Address, Address]] = {
    ("GET", "/operations"): ("GET", "/v1/deliveries/health"),
    ("GET", "/operations/messages"): ("GET", "/v1/deliveries"),
    ("GET", "/operations/failures"): ("GET", "/v1/deliveries"),
    ("GET", "/operations/logins/{login_id}"): ("GET", "/v1/timelines/{login_id}"),
    ("GET", "/operations/live"): ("GET", "/v1/deliveries/stream"),
    ("GET", "/operations/live/steps"): ("GET", "/v1/deliveries/stream"),
    ("GET", "/operations/replays"): ("GET", "/v1/replays"),
    ("GET", "/operations/replays/new"): ("POST", "/v1/replays"),
    ("POST", "/operations/replays/new"): ("POST", "/v1/replays"),
    ("GET", "/operations/replays/{replay_id}"): ("GET", "/v1/replays/{replay_id}"),
    ("POST", "/operations/replays/{replay_id}/stop"): ("POST", "/v1/replays/{replay_id}/stop"),
    ("GET", "/operations/providers"): ("GET", "/v1/providers"),
    ("POST", "/operations/providers/{provider}"): ("PATCH", "/v1/providers/{provider}"),
    ("POST", "/operations/pause"): ("POST", "/v1/deliveries/pause"),
    ("POST", "/operations/resume"): ("POST", "/v1/deliveries/resume"),
    ("GET", "/operations/guard"): ("GET", "/v1/guard"),
    ("POST", "/operations/guard/allow"): ("POST", "/v1/guard/{account}/allow"),
    ("GET", "/operations/dead-letters"): ("GET", "/v1/dead-letters"),
    ("GET", "/operations/dead-letters/{letter_id}"): ("GET", "/v1/dead-letters"),
    ("GET", "/operations/dead-letters/{letter_id}/record"): ("GET", "/v1/dead-letters/{letter_id}"),
    ("POST", "/operations/dead-letters/{letter_id}/replay"): ("POST", "/v1/dead-letters/{letter_id}/replay"),
    ("POST", "/operations/dead-letters/{letter_id}/discard"): ("POST", "/v1/dead-letters/{letter_id}/discard"),
}


def of_operators(right: Right) -> Right:
    return right._replace(scopes=frozenset(), roles=right.roles & {"operator"})


PAGES: Final[Mapping[Address, Right]] = {page: of_operators(RIGHTS[call]) for page, call in STANDS_FOR.items()}


async def person(user: User) -> Person:
    """Delivery knows no names: the end of an id is what the audit can be searched for."""
    return Person("Operator", f"…{user.user_id[-8:]}")


def console(settings: DeliverySettings) -> Console:
    return Console(
        home=HOME,
        name="Operations",
        for_whom=FOR_WHOM,
        links=LINKS,
        pages=PAGES,
        public_url=settings.public_url,
        person=person,
        sign_in=settings.sign_in_url or "",
    )
