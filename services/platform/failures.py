"""What ends a command, in words: whoever typed it can do nothing with a stack trace."""

import errno

EXIT = tuple[str, int]


def explained(error: Exception) -> EXIT | None:
    """What to say of it on standard error, and the exit code; None for a defect of ours, which keeps its trace."""
    return _ours(error) or _of_postgres(error) or _of_kafka(error) or _of_the_machine(error)


def _ours(error: Exception) -> EXIT | None:
    from services.platform.cli import Away, Refused
    from services.platform.environment import BadSettings
    from services.platform.keys.keyring import KeyringError
    from services.platform.migrate import MigrationError

    if isinstance(error, BadSettings | KeyringError):
        return str(error), 2
    return (str(error), 1) if isinstance(error, MigrationError | Refused | Away) else None


def _of_postgres(error: Exception) -> EXIT | None:
    import asyncpg

    if isinstance(error, asyncpg.ClientConfigurationError):
        return f"GATEPOST_DATABASE (or _FILE) is no address of a database: {error.args[0]}.", 2
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return f"The database refused: {error.args[0]} ({type(error).__name__}).", 1
    return None


def _of_kafka(error: Exception) -> EXIT | None:
    from aiokafka.errors import KafkaError

    if isinstance(error, KafkaError):
        return f"Kafka does not answer ({type(error).__name__}). Does it run at the address in GATEPOST_KAFKA?", 1
    return None


def _of_the_machine(error: Exception) -> EXIT | None:
    match error:
        case TimeoutError():
            return "No answer came in time. Is the database or service at that address running?", 1
        case OSError(filename=str() | bytes() as name):
            return f"{name!s}: {error.strerror}", 1
        case OSError(errno=errno.EADDRINUSE):
            return f"{error.strerror}. Choose another GATEPOST_HTTP_PORT.", 1
        case OSError():
            return f"The database or service at that address does not answer: {error.strerror or error}.", 1
        case _:
            return None
