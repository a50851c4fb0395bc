"""The document of the JSON service: complete, valid, and what the running application keeps to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import one_of
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from sessions_core import errors
from sessions_core.parts.api.openapi import document
from sessions_core.parts.api.routes import RefreshRequest
from sessions_core.parts.development_redis import embedded
from sessions_core.sessions import end_reasons
from sessions_core.web.guards import public, sessionless
from sessions_core.web.operation import described, operation

from ...actors import ORIGIN, SESSION_COOKIE, Visitor, Wallet, as_header, handle_of
from ...constants import ROOT
from ...time_machine import TimeMachine

PATH = "/api/openapi.json"
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# What may be said to a request that is wrong in several ways: what weighs most.
CONFIG = {
    "checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 413, 415]}},
    "generation": {"with-security-parameters": False},  # the caller brings its own
}
EXAMPLES = 25  # of each operation, good and bad ones in turn


@pytest.fixture
def described_service(app: Flask, visitor: Visitor) -> dict[str, Any]:
    """The document as the application serves it."""
    return visitor.get(PATH).get_json()


@pytest.fixture
def schema(app: Flask, described_service: dict[str, Any]) -> OpenApiSchema:
    loaded = schemathesis.openapi.from_dict(described_service, config=SchemathesisConfig.from_dict(CONFIG))
    loaded.app = app
    return loaded


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every operation by method and path."""
    return {
        f"{method.upper()} {path}": told
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    }


# -- The document ----------------------------------------------------------------------------------------------------


def test_the_document_is_valid_openapi_3_1(schema: OpenApiSchema, described_service: dict[str, Any]) -> None:
    assert described_service["openapi"] == "3.1.0"
    schema.validate()
    broken = schemathesis.openapi.from_dict(described_service | {"paths": {"/": {"get": {"responses": {"x": 1}}}}})
    with pytest.raises(Exception, match="x"):
        broken.validate()


JSON_ROUTES = ("/api/", "/.well-known/", "/livez", "/readyz")


def test_every_json_route_is_in_the_document_and_nothing_else_is(
    app: Flask, described_service: dict[str, Any]
) -> None:
    routes = {
        f"{method} " + re.sub(r"<.*:(.*)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(JSON_ROUTES) and not rule.websocket  # OpenAPI has no words for those
    }
    assert set(operations(described_service)) == routes
    assert len(routes) >= 12
    for rule in app.url_map.iter_rules():
        known = described(app.view_functions[rule.endpoint]) is not None
        assert known == (rule.rule.startswith(JSON_ROUTES) and not rule.websocket), rule


def test_document_needs_no_session_and_no_redis(make_app: Callable[..., Flask], tmp_path: Any) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=f"unix://{tmp_path}/nobody.sock")
    answer = Visitor(app).get(PATH)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers.getlist("Set-Cookie") == []


def test_every_documented_code_is_known_with_its_status(
    described_service: dict[str, Any],
) -> None:
    known, seen = errors.catalogue(), set()
    for name, told in operations(described_service).items():
        for status, answer in told["responses"].items():
            schema = answer["content"]["application/json"]["schema"]
            if int(status) >= 400:
                codes = schema["properties"]["error"]["properties"]["code"]["enum"]
                assert {known[code].status for code in codes} == {int(status)}, (name, status)
                seen |= set(codes)
    # What no route is there to be refused for, and the refusals of a WebSocket.
    of_websocket = {"live_updates_unavailable", "websocket_malformed", "websocket_version_unsupported"}
    assert known.keys() - seen == {"method_not_allowed", *of_websocket}


def test_documented_bodies_match_their_validation(described_service: dict[str, Any]) -> None:
    body = operations(described_service)["POST /api/auth/sessions/refresh"]["requestBody"]
    assert body == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RefreshRequest"}}},
    }
    model = described_service["components"]["schemas"]["RefreshRequest"]
    assert model["required"] == ["refresh_token"]
    longest = model["properties"]["refresh_token"]["maxLength"]
    msgspec.convert({"refresh_token": "x" * longest}, RefreshRequest)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"refresh_token": "x" * (longest + 1)}, RefreshRequest)
    assert not operations(described_service)["POST /api/auth/sessions/logout"]["requestBody"]["required"]


@pytest.mark.parametrize(
    ("name", "security"),
    [
        ("GET /api/auth/sessions/validate", [{"cookie": []}, {"token": []}]),
        ("POST /api/auth/sessions/keep-alive", [{"cookie": [], "csrf": []}, {"token": []}]),
        ("POST /api/auth/challenges", [{}, {"cookie": []}, {"token": []}]),
        ("POST /api/auth/sessions", [{"signature": []}]),
        ("POST /api/auth/sessions/logout", [{}, {"cookie": [], "csrf": []}, {"token": []}]),
        ("GET /.well-known/jwks.json", [{}]),
    ],
)
def test_each_route_documents_its_security(
    described_service: dict[str, Any], name: str, security: list[dict[str, list[str]]]
) -> None:
    assert operations(described_service)[name]["security"] == security
    assert {each for way in security for each in way} <= described_service["components"]["securitySchemes"].keys()


def test_the_cookie_is_named_as_this_site_names_it(make_app: Callable[..., Flask]) -> None:
    def cookie(app: Flask) -> str:
        return str(document(app).components["securitySchemes"]["cookie"]["name"])

    assert cookie(make_app()) == "__Host-session"
    assert cookie(make_app(SESSIONS_CORE_COOKIE_SECURE=False)) == "session"


def test_a_401_names_its_reasons_and_a_step_up_its_header(described_service: dict[str, Any]) -> None:
    told = operations(described_service)["DELETE /api/auth/sessions/{handle}"]
    assert all(f"- `{reason}`: " in told["responses"]["401"]["description"] for reason in end_reasons.meanings())
    assert "step_up_required" in told["responses"]["403"]["description"]
    assert [each["name"] for each in told["parameters"]] == ["handle", "Wallet-Confirmation"]


def test_app_route_declared_as_an_operation_is_described(app: Flask) -> None:
    class Greeting(msgspec.Struct):
        """A greeting."""

        text: str

    class Name(msgspec.Struct):
        name: str = "nobody"

    def greet(query: Name) -> Greeting:
        """Greet. Politely."""
        return Greeting(f"Hello {query.name}")

    greet.__annotations__ = {"query": Name, "return": Greeting}
    app.get("/api/greeting")(public(operation()(greet)))
    told = document(app).paths["/api/greeting"]["get"]
    assert (told["summary"], told["description"]) == ("Greet", "Greet. Politely.")
    assert told["parameters"] == [
        {"name": "name", "in": "query", "required": False, "schema": {"type": "string"}},
    ]
    answer = Visitor(app).get("/api/greeting?name=Ada")
    assert answer.get_json() == {"success": True, "data": {"text": "Hello Ada"}}
    for query in ("name=a&name=b", "name=a&name=a"):
        refused = Visitor(app).get(f"/api/greeting?{query}")
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (400, "bad_request")


def test_the_route_of_the_documents_is_one_of_the_service(app: Flask, wallet: Wallet) -> None:
    text = (ROOT / "docs" / "integrate.md").read_text().partition("## The JSON service")[2]
    code = text.partition("```python\n")[2].partition("```")[0]
    exec(code, {"app": app})
    told = document(app).paths["/api/orders"]["post"]
    assert told["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Order"}
    assert {"201", "400", "401", "403", "415"} <= told["responses"].keys()
    visitor = Visitor(app)
    assert visitor.json("/api/orders", "POST", json={"number": 7}).status_code == 401
    visitor.sign_in(wallet)
    answer = visitor.send("POST", "/api/orders", json={"number": 7})
    assert (answer.status_code, answer.get_json()["data"]) == (201, {"number": 7})
    for body in ({"number": "7"}, {}, []):
        refused = visitor.send("POST", "/api/orders", json=body)
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (400, "body_malformed")


def test_a_bare_answer_has_no_envelope(app: Flask) -> None:
    class Health(msgspec.Struct):
        """Health."""

        ok: bool

    def health() -> Health:
        return Health(True)

    health.__annotations__ = {"return": Health}
    app.get("/health")(sessionless(operation(bare=True)(health)))
    assert Visitor(app).get("/health").get_json() == {"ok": True}
    schema = document(app).paths["/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Health"}


# -- The application, held to it -------------------------------------------------------------------------------------


class Caller:
    """Who calls: a visitor, somebody with a cookie, or somebody with a token; signed in anew whenever that ended."""

    def __init__(self, app: Flask, kind: str) -> None:
        self.visitor, self.wallet, self.kind = Visitor(app), Wallet(), kind
        self.token = ""

    def credentials(self) -> dict[str, dict[str, str]]:
        """The headers and cookies that come along with a request."""
        if self.kind == "visitor":
            return {}
        if self.kind == "cookie":
            if not self.visitor.signed_in:
                self.visitor.sign_in(self.wallet)
            token = self.visitor.json("/api/auth/sessions/validate").get_json()["data"]["csrf_token"]
            return {"cookies": {SESSION_COOKIE: self.visitor.session_id}, "headers": {"X-CSRFToken": token}}
        bearer = {"Authorization": f"Bearer {self.token}"}
        if self.visitor.client.get("/api/auth/sessions/validate", base_url=ORIGIN, headers=bearer).status_code != 200:
            self.token = tokens(self.visitor.app, self.wallet)["session_token"]
        return {"headers": {"Authorization": f"Bearer {self.token}"}}


def tokens(app: Flask, wallet: Wallet) -> dict[str, Any]:
    """Sign in without cookies."""
    client = app.test_client(use_cookies=False)
    text = client.post("/api/auth/challenges", base_url=ORIGIN, json={"account": wallet.account()}).get_json()["data"]
    answer = client.post(
        "/api/auth/sessions",
        base_url=ORIGIN,
        json={"message": text["message"], "challenge": text["challenge"]},
        headers={"Authorization": f"Bearer {wallet.sign(text['message'])}"},
    )
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return dict(answer.get_json()["data"])


@pytest.mark.parametrize("kind", ["visitor", "cookie", "token"])
def test_every_fuzzed_answer_is_documented_and_no_5xx(app: Flask, schema: OpenApiSchema, kind: str) -> None:
    caller, statuses = Caller(app, kind), defaultdict[str, set[int]](set)
    for result in schema.get_all_operations():
        told = result.ok()
        cases = one_of(
            *(told.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))
        )

        @seed(0)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def ask(case: Any) -> None:
            answer = case.call(base_url=ORIGIN, **caller.credentials())
            statuses[case.operation.label].add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        ask()  # an exception says the operation, and how to send the same again with curl
    assert len(statuses) == len(operations(schema.raw_schema))
    # Those that come as somebody are, and get past the guards.
    assert statuses["GET /api/auth/sessions/validate"] == ({401} if kind == "visitor" else {200})
    assert statuses["POST /api/auth/sessions/keep-alive"] == ({401} if kind == "visitor" else {200})
    assert {400, 401} <= statuses["POST /api/auth/sessions/refresh"]


def walk(app: Flask, wallet: Wallet) -> Iterator[tuple[str, str, Any]]:
    """Use every operation the way it is meant, as a browser and as a client with tokens."""
    client, first = app.test_client(use_cookies=False), tokens(app, wallet)

    def ask(method: str, path: str, **options: Any) -> tuple[str, str, Any]:
        bearer = {"Authorization": f"Bearer {first['session_token']}"}
        headers = bearer | options.pop("headers", {})
        return method, path, client.open(path, method=method, base_url=ORIGIN, headers=headers, **options)

    yield ask("GET", PATH)
    yield ask("GET", "/.well-known/jwks.json")
    yield ask("GET", "/livez")
    yield ask("GET", "/readyz")
    key = {"chain": "icp:737ba355e855bd4b61279056603e0550", "public_key": "302a300506032b6570032100" + "5a" * 32}
    yield ask("POST", "/api/auth/accounts", json=key)
    yield ask("GET", "/api/auth/sessions/validate")
    yield "GET", "/api/tour/invoices/{number}", ask("GET", "/api/tour/invoices/7")[2]
    yield ask("POST", "/api/auth/sessions/token")
    yield ask("POST", "/api/auth/sessions/keep-alive")
    yield ask("POST", "/api/auth/sessions/refresh", json={"refresh_token": first["refresh_token"]})
    person = Visitor(app)
    text = person.challenge(wallet.account())
    body = {"message": text["message"], "challenge": text["challenge"]}
    signature = {"Authorization": f"Bearer {wallet.sign(text['message'])}"}
    yield "POST", "/api/auth/challenges", person.post("/api/auth/challenges", json={"account": wallet.account()})
    yield "POST", "/api/auth/sessions", person.post("/api/auth/sessions", json=body, headers=signature)
    yield "GET", "/api/auth/sessions/validate", person.json("/api/auth/sessions/validate")
    yield ask("GET", "/api/auth/sessions")
    yield "DELETE", "/api/auth/sessions", person.send("DELETE", "/api/auth/sessions?scope=others")
    yield ask("GET", "/api/auth/sessions/validate")  # it was one of them
    own = f"/api/auth/sessions/{handle_of(person)}"
    yield "PATCH", "/api/auth/sessions/{handle}", person.send("PATCH", own, json={"label": "At work"})
    yield "POST", "/api/auth/sessions/{handle}/recognise", person.send("POST", f"{own}/recognise")
    confirmed = person.proof(wallet, person.send("POST", "/api/auth/sessions/extend"))
    yield "POST", "/api/auth/sessions/extend", person.send("POST", "/api/auth/sessions/extend", headers=confirmed)
    yield "DELETE", "/api/auth/sessions/{handle}", person.send("DELETE", own)
    yield "POST", "/api/auth/sessions/logout", person.json("/api/auth/sessions/logout", "POST")
    yield from trial(Visitor(app))


def trial(person: Visitor) -> Iterator[tuple[str, str, Any]]:
    """Have a wallet made, sign in with it, and delete it."""
    token = {"X-CSRFToken": person.token()}
    answer = person.json("/api/auth/wallets", "POST", json={}, headers=token)
    yield "POST", "/api/auth/wallets", answer
    half = answer.get_json()["data"]

    def sign(text: dict[str, str], **waiting: str) -> Any:
        body = half | {"message": text["message"], "challenge": text["challenge"]} | waiting
        return person.json("/api/auth/wallets/sign", "POST", json=body)

    text = person.challenge(half["account"])
    answer = sign(text)
    yield "POST", "/api/auth/wallets/sign", answer
    signature = {"Authorization": f"Bearer {answer.get_json()['data']['signature']}"}
    body = {"message": text["message"], "challenge": text["challenge"]}
    yield "POST", "/api/auth/sessions", person.json("/api/auth/sessions", "POST", json=body, headers=signature)
    waiting = person.send("DELETE", "/api/auth/wallets").get_json()["error"]["request"]
    text = person.text_for(waiting)
    proof = {
        "message": text["message"],
        "challenge": text["challenge"],
        "signature": sign(text, request=waiting).get_json()["data"]["signature"],
    }
    confirmed = {"Wallet-Confirmation": as_header(proof)}
    yield "DELETE", "/api/auth/wallets", person.send("DELETE", "/api/auth/wallets", headers=confirmed)


def test_every_answer_of_a_real_walk_is_as_described(app: Flask, wallet: Wallet, schema: OpenApiSchema) -> None:
    seen = {}
    for method, path, answer in walk(app, wallet):
        assert schema[path][method].validate_response(answer) is None, (method, path)
        seen.setdefault(f"{method} {path}", []).append(answer.status_code)
    assert set(seen) == set(operations(schema.raw_schema))
    assert {name: min(statuses) for name, statuses in seen.items() if min(statuses) >= 300} == {}
    assert seen["GET /api/auth/sessions/validate"] == [200, 200, 401]


def test_without_redis_every_route_answers_as_described(
    make_app: Callable[..., Flask], tmp_path: Path, wallet: Wallet
) -> None:
    server = embedded.start(tmp_path / "redis")
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    visitor, given = Visitor(app), tokens(app, wallet)
    visitor.sign_in(wallet)
    headers, text = {"X-CSRFToken": visitor.token("/session")}, visitor.challenge(wallet.account())
    server.stop()
    schema = schemathesis.openapi.from_dict(visitor.get(PATH).get_json())
    bodies = {
        "/api/auth/challenges": {"account": wallet.account()},
        "/api/auth/sessions": {"message": text["message"], "challenge": text["challenge"]},
        "/api/auth/sessions/refresh": {"refresh_token": given["refresh_token"]},
    }
    statuses = {}
    for name in operations(schema.raw_schema):
        method, _, path = name.partition(" ")
        options: dict[str, Any] = {"json": bodies[path]} if method == "POST" and path in bodies else {}
        bearer = (
            {"Authorization": f"Bearer {wallet.sign(text['message'])}"} if name == "POST /api/auth/sessions" else {}
        )
        address = path.format(handle="sess_AAAAAAAAAAAAAAAA", number=7)
        address += "?scope=others" if name == "DELETE /api/auth/sessions" else ""
        answer = visitor.client.open(address, method=method, base_url=ORIGIN, headers=headers | bearer, **options)
        assert schema[path][method].validate_response(answer) is None, name
        statuses[name] = answer.status_code
    # None needs it: two never, the third because keys are kept for a while.
    assert {name for name, status in statuses.items() if status != 503} == {
        f"GET {PATH}",
        "GET /livez",
        "GET /.well-known/jwks.json",
    }


def test_a_form_without_its_token_is_refused_as_described(schema: OpenApiSchema, person: Visitor) -> None:
    for name, told in operations(schema.raw_schema).items():
        if {"cookie": [], "csrf": []} not in told["security"]:
            continue
        method, _, path = name.partition(" ")
        address = path.replace("{handle}", handle_of(person)) + "?scope=others"
        answer = person.client.open(address, method=method, base_url=ORIGIN)
        assert answer.get_json()["error"]["code"] == "csrf_failed", name
        assert schema[path][method].validate_response(answer) is None, name


def test_step_up_answers_match_the_document(
    schema: OpenApiSchema, person: Visitor, other: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    pass_time(400)
    path, told = f"/api/auth/sessions/{handle_of(other)}", schema["/api/auth/sessions/{handle}"]["DELETE"]
    refused = person.send("DELETE", path)
    assert (refused.status_code, told.validate_response(refused)) == (403, None)
    answer = person.send("DELETE", path, headers=person.proof(wallet, refused))
    assert (answer.status_code, told.validate_response(answer)) == (200, None)
    malformed = person.send("DELETE", path, headers={"Wallet-Confirmation": "!"})
    assert malformed.get_json()["error"]["code"] == "confirmation_malformed"
    assert told.validate_response(malformed) is None


def test_an_answer_that_is_not_in_the_document_is_noticed(
    app: Flask, schema: OpenApiSchema, visitor: Visitor
) -> None:
    """The checks above can fail."""
    answer = visitor.json("/api/auth/sessions/validate")
    told = schema.raw_schema["paths"]["/api/auth/sessions/validate"]["get"]["responses"]
    told["401"]["content"]["application/json"]["schema"]["properties"]["error"]["properties"]["code"]["enum"] = ["x"]
    with pytest.raises(Exception, match="no_token"):
        schemathesis.openapi.from_dict(schema.raw_schema)["/api/auth/sessions/validate"]["GET"].validate_response(
            answer
        )
