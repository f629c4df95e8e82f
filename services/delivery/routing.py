"""Which provider takes the next message of a channel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.delivery.provider import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider's row: what an operator may change while it runs."""

    name: str
    channel: str
    enabled: bool
    weight: int
    position: int
    slots: int


class Routing:
    """The enabled provider of the lowest position."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._providers: list[Provider] = []

    def update(self, providers: Iterable[Provider]) -> None:
        self._providers = sorted(providers, key=lambda p: (p.position, p.name))

    def choose(self, channel: str) -> Channel | None:
        for provider in self._providers:
            if provider.channel == channel and provider.enabled and provider.name in self._channels:
                return self._channels[provider.name]
        return None

    def names(self) -> list[tuple[str, str]]:
        return [(channel.name, channel.channel) for channel in self._channels.values()]

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
