"""Records of the topic `logins`: who may have written one, and what it asks for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from schemas import codec, topics
from schemas.events import LoginFed, RefuseReason
from services.login_gateway import feed_keys
from services.login_gateway.feed import FedLogin, FeedUser, check_reference
from services.login_gateway.feed_keys import Signature
from services.login_gateway.password_step import LoginContext
from services.platform.http import Problem


class Sender(NamedTuple):
    """A feed client that may feed its account."""

    client_id: str
    account_id: UUID
    public: bytes
    stopped: bool


class FedRecord(NamedTuple):
    """What a record asks for; `refused` where it is known already that it cannot be done."""

    sender: Sender
    item: FedLogin
    refused: RefuseReason | None = None
    due_at: datetime | None = None
    """When its account's budget lets it in; None: now."""


class NotTaken(Exception):
    """A record without effect, since nobody is known to have asked for it; the text is its dead letter's reason."""


def signature_of(record: Any) -> Signature | None:
    return feed_keys.parsed(dict(record.headers or ()).get(topics.SIGNATURE_HEADER))


def read(record: Any, senders: Mapping[str, Sender]) -> FedRecord:
    """The signature is checked before anything else is read. Raises `NotTaken`.

    A reference that may be a contact is refused without a word on any topic.
    """
    sender = _sender(record, senders)
    event = _event(record)
    if record.key != event.reference.encode():
        raise NotTaken("wrong-key")
    try:
        check_reference(event.reference)
    except Problem as bad:
        raise NotTaken(bad.name) from None
    return FedRecord(sender, _item(event), _refused(sender, event))


def _sender(record: Any, senders: Mapping[str, Sender]) -> Sender:
    signature = signature_of(record)
    if signature is None:
        raise NotTaken("unsigned")
    sender = senders.get(signature.client_id)
    if sender is None:
        raise NotTaken("may-not-feed")
    if not feed_keys.matches(sender.public, signature.value, record.value or b""):
        raise NotTaken("bad-signature")
    return sender


def _event(record: Any) -> LoginFed:
    try:
        event = codec.decode_for(topics.LOGINS.name, record.value)
    except codec.BadEvent as bad:
        raise NotTaken(bad.reason) from None
    if not isinstance(event, LoginFed):
        raise NotTaken("wrong-topic")
    return event


def _refused(sender: Sender, event: LoginFed) -> RefuseReason | None:
    if event.account_id != str(sender.account_id):
        return "foreign-account"
    return "feed-stopped" if sender.stopped else None


def _item(event: LoginFed) -> FedLogin:
    """Address and user agent are of no use to a fed login: they go no further."""
    context = event.context
    where = LoginContext(locale=context.locale, origin=context.origin, device_id=context.device_id) if context else None
    user = FeedUser(user_id=event.user.user_id, external_id=event.user.external_id)
    return FedLogin(
        reference=event.reference,
        user=user,
        authenticated_at=event.authenticated_at,
        context=where or LoginContext(),
    )


def kept(item: FedLogin) -> Any:
    """An item as it waits in the database."""
    return msgspec.to_builtins(item)


def waited(item: Any) -> FedLogin:
    return msgspec.convert(item, FedLogin)
