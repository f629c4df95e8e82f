"""Logs are events: one JSON line per unit of work, on standard output (a command's on standard error)."""

import logging
import sys
import threading
from types import TracebackType

import structlog
from structlog.typing import EventDict, WrappedLogger


def configure(service: str, level: str = "info", worker: int | None = None) -> None:
    """Set up structlog and hand the libraries' own loggers to it. `worker`: which of several on one port."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(service, worker),
        _errors_by_class,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),  # a line is one write: workers share the output
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_first_words, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    handler.addFilter(_group_is_young)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    sys.excepthook = _crashed
    threading.excepthook = lambda crash: _crashed(crash.exc_type, crash.exc_value, crash.exc_traceback)


def _crashed(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody caught, in a line like all others: Python's own traceback ends with the error's text."""
    if issubclass(kind, KeyboardInterrupt):
        return
    told = {"problem": error.strerror} if isinstance(error, OSError) else {}
    structlog.get_logger().critical("crashed", exc_info=error, **told)


def _first_words(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """asyncio names a callback with its arguments, and below that the task that failed with its error's text."""
    text = str(event["event"]).partition("\n")[0]
    event["event"] = text.partition("(")[0] if event["_record"].name == "asyncio" else text
    return event


def of_command() -> None:
    """A command's standard output is its answer: warnings go to standard error, like the rest of what is told."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # the command says itself what Kafka did not do


def _group_is_young(record: logging.LogRecord) -> bool:
    """The first member of a group finds no coordinator yet and tries again: that is no error."""
    if "GroupCoordinatorNotAvailable" in record.getMessage():
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _named(service: str, worker: int | None) -> structlog.typing.Processor:
    names = {"service": service} | ({} if worker is None else {"worker": worker})

    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event.update(names)
        return event

    return add

    return add


def _errors_by_class(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """An exception's text can quote what it choked on (a row, a body): the log keeps its class and place only."""
    trouble = event.pop("exc_info", None)
    if trouble is True:
        trouble = sys.exc_info()
    error = trouble[1] if isinstance(trouble, tuple) else trouble
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["at"] = _place(error)
    return event


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename.rsplit('/services/', 1)[-1]}:{trace.tb_lineno} {code.co_name}"
