"""What was typed is not lost where a form asks for a fresh sign-in: the browser keeps it, sealed, and the page that one
comes back to shows it once more. It opens for the same person on the same page only. Passwords and files are not kept.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from services.login_gateway.pages.account.desk import DESK, wrong
from services.platform.cookies import TYPED
from services.platform.http import Problem
from services.platform.ui.console import VISITOR, framed, is_fresh

SECONDS: Final = 900
LONGEST: Final = 3500
"""Browsers take 4 KiB for a cookie."""


def shown(
    request: web.Request,
    template: str,
    *,
    given: Mapping[str, str] | None = None,
    problem: Problem | None = None,
    hint: Problem | None = None,
    at: str = "",
    **context: Any,
) -> web.Response:
    """A page of the console with a form. `given` is what was typed into one that was not taken, because of `problem`;
    a `hint` is shown like one, where nothing was refused yet. `at` is the page, where the form has another address.
    """
    fresh = is_fresh(request[VISITOR].user)
    sealed = _sealed(request, at, given) if given and not fresh else None
    back = typed_before(request) is not None
    status = 200 if problem is None else problem.status
    told = {"wrong": wrong(request, problem or hint), "kept": sealed is not None, "back": back}
    answer = framed(request, template, status, **(told | context))
    if sealed is not None:
        answer.set_cookie(TYPED, sealed, max_age=SECONDS, path="/", secure=True, httponly=True, samesite="Lax")
    elif back:
        answer.del_cookie(TYPED, path="/", secure=True, httponly=True, samesite="Lax")
    return answer


def typed_before(request: web.Request) -> dict[str, str] | None:
    """What was typed here before the sign-in that one comes from."""
    sealed = request.cookies.get(TYPED, "")
    if not sealed or request.method != "GET" or not is_fresh(request[VISITOR].user):
        return None
    text = request.app[DESK].opened(_purpose(request, request.path), sealed)
    return msgspec.json.decode(text, type=dict[str, str]) if text is not None else None


def _sealed(request: web.Request, at: str, given: Mapping[str, str]) -> str | None:
    """None where it is too much for a cookie."""
    values = {name: value for name, value in given.items() if "password" not in name and name != "file"}
    sealed = request.app[DESK].sealed(_purpose(request, at or request.path), msgspec.json.encode(values).decode())
    return sealed if values and len(sealed) <= LONGEST else None


def _purpose(request: web.Request, page: str) -> str:
    return f"typed\x1f{request[VISITOR].user.user_id}\x1f{page}"
