"""Pictures that an account gives for its sign-in pages: PNG or SVG, small, and nothing in them but a picture."""

import re
import struct
import zlib
from typing import Final
from xml.etree import ElementTree

LARGEST: Final = 32 * 1024
MOST_PIXELS: Final = 1024
PNG: Final = b"\x89PNG\r\n\x1a\n"
SVG: Final = "{http://www.w3.org/2000/svg}"
SHAPES: Final = frozenset(("path", "rect", "circle", "ellipse", "line", "polyline", "polygon"))
GROUPS: Final = frozenset(("svg", "g", "defs", "clipPath", "linearGradient", "radialGradient", "stop", "title", "desc"))
NO_ATTRIBUTE: Final = re.compile(r"on|style$|href$|.*[}:]href$|src$", re.IGNORECASE)
# A backslash is an escape of CSS: `u\72l(` is `url(`.
ELSEWHERE: Final = re.compile(r"\\|(?:url|src)\s*\(\s*['\"]?(?!#)|image(?:-set)?\s*\(", re.IGNORECASE)


class BadLogo(ValueError):
    """The text says what is wrong with the picture."""


def check(kind: str, data: bytes) -> None:
    """Raises `BadLogo`. `kind` is `image/png` or `image/svg+xml`."""
    if len(data) > LARGEST:
        raise BadLogo(f"The logo is larger than {LARGEST // 1024} KiB.")
    match kind:
        case "image/png":
            _check_png(data)
        case "image/svg+xml":
            _check_svg(data)
        case _:
            raise BadLogo("A logo is image/png or image/svg+xml.")


def _check_png(data: bytes) -> None:
    """Whole chunks from the header to the end, and nothing after it (W3C PNG, section 5)."""
    if not data.startswith(PNG):
        raise BadLogo("This is no PNG.")
    names, at = [], len(PNG)
    while at < len(data):
        name, body, at = _chunk(data, at)
        names.append(name)
        if len(names) == 1 and (name != b"IHDR" or not all(0 < side <= MOST_PIXELS for side in _sides(body))):
            raise BadLogo(f"A PNG has 1 to {MOST_PIXELS} pixels each way.")
    if not names or names[-1] != b"IEND" or b"IDAT" not in names or names.count(b"IEND") > 1:
        raise BadLogo("This PNG is not whole.")


def _chunk(data: bytes, at: int) -> tuple[bytes, bytes, int]:
    try:
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + size)
    except struct.error:
        raise BadLogo("This PNG is not whole.") from None
    if zlib.crc32(name + body) != checksum:
        raise BadLogo("This PNG is damaged.")
    return name, body, at + 12 + size


def _sides(header: bytes) -> tuple[int, int]:
    return struct.unpack_from(">II", header) if len(header) == 13 else (0, 0)


def _check_svg(data: bytes) -> None:
    """Shapes and gradients only: no script, no style, no text, nothing from elsewhere."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadLogo("An SVG is UTF-8.") from None
    if re.search(r"<!(?!--)|<\?(?!xml )", text):
        raise BadLogo("An SVG has no DOCTYPE, no entities, no CDATA and no instructions.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without DOCTYPE there are no entities
    except ElementTree.ParseError:
        raise BadLogo("This is no SVG: it is not well-formed.") from None
    if root.tag != f"{SVG}svg":
        raise BadLogo("This is no SVG.")
    for element in root.iter():
        _check_element(element)


def _check_element(element: ElementTree.Element) -> None:
    name = str(element.tag)
    if not name.startswith(SVG) or name.removeprefix(SVG) not in SHAPES | GROUPS:
        raise BadLogo("An SVG may hold shapes, groups and gradients, nothing else.")
    for attribute, value in element.attrib.items():
        if NO_ATTRIBUTE.match(attribute) or ELSEWHERE.search(value):
            raise BadLogo("An SVG may hold no script, no style and nothing from elsewhere.")
