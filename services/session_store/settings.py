"""The session store's settings."""

from pydantic import Field

from services.platform.settings import ServiceSettings


class SessionStoreSettings(ServiceSettings):
    cached_sessions: int = Field(default=200_000, ge=1000)
