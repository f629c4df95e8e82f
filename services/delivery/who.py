"""Who may call what: one row a call, walked by a test with every role, scope and a foreign account."""

from typing import Final

from services.platform.auth import Right, right

_READ: Final = right("deliveries:read", roles=("admin", "operator"))
_READ_ALL: Final = right("deliveries:read", "operate", roles=("operator",), installation=True)
_OPERATE: Final = right("operate", roles=("operator",), fresh=True)
_LOOK: Final = right("operate", roles=("operator",))
_INSTALLATION: Final = right("operate", roles=("operator",), installation=True)
_INSTALLATION_FRESH: Final = right("operate", roles=("operator",), installation=True, fresh=True)
_REPLAY: Final = right("deliveries:replay", roles=("admin", "operator"), fresh=True)

RIGHTS: Final[dict[tuple[str, str], Right]] = {
    ("GET", "/v1/deliveries"): _READ,
    ("GET", "/v1/deliveries/stream"): _READ,
    ("GET", "/v1/deliveries/health"): _READ_ALL,
    ("GET", "/v1/deliveries/pauses"): _READ,
    ("POST", "/v1/deliveries/pause"): _OPERATE,
    ("POST", "/v1/deliveries/resume"): _OPERATE,
    ("GET", "/v1/timelines/{login_id}"): _READ,
    ("GET", "/v1/replays"): _READ,
    ("POST", "/v1/replays"): _REPLAY,
    ("GET", "/v1/replays/{replay_id}"): _READ,
    ("POST", "/v1/replays/{replay_id}/stop"): _REPLAY,
    ("GET", "/v1/dead-letters"): _INSTALLATION,
    ("POST", "/v1/dead-letters/replay"): _INSTALLATION_FRESH,
    ("POST", "/v1/dead-letters/discard"): _INSTALLATION_FRESH,
    ("GET", "/v1/dead-letters/{letter_id}"): _INSTALLATION_FRESH,
    ("GET", "/v1/dead-letters/{letter_id}/record"): _INSTALLATION_FRESH,
    ("POST", "/v1/dead-letters/{letter_id}/replay"): _INSTALLATION_FRESH,
    ("POST", "/v1/dead-letters/{letter_id}/discard"): _INSTALLATION_FRESH,
    ("GET", "/v1/providers"): _INSTALLATION,
    ("PATCH", "/v1/providers/{provider}"): _INSTALLATION_FRESH,
    ("GET", "/v1/routes"): _INSTALLATION,
    ("PUT", "/v1/routes"): _INSTALLATION_FRESH,
    ("GET", "/v1/guard"): _LOOK,
    ("GET", "/v1/guard/{account}"): _LOOK,
    ("PUT", "/v1/guard/{account}"): _OPERATE,
    ("DELETE", "/v1/guard/{account}"): _OPERATE,
    ("POST", "/v1/guard/{account}/allow"): _OPERATE,
    ("GET", "/v1/wordings/{account}"): _LOOK,
    ("PUT", "/v1/wordings/{account}"): _OPERATE,
    ("DELETE", "/v1/wordings/{account}"): _OPERATE,
    ("POST", "/v1/wordings/{account}/preview"): _LOOK,
}
