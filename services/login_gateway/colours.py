"""Colours that can be read on ours: contrast after WCAG 2.2, section 1.4.3."""

import re
from typing import Final, NamedTuple

HEX: Final = re.compile(r"#[0-9a-f]{6}")
LEAST: Final = 4.5
# The grounds of services/platform/ui/static/gatepost.css, each scheme's harder one.
LIGHT_GROUND: Final = "#f3f4f1"
DARK_GROUND: Final = "#1b1f1d"
STEPS: Final = 20


class Accent(NamedTuple):
    """A colour that links and buttons have, and what is written on it."""

    colour: str
    on_it: str


def accent(colour: str, ground: str) -> Accent:
    """The colour, made as much darker or lighter as it takes to be read on that ground."""
    towards = "#000000" if luminance(ground) > 0.18 else "#ffffff"
    tried = (mixed(colour, towards, step / STEPS) for step in range(STEPS + 1))
    readable = next(each for each in tried if contrast(each, ground) >= LEAST)
    return Accent(readable, max("#ffffff", "#000000", key=lambda text: contrast(text, readable)))


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour `#rrggbb`."""
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def mixed(colour: str, with_: str, part: float) -> str:
    pairs = zip(_parts(colour), _parts(with_), strict=True)
    return "#" + "".join(f"{round(one * (1 - part) + other * part):02x}" for one, other in pairs)


def _parts(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
