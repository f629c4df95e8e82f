"""Where things lie in this checkout."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
STATE: Final = ROOT / ".gatepost"
CACHE: Final = STATE / "cache"


class Trouble(Exception):
    """Something here cannot go on; the text says what to do about it."""
