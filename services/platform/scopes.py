"""What a client may do; each call asks for one of them or for a role."""

from typing import Final, Literal, get_args

Scope = Literal["introspect", "feed", "deliveries:read", "deliveries:replay", "accounts:write", "operate", "internal"]
SCOPES: Final[frozenset[str]] = frozenset(get_args(Scope))
