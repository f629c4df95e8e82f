"""The session store's settings."""

from pydantic import Field

from services.platform.settings import ServiceSettings


class SessionStoreSettings(ServiceSettings):
    cached_sessions: int = Field(default=300_000, ge=1000, description="of these two thirds are held at most")

    @property
    def issuer(self) -> str | None:
        """The public URL, if one was given (RFC 8414 §2)."""
        return self.public_url.rstrip("/") if "public_url" in self.model_fields_set else None
