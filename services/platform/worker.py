"""What a process of several on one port is told by its supervisor, and what it says back."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self


class Place(NamedTuple):
    """Worker `number` of `of`. `line` leads to the supervisor, `listeners` are its own queues on the common port (file
    descriptors both), and in `folder` the workers find each other.
    """

    number: int
    of: int
    line: int
    listeners: tuple[int, ...]
    folder: Path

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Raises `ValueError`."""
        number, of, line, listeners, folder = text.split(":", 4)
        found = tuple(int(each) for each in listeners.split(","))
        return cls(int(number), int(of), int(line), found, Path(folder))

    def text(self) -> str:
        listeners = ",".join(str(each) for each in self.listeners)
        return f"{self.number}:{self.of}:{self.line}:{listeners}:{self.folder}"

    def say_ready(self) -> None:
        with socket.socket(fileno=self.line) as line:
            line.send(b"1")
            line.detach()

    def when_alone(self, hear: Callable[[], None]) -> None:
        """Once the supervisor is gone, however it ended."""
        loop = asyncio.get_running_loop()

        def alone() -> None:
            loop.remove_reader(self.line)
            hear()

        loop.add_reader(self.line, alone)
