"""The GSM 7-bit default alphabet and its extension (3GPP TS 23.038, 6.2.1): what a text costs as an SMS.

A message is 160 septets, or parts of 153 (TS 23.040, 9.2.3.24.1: a header joins them). A character of the extension
is two septets, an escape and itself, and no part ends between the two.
"""

from typing import Final

DEFAULT: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = frozenset("\f^{}\\[~]|€")
SEGMENT: Final = 160
PART: Final = 153


def foreign(text: str) -> list[str]:
    """The characters that the alphabet does not have, each once: one of them makes a segment 70 characters short."""
    return list(dict.fromkeys(letter for letter in text if letter not in DEFAULT and letter not in EXTENSION))


def septets(text: str) -> int:
    """For a text of the alphabet."""
    return len(text) + sum(letter in EXTENSION for letter in text)


def segments(text: str) -> int:
    """How many messages are paid for."""
    if septets(text) <= SEGMENT:
        return 1
    parts, used = 1, 0
    for letter in text:
        cost = 2 if letter in EXTENSION else 1
        if used + cost > PART:
            parts, used = parts + 1, 0
        used += cost
    return parts
