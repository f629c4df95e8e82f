"""OpenTelemetry's own variables for where traces go: what of them is wrong is said at the start."""

import re
import ssl
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

DEFAULT: Final = "http://localhost:4318"
PACKAGE: Final = "opentelemetry.exporter.otlp.proto.http"
COMPRESSIONS: Final = ("none", "gzip", "deflate")
HEADER: Final = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=[\x20-\x7e]*")
LONGEST_SECONDS: Final = 60


def faults(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that nothing can be sent with. No line shows a value that may be a secret."""
    return [*_packages(), *_address(environ), *_ways(environ), *_headers(environ), *_files(environ)]


def endpoint(environ: Mapping[str, str]) -> str:
    return _named(environ, "ENDPOINT")[1] or DEFAULT


def _named(environ: Mapping[str, str], what: str) -> tuple[str, str | None]:
    """The variable that counts, and its value: the one for traces before the one for everything."""
    for name in (f"OTEL_EXPORTER_OTLP_TRACES_{what}", f"OTEL_EXPORTER_OTLP_{what}"):
        if name in environ:
            return name, environ[name]
    return f"OTEL_EXPORTER_OTLP_{what}", None


def _packages() -> Iterator[str]:
    try:
        is_there = find_spec(PACKAGE) is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        yield "GATEPOST_TRACES: traces need more packages: pip install '.[traces]' in Gatepost's checkout"


def _address(environ: Mapping[str, str]) -> Iterator[str]:
    name, given = _named(environ, "ENDPOINT")
    if given is None:
        return
    try:
        url = urlsplit(given)
        is_one = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and url.username is None
    except ValueError:
        is_one = False
    if not is_one:
        yield f"{name}: not an address such as {DEFAULT}, without a password in it"


def _ways(environ: Mapping[str, str]) -> Iterator[str]:
    name, protocol = _named(environ, "PROTOCOL")
    if protocol not in (None, "http/protobuf"):
        yield f"{name}: Gatepost speaks http/protobuf only (a collector's port 4318)"
    name, compression = _named(environ, "COMPRESSION")
    if compression is not None and compression.strip().lower() not in COMPRESSIONS:
        yield f"{name}: one of {', '.join(COMPRESSIONS)}"
    name, timeout = _named(environ, "TIMEOUT")
    if timeout is not None and not _is_time(timeout):
        yield f"{name}: seconds, more than 0 and {LONGEST_SECONDS} at most"


def _is_time(text: str) -> bool:
    try:
        return 0 < float(text) <= LONGEST_SECONDS
    except ValueError:
        return False


def _headers(environ: Mapping[str, str]) -> Iterator[str]:
    name, given = _named(environ, "HEADERS")
    if given and not all(HEADER.fullmatch(part) for part in given.split(",")):
        yield f"{name}: not a list of name=value, divided by commas"


def _files(environ: Mapping[str, str]) -> Iterator[str]:
    given = [_named(environ, what) for what in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")]
    authority, certificate, key = (path for _, path in given)
    names = ", ".join(name for name, path in given if path is not None)
    if key is not None and certificate is None:
        yield f"{names}: a key without its certificate"
        return
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as bad:
        yield f"{names}: not to be used ({type(bad).__name__})"
