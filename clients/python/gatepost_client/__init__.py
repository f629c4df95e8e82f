"""Gatepost's client. `gatepost_client.asgi`, `.web` are middlewares; `.topics`, `.feed_topic` need `[kafka]`."""

from gatepost_client.answers import (
    Context,
    Delivery,
    Fed,
    FedLogin,
    FedUser,
    Login,
    Refused,
    Session,
    SignedIn,
)
from gatepost_client.budget import Budget
from gatepost_client.client import Gatepost
from gatepost_client.cookies import session_cookie
from gatepost_client.door import Door
from gatepost_client.errors import (
    BadClient,
    BadRequest,
    Conflict,
    FeedStopped,
    FollowedElsewhere,
    Forbidden,
    GatepostError,
    InvalidCredentials,
    LoginClosed,
    NotFound,
    TooMany,
    Unavailable,
    Unexpected,
    WrongAddress,
    WrongCode,
)

__all__ = [
    "BadClient",
    "BadRequest",
    "Budget",
    "Conflict",
    "Context",
    "Delivery",
    "Door",
    "Fed",
    "FedLogin",
    "FedUser",
    "FeedStopped",
    "FollowedElsewhere",
    "Forbidden",
    "Gatepost",
    "GatepostError",
    "InvalidCredentials",
    "Login",
    "LoginClosed",
    "NotFound",
    "Refused",
    "Session",
    "SignedIn",
    "TooMany",
    "Unavailable",
    "Unexpected",
    "WrongAddress",
    "WrongCode",
    "session_cookie",
]
