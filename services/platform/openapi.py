"""OpenAPI 3.1 of a service: its who table says who may make a call, its calls' structs what goes in and comes out."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
import msgspec.inspect

from services import VERSION
from services.platform.auth import Right, Rights

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
EVENTS: Final = "text/event-stream"
FORM: Final = "application/x-www-form-urlencoded"
_PROBLEM: Final = "application/problem+json"
_SCHEMAS: Final = "#/components/schemas/"
_SECURITY: Final = {
    "client": {"type": "http", "scheme": "basic", "description": "A client: `client_id` and its secret."},
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A person: the `gp_…` token of a sign-in with `audience: gatepost`.",
    },
}
_INFO: Final = (
    "Errors are problem documents (RFC 9457); docs/problems.md explains each. Times are RFC 3339 in UTC. "
    "Answers may get more fields: ignore what you do not know."
)
_MEANS: Final = {
    400: "The request does not fit",
    401: "Who calls is not known",
    403: "Who calls may not",
    404: "There is no such thing for whoever calls",
    409: "It is in the way of something else",
    410: "It is over",
    412: "It was changed meanwhile",
    413: "The body is too large",
    415: "The body is of another kind",
    422: "A value cannot be used",
    429: "Too much; `Retry-After` says when again",
    500: "A mistake of ours; the log has it",
    503: "Not now; `Retry-After` says when again",
}
_RETRY: Final = {"Retry-After": {"description": "Seconds", "required": True, "schema": {"type": "integer"}}}


class Text(NamedTuple):
    """A body that is no JSON, or lines of it."""

    media: str
    schema: Mapping[str, Any] = {"type": "string"}


class Call(NamedTuple):
    """One call. `gives`: what each success answers with: a struct, one of several, a `Text`, or None for no body.

    `problems`: the names of errors by status, beyond those that every call of its kind has.
    """

    says: str
    gives: Mapping[int, Any]
    takes: Any = None
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, str] = {}
    problems: Mapping[int, tuple[str, ...]] = {}
    answers_with: Mapping[str, str] = {}
    """Headers of the successes, with their meaning."""
    may_be_empty: bool = False
    """Whether the body may be left out."""


class ProblemBody(msgspec.Struct):
    """RFC 9457; some problems have fields of their own beside these."""

    type: Annotated[str, msgspec.Meta(pattern="^urn:gatepost:[a-z-]+$")]
    title: str
    status: int
    detail: str


class Healthy(msgspec.Struct):
    status: Literal["ok"]
    service: str


class Ready(msgspec.Struct):
    """Beside these, what the service tells of itself."""

    status: Literal["ready"]
    service: str


class NotReady(msgspec.Struct):
    status: Literal["not-ready"]
    service: str
    reason: str


COMMON: Final[Mapping[tuple[str, str], Call]] = {
    ("GET", "/healthz"): Call("Whether the process runs", {200: Healthy}),
    ("GET", "/readyz"): Call("Whether it can do its work", {200: Ready, 503: NotReady}),
    ("GET", "/metrics"): Call("Figures for Prometheus", {200: Text("text/plain")}),
    ("GET", "/openapi.json"): Call("This description", {200: Text(JSON, {"type": "object"})}),
}


def lines_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """A struct's schema with all that stands in it: for lines of a `Text`, which names no component."""
    parts = msgspec.json.schema(kind)["$defs"]

    def whole(schema: Any) -> Any:
        if isinstance(schema, list):
            return [whole(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return whole(parts[schema["$ref"].rpartition("/")[2]])
        return {name: whole(of) for name, of in schema.items()}

    return dict(whole(parts[kind.__name__]))


def document(title: str, rights: Rights, calls: Mapping[tuple[str, str], Call]) -> dict[str, Any]:
    """Raises `KeyError` where a call of the who table is not described."""
    table: dict[tuple[str, str], tuple[Right | None, Call]] = {at: (right, calls[at]) for at, right in rights.items()}
    table |= {at: (None, call) for at, call in COMMON.items()}
    schemas = _Schemas(call for _, call in table.values())
    paths: dict[str, Any] = {}
    for (method, path), (right, call) in table.items():
        paths.setdefault(path, {})[method.lower()] = _operation(schemas, method, path, right, call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": VERSION,
            "description": _INFO,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"securitySchemes": _SECURITY, "schemas": schemas.components},
    }


class _Schemas:
    """The structs of all calls as JSON Schema, each once; a query's stands in its parameters instead."""

    def __init__(self, calls: Iterable[Call]) -> None:
        calls = list(calls)
        queries = [call.query for call in calls if call.query is not None]
        taken = [call.takes for call in calls if _is_struct(call.takes)]
        given = [kind for call in calls for of in call.gives.values() for kind in _kinds(of) if _is_struct(kind)]
        every = list(dict.fromkeys([*queries, *taken, *given, ProblemBody]))
        refs, self.components = msgspec.json.schema_components(every, ref_template=_SCHEMAS + "{name}")
        self._refs = dict(zip(every, refs, strict=True))
        self._queries = {kind: self.components.pop(self._name(kind)) for kind in dict.fromkeys(queries)}
        for kind in _structs(given) - _structs(taken) - _structs([ProblemBody]):
            if not kind.__struct_config__.omit_defaults:
                schema = self.components[self._name(kind)]
                schema["required"] = list(schema.get("properties", ()))

    def of(self, kind: Any) -> dict[str, Any]:
        kinds = [dict(one.schema) if isinstance(one, Text) else dict(self._refs[one]) for one in _kinds(kind)]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}

    def parameters(self, kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
        schema = self._queries[kind]
        needed = schema.get("required", ())
        return [
            {"name": name, "in": "query", "required": name in needed, "schema": _given(of)}
            for name, of in schema["properties"].items()
        ]

    def _name(self, kind: type[msgspec.Struct]) -> str:
        ref = self._refs.get(kind) or msgspec.json.schema(kind, ref_template=_SCHEMAS + "{name}")
        return str(ref["$ref"]).removeprefix(_SCHEMAS)


def _kinds(kind: Any) -> tuple[Any, ...]:
    return kind if isinstance(kind, tuple) and not isinstance(kind, Text) else (kind,)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _structs(kinds: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """Those and all that stand in them."""
    found: set[type[msgspec.Struct]] = set()
    waiting = [msgspec.inspect.type_info(kind) for kind in kinds]
    while waiting:
        one = waiting.pop()
        if isinstance(one, msgspec.inspect.StructType) and one.cls not in found:
            found.add(one.cls)
            waiting += [field.type for field in one.fields]
        waiting += [part for name in ("item_type", "value_type") if (part := getattr(one, name, None))]
        waiting += [*getattr(one, "types", ()), *getattr(one, "item_types", ())]
    return found


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is null for us; null itself cannot be written into a query."""
    parts = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    return parts[0] if len(parts) == 1 else {name: of for name, of in schema.items() if name != "default" or of}


def _operation(schemas: _Schemas, method: str, path: str, right: Right | None, call: Call) -> dict[str, Any]:
    places = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in places]
    parameters += schemas.parameters(call.query) if call.query is not None else []
    parameters += [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in call.headers.items()
    ]
    operation: dict[str, Any] = {
        "operationId": method.lower() + path.replace("/", "_").replace("-", "_").replace("{", "").replace("}", ""),
        "summary": call.says,
        "description": _who(right),
        "parameters": parameters,
        "security": [] if right is None else [{"client": []}, *([{"token": []}] if right.roles else [])],
    }
    if call.takes is not None:
        content = {_media(call.takes): {"schema": schemas.of(call.takes)}}
        operation["requestBody"] = {"required": not call.may_be_empty, "content": content}
    return operation | {"responses": _responses(schemas, method, places, right, call)}


def _who(right: Right | None) -> str:
    if right is None:
        return "Anybody."
    scopes = [f"a client with the scope `{scope}`" for scope in sorted(right.scopes)]
    people = [f"a person with the role `{role}`" for role in sorted(right.roles)]
    text = ", or ".join([*scopes, *people])
    text += "; a client needs account `*`" if right.installation else ""
    return text[0].upper() + text[1:] + ("; a person's sign-in is younger than 15 minutes." if right.fresh else ".")


def _responses(
    schemas: _Schemas, method: str, places: list[str], right: Right | None, call: Call
) -> dict[str, dict[str, Any]]:
    found = {str(status): _success(schemas, kind, call) for status, kind in call.gives.items()}
    for status, names in sorted(_problems(method, places, right, call).items()):
        if status not in call.gives:
            found[str(status)] = _problem(status, names)
    return found


def _success(schemas: _Schemas, kind: Any, call: Call) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done"}
    if kind is not None:
        answer["content"] = {_media(kind): {"schema": schemas.of(kind)}}
    if call.answers_with:
        of = {"schema": {"type": "string"}, "required": True}
        answer["headers"] = {name: {"description": text, **of} for name, text in call.answers_with.items()}
    return answer


def _problems(method: str, places: list[str], right: Right | None, call: Call) -> dict[int, set[str]]:
    """What calls of this kind have in common, and the call's own."""
    found: dict[int, set[str]] = {500: {"internal-error"}, 503: {"database-unavailable"}, 400: {"bad-request"}}
    if places or right is not None:
        found[404] = {"not-found"}
    if right is not None:
        found |= {401: {"unauthenticated"}, 403: {"forbidden"}}
        if right.fresh:
            found[401].add("fresh-sign-in-required")
    if call.takes is not None:
        found |= {413: {"body-too-large"}, 415: {"unsupported-encoding"}}
    for status, names in call.problems.items():
        found[status] = found.get(status, set()) | set(names)
    return found


def _problem(status: int, names: Iterable[str]) -> dict[str, Any]:
    kinds = [f"urn:gatepost:{name}" for name in sorted(names)]
    of = {"allOf": [{"$ref": _SCHEMAS + "ProblemBody"}, {"properties": {"type": {"enum": kinds}}}]}
    text = f"{_MEANS[status]}: {', '.join(f'`{name}`' for name in sorted(names))}"
    headers = {"headers": _RETRY} if status in (429, 503) else {}
    return {"description": text, "content": {_PROBLEM: {"schema": of}}, **headers}


def _media(kind: Any) -> str:
    return kind.media if isinstance(kind, Text) else JSON
