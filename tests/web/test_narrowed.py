"""A session that was narrowed is narrow in everything: no role, no administration, no other sessions, no wallets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import Misconfigured, SessionType, current_session, public, requires
from sessions_core.access.policy import OWN_RIGHTS, OWN_SESSIONS, OWN_WALLETS
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import ApiClient, Visitor, Wallet, handle_of
from ..part_services import roles_of
from ..snapshot import unchanged
from ..time_machine import TimeMachine


@pytest.fixture
def site(app: Flask, services: Services, wallet: Wallet) -> Flask:
    """A site whose administrator is the wallet of the test."""
    roles_of(services).assign(parse(wallet.account()), "admin")
    app.get("/office", endpoint="office")(requires(role="admin")(lambda: "office"))
    app.get("/role", endpoint="role")(public(lambda: repr(current_session.role)))
    app.get("/profile", endpoint="profile")(requires("read:profile")(lambda: "profile"))
    app.get("/wallets", endpoint="wallets")(requires("own:wallets")(lambda: "wallets"))
    return app


def lacks(answer: Any) -> tuple[str, str]:
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (403, "permission_denied")
    return error["missing"], error["reason"]


ADMIN, OTHER = "/admin/accounts/eip155:1:0x52908400098527886E0F7030069857D2E4169EE7", "/sessions/{other}"
ROLE: list[tuple[str, str]] = [
    ("GET", "/office"),
    ("GET", "/admin"),
    ("GET", ADMIN),
    ("POST", f"{ADMIN}/role"),
    ("POST", f"{ADMIN}/verify"),
    ("POST", f"{ADMIN}/withdraw"),
    ("POST", f"{ADMIN}/revoke"),
    ("POST", f"{ADMIN}{OTHER}/revoke"),
    ("GET", "/admin/everybody"),
    ("POST", "/admin/everybody"),
    ("GET", "/admin/activity"),
    ("GET", "/admin/activity.csv"),
    ("GET", "/admin/activity.json"),
]
SESSIONS: list[tuple[str, str]] = [
    ("GET", "/sessions"),
    ("POST", f"{OTHER}/revoke"),
    ("POST", f"{OTHER}/name"),
    ("GET", "/sessions/others"),
    ("POST", "/sessions/others"),
    ("GET", "/sessions/everywhere"),
    ("POST", "/sessions/everywhere"),
    ("GET", "/activity"),
    ("GET", "/activity.csv"),
    ("GET", "/activity.json"),
    ("GET", "/api/auth/sessions"),
    ("PATCH", f"/api/auth{OTHER}"),
    ("DELETE", f"/api/auth{OTHER}"),
    ("DELETE", "/api/auth/sessions?scope=others"),
    ("DELETE", "/api/auth/sessions?scope=all"),
]
WALLETS: list[tuple[str, str]] = [
    ("GET", "/wallets"),
    ("GET", "/session/wallets/link"),
    ("POST", "/session/wallets"),
    ("POST", "/session/wallets/unlink"),
    ("POST", "/session/wallets/primary"),
    ("GET", "/session/wallet/export"),
    ("GET", "/session/wallet/delete"),
    ("POST", "/session/wallet/delete"),
    ("DELETE", "/api/auth/wallets"),
    ("POST", "/api/auth/challenges"),
]
CLOSED = [(method, path, right) for right, all_ in zip(("admin", *OWN_RIGHTS), (ROLE, SESSIONS, WALLETS), strict=True)
          for method, path in all_]  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "PATCH": {"json": {"label": "mine"}},
    "/api/auth/challenges": {
        "json": {"purpose": "link", "account": "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"}
    },
}


def send(sender: Visitor | ApiClient, method: str, path: str, other: str) -> Any:
    body = BODIES.get(path) or BODIES.get(method) or {}
    return sender.send(method, path.format(other=other), **body, headers={"Accept": "application/json"})


@pytest.mark.parametrize(("method", "path", "right"), CLOSED, ids=[f"{each[0]} {each[1]}" for each in CLOSED])
def test_a_narrowed_session_is_narrow_in_everything(
    site: Flask, redis: Redis, wallet: Wallet, method: str, path: str, right: str
) -> None:
    """Refused as such before anything is looked up, and before the wallet is asked to sign."""
    other = Visitor(site)
    other.sign_in(wallet)
    narrowed, client = Visitor(site), ApiClient(site)
    narrowed.sign_in(wallet, permissions="read:profile")
    client.sign_in(wallet, permissions=["read:profile"])
    handle = handle_of(other)
    client.get("/profile")  # the first use of a token is noted
    with unchanged(redis):
        assert lacks(send(narrowed, method, path, handle)) == (right, "narrowed")
        assert lacks(send(client, method, path, handle)) == (right, "narrowed")
    assert other.signed_in


@pytest.mark.parametrize(("method", "path", "right"), CLOSED, ids=[f"{each[0]} {each[1]}" for each in CLOSED])
def test_requested_right_is_kept(
    site: Flask, wallet: Wallet, pass_time: TimeMachine, method: str, path: str, right: str
) -> None:
    """A session that was not narrowed keeps every right."""
    other = Visitor(site)
    other.sign_in(wallet)
    by_name = "role:admin" if right == "admin" else right
    for wanted in ({"permissions": [by_name]}, {"duration": 3600}, {}):
        client = ApiClient(site)
        client.sign_in(wallet, **wanted)
        pass_time(301)
        answer = send(client, method, path, handle_of(other))
        error = (answer.get_json() or {}).get("error", {}) if answer.is_json else {}
        assert error.get("code") != "permission_denied"
        assert answer.status_code < 500


def test_a_narrowed_session_has_no_role(site: Flask, services: Services, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet, permissions="read:profile")
    assert visitor.get("/role").get_data(as_text=True) == "''"
    assert visitor.get("/profile").get_data(as_text=True) == "profile"
    data = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert (data["role"], data["permissions"]) == ("", ["read:profile"])
    client = ApiClient(site)
    assert client.sign_in(wallet, permissions=["role:admin"])["role"] == "admin"
    roles_of(services).assign(parse(wallet.account()), "member")
    assert visitor.get("/role").get_data(as_text=True) == "'member'", "everybody's"


def test_a_name_grants_no_role(app: Flask, wallet: Wallet) -> None:
    app.get("/office", endpoint="office")(requires(role="admin")(lambda: "office"))
    client = ApiClient(app)
    data = client.sign_in(wallet, permissions=["role:admin", "role:root", "role:", "own:everything", OWN_WALLETS])
    assert (data["role"], data["permissions"]) == ("member", [OWN_WALLETS])
    assert lacks(client.get("/office", headers={"Accept": "application/json"})) == ("admin", "role")


def test_a_restricting_role_goes_on_restricting(app: Flask, services: Services, wallet: Wallet) -> None:
    """The role that a narrowed session does not have still takes away."""
    roles_of(services).assign(parse(wallet.account()), "restricted")
    client = ApiClient(app)
    data = client.sign_in(wallet, permissions=["read:profile", "write:messages", "transact"])
    assert (data["role"], data["permissions"]) == ("", ["read:profile"])


def test_a_narrowed_session_does_with_itself_as_before(
    site: Flask, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet, permissions="read:profile")
    own = handle_of(visitor)
    assert visitor.send("PATCH", f"/api/auth/sessions/{own}", json={"label": "mine"}).status_code == 200
    asked = visitor.send("POST", "/api/auth/sessions/extend")
    assert visitor.send("POST", "/api/auth/sessions/extend", headers=visitor.proof(wallet, asked)).status_code == 200
    assert lacks(visitor.json("/office")) == ("admin", "narrowed"), "a signature widens nothing"
    assert visitor.send("DELETE", f"/api/auth/sessions/{own}").status_code == 200
    assert not visitor.signed_in


def test_narrowed_session_sees_no_recent_sign_ins(site: Flask, wallet: Wallet) -> None:
    """The notice names device and address of a session that this one must not manage."""
    clients = [ApiClient(site) for _ in range(3)]
    clients[0].sign_in(wallet, permissions=["read:profile"])
    clients[1].sign_in(wallet, permissions=["read:profile", OWN_SESSIONS])
    clients[2].sign_in(wallet)
    told = [
        len(client.get("/api/auth/sessions/validate").get_json()["data"]["sign_ins_elsewhere"]) for client in clients
    ]
    assert told == [0, 1, 0]


def test_the_page_says_that_the_session_was_narrowed(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet, permissions="read:profile")
    for path, words in (
        ("/admin", "Your account has this role, but you signed in without it."),
        ("/sessions", "See and sign out your other devices"),
    ):
        answer = visitor.get(visitor.get(path).headers["Location"])
        page = answer.get_data(as_text=True)
        assert answer.status_code == 403
        assert words in page
        assert "Sign in again with all your permissions." in page
    status = visitor.get("/session").get_data(as_text=True)
    assert "You signed in without it." in status
    assert 'href="/admin"' not in status


@pytest.mark.parametrize("name", [*OWN_RIGHTS, "role:admin"])
def test_a_type_gives_no_right_that_all_have(make_app: Callable[..., Flask], name: str) -> None:
    kiosk = SessionType("kiosk", "kiosk_", idle_seconds=300, absolute_seconds=3600, permissions=(name,))
    with pytest.raises(Misconfigured, match="Rename it"):
        make_app({"session_types": [kiosk]})
