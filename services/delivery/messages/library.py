"""The wording, ready to be rendered: one template for each locale, message and form."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from services.delivery.messages.locales import ranges
from services.delivery.messages.sources import FILES, LAYOUT, Source

DEFAULT: Final = "en"
SUBJECT: Final = "Subject:"


class Mail(NamedTuple):
    """An e-mail's subject and the same words twice, as text and as HTML."""

    subject: str
    text: str
    html: str


class Library:
    """Templates that were judged: see `judging.load`."""

    def __init__(self, sources: Mapping[str, Source], default: str = DEFAULT) -> None:
        self.sources, self.default = sources, default
        self.locales = {source.locale.lower(): source.locale for source in sources.values() if source.locale}
        self._used = {(file, tag): self.source_of(file, tag) for file in FILES for tag in self.locales.values()}
        self._environment = SandboxedEnvironment(
            loader=jinja2.FunctionLoader(self._loaded),
            undefined=jinja2.StrictUndefined,
            autoescape=jinja2.select_autoescape(("html",), default=False, default_for_string=False),
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )

    def locale(self, wanted: str | None) -> str:
        """The locale that a user of `wanted` is written to in (RFC 4647, 3.4)."""
        known = (self.locales[tag] for tag in ranges(wanted) if tag in self.locales)
        return next(known, self.default)

    def has(self, wanted: str) -> bool:
        return any(tag in self.locales for tag in ranges(wanted))

    def sms(self, name: str, locale: str, values: Mapping[str, Any]) -> str:
        return self._render(f"{name}.sms.txt", locale, values).strip()

    def mail(self, name: str, locale: str, values: Mapping[str, Any], subject: str | None = None) -> Mail:
        """`subject` replaces the template's own."""
        first, _, body = self._render(f"{name}.txt", locale, values).strip().partition("\n")
        said = subject or first.removeprefix(SUBJECT).strip()
        paragraphs = paragraphs_of(body)
        shown = {"locale": locale, "subject": said, "paragraphs": paragraphs, "code": values.get("code")}
        return Mail(said, "\n\n".join(paragraphs) + "\n", self._render(LAYOUT, locale, shown))

    def source_of(self, file: str, locale: str) -> str:
        """The name of the source that is used: the locale's own, a wider one's, or the default's."""
        wider = () if file == LAYOUT else (*ranges(self.default), DEFAULT)
        names = [*(f"{tag}/{file}" for tag in (*ranges(locale), *wider)), file]
        return next(name for name in names if name in self.sources)

    def template(self, source: str) -> jinja2.Template:
        return self._environment.get_template(source)

    def _render(self, file: str, locale: str, values: Mapping[str, Any]) -> str:
        return self.template(self._used[file, locale]).render(values)

    def _loaded(self, name: str) -> tuple[str, str, None] | None:
        source = self.sources.get(name)
        return (source.text, str(source.path), None) if source is not None else None


def paragraphs_of(body: str) -> list[str]:
    """What stands between empty lines."""
    lines = [line.strip() for line in body.strip().split("\n")]
    return [each.strip("\n") for each in "\n".join(lines).split("\n\n") if each.strip("\n")]
