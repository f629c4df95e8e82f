"""Accounts, users and clients, mounted together."""

from aiohttp import web

from services.login_gateway.administration import ADMINISTRATION, Administration
from services.login_gateway.routes import accounts, brands, clients, users


def mount(app: web.Application, administration: Administration) -> None:
    """Add every administrative call to the gateway's application."""
    app[ADMINISTRATION] = administration
    for routes in (accounts, brands, users, clients):
        routes.add(app.router)
