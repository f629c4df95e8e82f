"""A clock that moves only when a test moves it."""


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now
