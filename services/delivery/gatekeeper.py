"""What keeps the guard going beside the messages: accounts' settings in, the day's figures out."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from services.delivery.gate import Figure, Gate, Sum
from services.delivery.guard import Own
from services.platform.postgres import AWAY


class Kept(Protocol):
    async def add(self, figures: Mapping[Figure, Sum]) -> None: ...


class Wishes(Protocol):
    async def changes(self) -> Sequence[tuple[UUID, Own | None]]: ...


class Gatekeeper:
    def __init__(self, gate: Gate, kept: Kept, wishes: Wishes) -> None:
        self.gate, self._kept, self._wishes = gate, kept, wishes

    async def refresh(self) -> None:
        self.gate.update(await self._wishes.changes())
        await self.write()

    async def write(self) -> None:
        """The figures that are not in Postgres yet; they stay while it is away."""
        figures = self.gate.figures()
        try:
            await self._kept.add(figures)
        except AWAY:
            self.gate.add(figures)
            raise
