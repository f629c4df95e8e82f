"""Systems that are wrong on purpose: for each rule of the checker a patch that breaks it, and nothing else.

A mutant is switched on by a file of its name; the services are started through `python -m tests.faults.mutated`.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Final, NamedTuple


class Mutant(NamedTuple):
    """`plan`: the kinds of logins that show it. `apply` patches one service, which reads the switch at each call."""

    name: str
    rule: str
    service: str
    says: str
    kinds: tuple[str, ...]
    apply: Callable[[Callable[[], bool]], None]


def closed_in_silence(on: Callable[[], bool]) -> None:
    from services.login_gateway.postgres import sessions

    _swap(sessions, "_told", lambda real: lambda closed, *more: real([] if on() else closed, *more))


def opened_again(on: Callable[[], bool]) -> None:
    """The row's state is not asked for, so a used code is taken again."""
    from services.login_gateway.postgres import tries

    again = tries.COUNT_TRY.replace("l.state || '' = 'pending' AND", "")
    _sql_when(on, tries, "_count", tries, "COUNT_TRY", again)


def never_kept(on: Callable[[], bool]) -> None:
    from services.session_store import apply

    async def none(connection: Any, changes: Sequence[Any]) -> None:
        return None

    _swap(apply, "write", lambda real: lambda *given: none(*given) if on() else real(*given))


def any_code_will_do(on: Callable[[], bool]) -> None:
    from services.login_gateway import verify

    _swap(
        verify,
        "proved",
        lambda real: lambda house, login, code: login["channels"][0] if on() else real(house, login, code),
    )


def tries_not_counted(on: Callable[[], bool]) -> None:
    from services.login_gateway.postgres import tries

    _sql_when(on, tries, "_count", tries, "COUNT_TRY", tries.COUNT_TRY.replace("attempts + 1", "attempts", 1))


def called_twice(on: Callable[[], bool]) -> None:
    from services.delivery.channels.twilio import Twilio

    def twice(real: Any) -> Any:
        async def send(self: Any, *given: Any) -> str:
            if on():
                await real(self, *given)
            return str(await real(self, *given))

        return send

    _swap(Twilio, "send", twice)


def expiry_ignored(on: Callable[[], bool]) -> None:
    from services.delivery import deadlines

    _swap(deadlines, "ended_before_call", lambda real: lambda job, now: None if on() else real(job, now))
    _swap(deadlines, "time_for_call", lambda real: lambda job, now: 4.0 if on() else real(job, now))


def not_written_down(on: Callable[[], bool]) -> None:
    """The batch is acknowledged and nothing of it is in the ledger."""
    from services.delivery.postgres.intake import PostgresIntake

    async def nothing() -> list[Any]:
        return []

    _swap(PostgresIntake, "challenges", lambda real: lambda *given: nothing() if on() else real(*given))


def floors_ignored(on: Callable[[], bool]) -> None:
    from services.session_store.memory import Rules

    def blind(real: Any) -> Any:
        @wraps(real)
        def lets_live(self: Any, session: Any, now: float) -> bool:
            return bool(real(Rules(policies=self.policies) if on() else self, session, now))

        return lets_live

    _swap(Rules, "lets_live", blind)


def offsets_moved_back(on: Callable[[], bool]) -> None:
    """What was applied is applied again a little later: harmless to sessions, and a sign that offsets are not held."""
    from services.session_store import writer

    back = "UPDATE offsets SET next_offset = next_offset - 1 WHERE topic = $1 AND next_offset > 1"

    def late(real: Any) -> Any:
        async def apply(self: Any, *given: Any) -> None:
            await real(self, *given)
            if on():
                await asyncio.sleep(1.0)
                if on():
                    await self._pool.execute(back, writer.TOPIC)

        return apply

    _swap(writer.Writer, "_apply", late)


def tired_after_a_failure(on: Callable[[], bool]) -> None:
    """A provider that failed once is not called for a long time."""
    from services.delivery import deadlines

    pause = 18.0
    _swap(deadlines, "back_off", lambda real: lambda job: pause if on() else real(job))


MUTANTS: Final = (
    Mutant(
        "closed-in-silence",
        "ends-once",
        "gateway",
        "a forced end closes logins and tells nobody",
        ("forced", "abandoned"),
        closed_in_silence,
    ),
    Mutant("opened-again", "one-session", "gateway", "a used code opens the login again", ("twice",), opened_again),
    Mutant(
        "never-kept",
        "sessions-are-kept",
        "session-store",
        "events are acknowledged and not applied",
        ("plain", "sms"),
        never_kept,
    ),
    Mutant("any-code-will-do", "no-false-accept", "gateway", "any code is right", ("wrong-codes",), any_code_will_do),
    Mutant(
        "tries-not-counted",
        "try-caps",
        "gateway",
        "the tries of a login are not counted",
        ("guessing",),
        tries_not_counted,
    ),
    Mutant("called-twice", "submissions-are-bounded", "delivery", "each call is made twice", ("sms",), called_twice),
    Mutant(
        "expiry-ignored", "none-after-expiry", "delivery", "codes go out after their life", ("hasty",), expiry_ignored
    ),
    Mutant(
        "not-written-down",
        "no-code-is-lost",
        "delivery",
        "challenges are acknowledged and not written",
        ("abandoned",),
        not_written_down,
    ),
    Mutant(
        "floors-ignored",
        "none-below-a-floor",
        "session-store",
        "a raised floor ends nothing",
        ("ended", "plain"),
        floors_ignored,
    ),
    Mutant(
        "offsets-moved-back",
        "offsets-only-rise",
        "session-store",
        "a stored offset goes back",
        ("plain",),
        offsets_moved_back,
    ),
    Mutant(
        "tired-after-a-failure",
        "heals",
        "delivery",
        "a mail server that was away is not called again for long",
        ("email",),
        tired_after_a_failure,
    ),
)


def _swap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def _sql_when(on: Callable[[], bool], owner: Any, function: str, module: Any, name: str, other: str) -> None:
    """While the function runs up to its first wait for the database, the statement is another one."""
    usual = getattr(module, name)
    assert other != usual, f"{module.__name__}.{name} was written anew: so must its mutant be"

    def patched(real: Any) -> Any:
        async def run(*given: Any) -> Any:
            if on() or getattr(module, name) == other:  # another mutant's own is left alone
                setattr(module, name, other if on() else usual)
            return await real(*given)

        return run

    _swap(owner, function, patched)


def apply_all(service: str, folder: Path) -> None:
    for mutant in MUTANTS:
        if mutant.service == service:
            mutant.apply((folder / mutant.name).exists)
