"""What a browser's form sends."""

from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from services.platform.http import Problem, raw_body

MOST_FIELDS: Final = 64
FIELDS: Final = web.RequestKey("fields", dict)
"""What a form held, for the page that is shown where it could not be taken."""


async def form(request: web.Request) -> dict[str, str]:
    """The fields of an `application/x-www-form-urlencoded` body. Raises 400, 413, 415."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(415, "form-required", "Send the form of the page.")
    try:
        text = (await raw_body(request)).decode()
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise Problem(400, "bad-request", "The form cannot be read.") from None
    found = dict(fields)
    if len(found) != len(fields):
        raise Problem(400, "bad-request", "A form field is given twice.")
    request[FIELDS] = dict(found)
    return found
