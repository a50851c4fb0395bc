"""`/api/openapi.json`: the JSON service as OpenAPI 3.1.

Nothing here is written down a second time. Bodies and answers are the Structs that views take and return
(`operation`). Access and refusals follow from a route's declarations (`guards`), and every sentence is that of a
docstring or of `errors`. That includes the application's own routes that use `@operation`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from flask import Blueprint, Flask, current_app, request
from werkzeug.routing import Rule
from werkzeug.wrappers import Response

from ... import errors
from ...errors import SessionsError
from ...sessions import end_reasons
from ...web import confirmations, csrf
from ...web.guards import Access, declared, sessionless
from ...web.json_routes import ChallengeRequest
from ...web.operation import Operation, described, operation
from ...web.schemas import Failure, SessionState, as_json
from ...web.services import EXTENSION, Services, current_services
from . import Api
from .schemas import PublicKey, PublicKeys
from .signing_keys import AHEAD

_CACHE = "sessions_core_openapi"
_REF = "#/components/schemas/{name}"
_VARIABLE = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>", re.ASCII)
_JSON = "application/json"

Json = dict[str, Any]

documents = Blueprint("sessions_api", __name__, template_folder="templates")


class Document(msgspec.Struct):
    """This document (OpenAPI 3.1)."""

    openapi: str
    info: Json
    servers: list[Json]
    paths: dict[str, Json]
    components: Json


@sessionless
@operation(errors.StoreUnavailable, bare=True)
def jwks() -> PublicKeys | Response:
    """Publish the public halves of the keys that sign tokens (RFC 7517). Half the time between publishing a key and
    signing with it, they may be kept.
    """
    keys = current_services().part(Api).signing_keys.public()
    response = as_json(PublicKeys([PublicKey(**key) for key in keys]))
    response.headers["Cache-Control"] = f"public, max-age={AHEAD // 2000}"
    return response


# RFC 8615 keeps `/.well-known/` at the root of the host, whatever the prefix of the pages.
documents.record(lambda state: state.app.add_url_rule("/.well-known/jwks.json", f"{documents.name}.jwks", jwks))


@documents.get("/api/openapi.json")
@sessionless
@operation(bare=True)
def openapi() -> Document | Response:
    """Describe the JSON service."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    kept: Document | None = app.extensions.get(_CACHE)
    if kept is None:  # the first request: from now on Flask takes no further routes
        kept = app.extensions[_CACHE] = document(app)
    if request.script_root:  # another one behind each prefix of a proxy
        kept = msgspec.structs.replace(
            kept, servers=[{"url": current_services().settings.public_origin + request.script_root}]
        )
    response = as_json(kept)
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


def document(app: Flask) -> Document:
    """Return the description of every route of an application that is an `@operation`."""
    services: Services = app.extensions[EXTENSION]
    routes = [
        (rule, method.lower(), told)
        for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule)
        if (told := described(app.view_functions.get(rule.endpoint))) is not None
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    models: list[type] = [Failure, *dict.fromkeys(each for _, _, told in routes for each in _models(told))]
    answered = [services.extended(each) if issubclass(each, SessionState) else each for each in models]
    refs, schemas = msgspec.json.schema_components(answered, ref_template=_REF)
    schema_of: dict[type, Json] = dict(zip(models, refs, strict=True))
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    paths: dict[str, Json] = {}
    for rule, method, told in routes:
        described_route = _operation(app, rule, method, told, schema_of)
        paths.setdefault(_VARIABLE.sub(r"{\2}", rule.rule), {})[method] = described_route
    return Document(
        openapi="3.1.0",
        info={"title": services.settings.site_name, "version": "1", "summary": "Wallet sign-in and sessions."},
        servers=[{"url": services.settings.public_origin}],
        paths=paths,
        components={"schemas": schemas, "securitySchemes": _security_schemes(services)},
    )


def _models(told: Operation) -> Iterator[type[msgspec.Struct]]:
    yield from (each for each in (told.body, told.query, *told.answers) if each is not None)


def _operation(app: Flask, rule: Rule, method: str, told: Operation, schema_of: dict[type, Json]) -> Json:
    view = app.view_functions[rule.endpoint]
    access = declared(view) or Access()
    text = " ".join(inspect.cleandoc(view.__doc__ or "").split())
    found: Json = {
        "operationId": view.__name__,
        "summary": text.partition(". ")[0].removesuffix("."),
        "description": text,
        "security": list(_security(access, told, method)),
        "responses": {},
    }
    parameters = [*_path(app, rule), *_query(told), *_headers(access, told)]
    if parameters:
        found["parameters"] = parameters
    if told.body is not None:
        content = {_JSON: {"schema": schema_of[told.body]}}
        found["requestBody"] = {"required": told.body_required, "content": content}
    found["responses"][str(told.status)] = _answered(told, schema_of)
    services: Services = app.extensions[EXTENSION]
    every = [*_refusals(access, told, method), *(_of_purposes(services) if told.body is ChallengeRequest else ())]
    for status, refusals in _by_status(filter(services.can_raise, every)).items():
        found["responses"][str(status)] = _refused(status, refusals, schema_of)
    return found


# -- What comes in ---------------------------------------------------------------------------------------------------


def _path(app: Flask, rule: Rule) -> Iterator[Json]:
    for converter, name in _VARIABLE.findall(rule.rule):
        pattern = app.url_map.converters[converter or "default"].regex
        schema = {"type": "string", "pattern": f"^(?:{pattern})$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(told: Operation) -> Iterator[Json]:
    if told.query is None:
        return
    for field in msgspec.structs.fields(told.query):
        schema = msgspec.json.schema(field.type)
        yield {"name": field.encode_name, "in": "query", "required": field.required, "schema": schema}


def _headers(access: Access, told: Operation) -> Iterator[Json]:
    if told.confirms or access.fresh is not None:
        yield {
            "name": confirmations.HEADER,
            "in": "header",
            "description": "After a 403 `step_up_required`: base64url of the JSON object `message`, `challenge`, "
            "`signature`. Ask for the challenge with the `request` of that answer, have its message signed, and send "
            "the refused request again, unchanged.",
            "schema": {"type": "string"},
        }


def _security_schemes(services: Services) -> Json:
    return {
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": services.store.cookie_name,
            "description": "The session of a browser.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRFToken",
            "description": "The `csrf_token` of the cookie's session, as `validate` and every page have it.",
        },
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `session_token` of a client without cookies. "
            "With a session cookie beside it, only that one counts.",
        },
        "signature": {
            "type": "http",
            "scheme": "bearer",
            "description": "The wallet's signature of the challenge's `message`.",
        },
    }


def _security(access: Access, told: Operation, method: str) -> Iterator[dict[str, list[str]]]:
    if told.by_signature:
        yield {"signature": []}
        return
    if not access.demands:
        yield {}
    if access.reads:
        csrf = _unsafe(method) and (access.csrf or errors.CsrfFailed in told.refusals)
        yield {"cookie": [], "csrf": []} if csrf else {"cookie": []}
        yield {"token": []}


# -- What goes out ---------------------------------------------------------------------------------------------------


def _answered(told: Operation, schema_of: dict[type, Json]) -> Json:
    schemas = [schema_of[each] for each in told.answers]
    data = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    enveloped = {
        "type": "object",
        "properties": {"success": {"const": True}, "data": data},
        "required": ["success", "data"],
    }
    said = " Or: ".join(inspect.cleandoc(each.__doc__ or "").partition("\n\n")[0] for each in told.answers)
    content = {_JSON: {"schema": data if told.bare else enveloped}}
    return {"description": " ".join(said.split()), "content": content}


def _refusals(access: Access, told: Operation, method: str) -> Iterator[type[SessionsError]]:
    """Yield what a route may be refused for: by its view, by the guard, and by what they depend on."""
    yield from told.refusals
    for each in {errors.SignInRefused, errors.VerificationUnavailable} & set(told.refusals):
        yield from errors.family(each)  # with those of parts, which may have been imported after the view
    yield from (errors.HostUntrusted, SessionsError)
    if access.reads:
        yield errors.StoreUnavailable
    if access.reads and _unsafe(method):
        yield from (errors.CrossSiteRequest, errors.BadRequest, errors.BodyIncomplete, errors.BodyTooLarge)
        yield errors.RevocationPending
        if access.csrf:
            yield errors.CsrfFailed
    if access.demands:
        yield from errors.family(errors.NotSignedIn)
    if access.permission or access.role or access.session_type:
        yield errors.PermissionDenied
    if told.confirms or access.fresh is not None:
        yield from (errors.StepUpRequired, errors.ConfirmationMalformed, errors.ConfirmationUnclear)
        yield from (*errors.family(errors.VerificationUnavailable), errors.BodyMalformed)
    if told.query is not None:
        yield errors.BadRequest
    if told.body is not None:
        yield from (errors.BodyMalformed, errors.MediaTypeUnsupported)


def _of_purposes(services: Services) -> Iterator[type[SessionsError]]:
    """Yield what texts for the purposes of parts may be refused for."""
    for part in services.parts.values():
        for refusals in part.purposes.values():
            yield from refusals


def _by_status(refusals: Iterable[type[SessionsError]]) -> dict[int, list[type[SessionsError]]]:
    found: dict[int, list[type[SessionsError]]] = {}
    for each in sorted(set(refusals), key=lambda each: (each.status, each.code)):
        found.setdefault(each.status, []).append(each)
    return found


def _refused(status: int, refusals: list[type[SessionsError]], schema_of: dict[type, Json]) -> Json:
    said = [f"- `{each.code}`: {each.message}" for each in refusals]
    answer: Json = {}
    if status == errors.NotSignedIn.status:
        said += ["", "`reason` says why:", ""]
        said += [f"- `{reason}`: {sentence}" for reason, sentence in end_reasons.meanings().items()]
        answer["headers"] = {
            "WWW-Authenticate": {"description": "RFC 6750, section 3.", "schema": {"type": "string"}},
        }
    if status in (errors.RateLimited.status, errors.StoreUnavailable.status):
        whole = {"type": "integer", "minimum": 1}
        answer["headers"] = {"Retry-After": {"description": "In seconds, if it is known.", "schema": whole}}
    codes = {"properties": {"code": {"enum": [each.code for each in refusals]}}}
    schema = {**schema_of[Failure], "properties": {"error": codes}}
    return {"description": "\n".join(said), "content": {_JSON: {"schema": schema}}, **answer}


def _unsafe(method: str) -> bool:
    return method.upper() not in csrf.SAFE_METHODS
