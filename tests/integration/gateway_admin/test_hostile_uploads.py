"""What no page of ours sends to the console's import: it is refused as bad input, and little of it is held."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.login_gateway import csv_rows
from services.login_gateway.pages.account.imports import IMPORT, _lines
from services.platform.cookies import CONSOLE
from services.platform.http import Problem
from tests.integration.gateway_admin.test_pages import Visitor

HALF_A_MILLION = "username\n" + "a\n" * 500_000
ENDLESS = 40_000_000


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n{more}\r\n'.encode() + value + b"\r\n"


async def upload(gateway: Any, account: Any, *parts: Any, kind: str = "multipart/form-data; boundary=b") -> Any:
    """`{}` in the first part becomes the form's token; gives the status, and what the page says is wrong."""
    headers = gateway.user(account["account_id"])
    who = Visitor(gateway, headers)
    token = headers["Authorization"].removeprefix("Bearer ")
    sent = {"Cookie": f"{CONSOLE}={token}", "Accept": "text/html", "Origin": gateway.base, "Content-Type": kind}
    body = parts[0]
    if isinstance(body, bytes):
        body = b"".join(parts).replace(b"{}", (await who.form_token()).encode(), 1)
    async with gateway._http.post(gateway.base + IMPORT, data=body, headers=sent, allow_redirects=False) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (part("form_token", b"\xff") + b"--b--\r\n", "multipart/form-data; boundary=b", 403),
        (b"x", "multipart/form-data", 400),
        (b"x" * 300_000, "multipart/form-data; boundary=b", 400),
        (part("n" * 200_000, b"") + b"--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ncut', "multipart/form-data; boundary=b", 400),
        (b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (part("file", b"x") + part("file", b"y") + b"--b--\r\n", "multipart/form-data; boundary=b", 400),
    ],
    ids=["not UTF-8", "no boundary", "no part", "long name", "cut off", "no header", "twice"],
)
async def test_a_body_that_no_browser_sends_is_bad_input(gateway, account, body: bytes, kind: str, status: int):
    assert (await upload(gateway, account, body, kind=kind))[0] == status


async def test_of_parts_without_end_nothing_is_kept(gateway, account):
    """Refused when there are more than a form has, not after all of them."""
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < ENDLESS:
            sent += len(more := b"".join(part(f"{'n' * 4000}{sent}-{n}", b"") for n in range(20)))
            yield more
        yield b"--b--\r\n"

    assert (await upload(gateway, account, parts()))[0] == 400
    assert sent < ENDLESS


async def test_claims_that_are_nested_deep_fail_their_line_only(gateway, account):
    file = b'username,claims\nx,"' + b"[" * 100_000 + b'"\n'
    status, _ = await upload(gateway, account, part("form_token", b"{}"), part("file", file), b"--b--\r\n")
    assert status == 303
    (_, bad), (_, good) = csv_rows.rows(["username,claims\n", 'x,"' + "[" * 100_000 + '"\n', "y,\n"])
    assert isinstance(bad, csv_rows.BadRow)
    assert [fault.detail for fault in bad.faults] == ['claims must be a JSON object, like {"plan": "pro"}.']
    assert good == b'{"username": "y"}'


def test_a_file_of_half_a_million_lines_is_not_read_to_its_end():
    """The process serves everybody: what one file costs it has a limit."""
    before = time.process_time()
    with pytest.raises(Problem, match="bad-request"):
        _lines(HALF_A_MILLION)
    assert time.process_time() - before < 1
