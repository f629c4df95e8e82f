"""Numbers of things, as one says them."""


def plural(many: int, word: str) -> str:
    return f"{many} {word}" if many == 1 else f"{many} {word}s"
