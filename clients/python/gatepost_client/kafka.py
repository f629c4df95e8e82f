"""What aiokafka raises, as what the caller can act on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka import errors as kafka

from gatepost_client.errors import GatepostError, Unavailable


class KafkaRefuses(GatepostError):
    """The topic is missing, or your principal may not do this, or is not believed: `name` says which."""

    do = "Ask who runs Kafka: `gatepost topics check` and `gatepost topics rights` say what is needed."


_REFUSALS: Final[dict[type[Exception], str]] = {
    kafka.UnknownTopicOrPartitionError: "no-topic",
    kafka.TopicAuthorizationFailedError: "no-right",
    kafka.GroupAuthorizationFailedError: "no-right",
    kafka.ClusterAuthorizationFailedError: "no-right",
    kafka.AuthenticationFailedError: "not-authenticated",
    kafka.SaslAuthenticationFailed: "not-authenticated",
    kafka.UnsupportedSaslMechanismError: "not-authenticated",
    kafka.MessageSizeTooLargeError: "too-large",
    kafka.RecordListTooLargeError: "too-large",
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """`doing` is what did not happen, or may not have."""
    try:
        yield
    except tuple(_REFUSALS) as error:
        raise KafkaRefuses(_REFUSALS[type(error)], f"{doing} ({type(error).__name__}).") from error
    except (kafka.KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("kafka-away", f"{doing} ({type(error).__name__}).", 0) from error
