"""An account's colour can be read whatever it is, its logo is a picture and nothing else."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.login_gateway import logos
from services.login_gateway.brands import Brand, Logo, checked, stamp
from services.login_gateway.colours import DARK_GROUND, LIGHT_GROUND, accent, contrast
from services.login_gateway.logos import BadLogo
from services.platform.http import Problem
from services.platform.ui import pages

SHEET = (Path(pages.__file__).parent / "static" / "gatepost.css").read_text()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int = 2, height: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\xff\0\0\xff\0\0" * 2))
    return logos.PNG + header + pixels + chunk(b"IEND", b"")


def svg(inside: str = '<path d="M0 0h9v9z"/>', more: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"{more}>{inside}</svg>'.encode()


@given(st.integers(0, 0xFFFFFF))
def test_every_colour_becomes_one_that_can_be_read_in_light_and_dark(number: int):
    for ground in (LIGHT_GROUND, DARK_GROUND):
        found = accent(f"#{number:06x}", ground)
        assert contrast(found.colour, ground) >= 4.5
        assert contrast(found.on_it, found.colour) >= 4.5


def test_a_colour_that_can_be_read_stays_as_it_is():
    assert accent("#1f3c88", LIGHT_GROUND) == ("#1f3c88", "#ffffff")
    assert accent("#ffdd00", DARK_GROUND) == ("#ffdd00", "#000000")
    assert round(contrast("#000000", "#ffffff"), 6) == 21


def test_the_grounds_are_those_of_the_style_sheet():
    assert f"--ground: {LIGHT_GROUND}" in SHEET
    assert f"--paper: {DARK_GROUND}" in SHEET


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("image/png", png()),
        ("image/png", png(1024, 1)),
        ("image/svg+xml", svg()),
        ("image/svg+xml", b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- made by hand -->' + svg()),
        ("image/svg+xml", svg('<defs><linearGradient id="a"><stop/></linearGradient></defs><g fill="url(#a)"/>')),
    ],
)
def test_a_picture_is_taken(kind: str, data: bytes):
    logos.check(kind, data)


BAD = [
    ("image/png", b""),
    ("image/png", svg()),
    ("image/png", png(1025, 1)),
    ("image/png", png(0, 1)),
    ("image/png", png()[:-1]),
    ("image/png", png() + b"<script>"),
    ("image/png", png().replace(b"IDAT", b"IDAX")),
    ("image/png", logos.PNG),
    ("image/png", logos.PNG + chunk(b"IEND", b"")),
    ("image/png", logos.PNG + chunk(b"IHDR", b"short") + chunk(b"IDAT", b"") + chunk(b"IEND", b"")),
    ("image/gif", b"GIF89a"),
    ("image/svg+xml", png()),
    ("image/svg+xml", b"<html/>"),
    ("image/svg+xml", b"<svg/>"),
    ("image/svg+xml", svg("<path>")),
    ("image/svg+xml", svg("<script>1</script>")),
    ("image/svg+xml", svg("<style>*{}</style>")),
    ("image/svg+xml", svg("<foreignObject/>")),
    ("image/svg+xml", svg('<image href="https://evil.example/x.png"/>')),
    ("image/svg+xml", svg('<a href="https://evil.example"/>')),
    ("image/svg+xml", svg('<use href="#a"/>')),
    ("image/svg+xml", svg('<animate attributeName="d"/>')),
    ("image/svg+xml", svg('<g xmlns="http://www.w3.org/1999/xhtml"><script/></g>')),
    ("image/svg+xml", svg(more=' onload="x()"')),
    ("image/svg+xml", svg(more=' ONCLICK="x()"')),
    ("image/svg+xml", svg(more=' style="fill:red"')),
    ("image/svg+xml", svg(more=' fill="url(https://evil.example/#a)"')),
    ("image/svg+xml", svg(more=" fill=\"URL( '//evil.example')\"")),
    ("image/svg+xml", svg(more=r' fill="u\72l(https://evil.example/#a)"')),
    ("image/svg+xml", svg(more=" fill=\"image-set('https://evil.example/' 1x)\"")),
    ("image/svg+xml", svg('<path xmlns:x="http://www.w3.org/1999/xlink" x:href="https://evil.example"/>')),
    ("image/svg+xml", b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + svg("&a;")),
    ("image/svg+xml", b'<?xml-stylesheet href="https://evil.example"?>' + svg()),
    ("image/svg+xml", svg("<![CDATA[x]]>")),
    ("image/svg+xml", svg().decode().encode("utf-16")),
    ("image/svg+xml", svg("<path/>" * 5000)),
]


@pytest.mark.parametrize(("kind", "data"), BAD, ids=[f"{number}" for number in range(len(BAD))])
def test_what_is_more_than_a_picture_or_less_is_refused(kind: str, data: bytes):
    with pytest.raises(BadLogo):
        logos.check(kind, data)


@pytest.mark.parametrize(
    ("brand", "field"),
    [
        (Brand(name=""), "name"),
        (Brand(name=" x"), "name"),
        (Brand(name="x" * 61), "name"),
        (Brand(name="two\nlines"), "name"),
        (Brand(name="back\u202ewards"), "name"),
        (Brand(colour="red"), "colour"),
        (Brand(colour="#12345"), "colour"),
        (Brand(colour="#123456;}"), "colour"),
        (Brand(logo=Logo("image/png", b"x")), "logo"),
    ],
)
def test_what_a_page_cannot_show_is_refused_by_its_field(brand: Brand, field: str):
    with pytest.raises(Problem) as bad:
        checked(brand)
    assert (bad.value.name, bad.value.more["field"]) == ("bad-brand", field)


def test_a_stamp_changes_with_everything_that_is_shown():
    brands = [Brand(), Brand(name="A"), Brand(colour="#123456"), Brand(logo=Logo("image/png", png()))]
    assert len({stamp(brand) for brand in brands}) == len(brands)
    assert checked(Brand(colour="#ABCDEF")).colour == "#abcdef"
