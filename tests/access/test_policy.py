"""What a session may do: by its type, its role and the network that was signed for, and never by anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from flask import Flask

from sessions_core import Misconfigured, SessionType, current_session, requires
from sessions_core.access.policy import (
    ALL_NETWORK_PERMISSIONS,
    NETWORK_PERMISSIONS,
    Allowed,
    Denied,
    Network,
    Policy,
    PolicyContext,
    Scope,
    scope_of,
)
from sessions_core.errors import PermissionDenied
from sessions_core.parts.roles.options import RoleSettings

from ..actors import Visitor, Wallet
from ..policies import SETTINGS, policy_of

POLICY = policy_of()
STANDARD, ANONYMOUS, PROFESSIONAL = (POLICY.types[name] for name in ("standard", "anonymous", "professional"))
ORDINARY = ("read:profile", "write:messages", "join:groups", "book:sessions")
EXPERT = ("read:all_profiles", "write:therapy_notes", "manage:sessions", "access:professional_tools")
KIOSK = SessionType("kiosk", "kiosk_", 300, 3600, ("read:profile",))
MINUTE, HOUR = 60, 3600


def context(**changes: object) -> PolicyContext:
    base = PolicyContext(account=None, session_type=STANDARD, network="mainnet", role="member")
    return replace(base, **changes)  # type: ignore[arg-type]


def allowed(given: PolicyContext, policy: Policy = POLICY) -> set[str]:
    return {each.permission for each in policy.decisions(given) if each.allowed}


# -- Types -------------------------------------------------------------------------------------------------------


def test_session_types_match_the_documented_table() -> None:
    """Names, clocks and permissions."""
    assert {
        each.name: (each.absolute_seconds, each.idle_seconds, each.permissions) for each in POLICY.types.values()
    } == {
        "standard": (12 * HOUR, 30 * MINUTE, ORDINARY),
        "anonymous": (
            4 * HOUR,
            30 * MINUTE,
            ("read:public_content", "join:anonymous_groups", "use:ai_bots"),
        ),
        "professional": (24 * HOUR, 15 * MINUTE, EXPERT),
    }
    assert [each.handle_prefix for each in POLICY.types.values()] == ["sess_", "anon_", "prof_"]


def test_every_type_takes_its_clocks_from_the_settings() -> None:
    settings = replace(
        SETTINGS,
        idle_seconds=600,
        absolute_seconds=1200,
        anonymous_idle_seconds=601,
        anonymous_absolute_seconds=1201,
    )
    policy = policy_of(settings, RoleSettings(professional_idle_seconds=602, professional_absolute_seconds=1202))
    clocks = [(each.idle_seconds, each.absolute_seconds) for each in policy.types.values()]
    assert clocks == [(600, 1200), (601, 1201), (602, 1202)]


def test_a_sign_in_that_asks_for_nothing_gets_a_standard_session() -> None:
    assert POLICY.choose("", verified=False) is STANDARD
    assert POLICY.choose("", verified=True) is STANDARD


def test_professional_session_needs_a_verification() -> None:
    assert POLICY.choose("professional", verified=True) is PROFESSIONAL
    with pytest.raises(PermissionDenied) as refused:
        POLICY.choose("professional", verified=False)
    assert (refused.value.kind, refused.value.missing, refused.value.reason) == (
        "session_type",
        "professional",
        "verification",
    )


@pytest.mark.parametrize("name", ["anonymous", "root", "Standard", "standard ", "\0"])
def test_type_that_a_wallet_can_not_start_is_refused(name: str) -> None:
    with pytest.raises(PermissionDenied) as refused:
        POLICY.choose(name, verified=True)
    assert refused.value.reason == "session_type"


def test_removed_session_type_keeps_only_network_permissions() -> None:
    gone = POLICY.type_of("no longer there")
    assert allowed(context(session_type=gone)) == {"transact", "sign"}


# -- Networks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("mainnet", {"transact", "sign", *ORDINARY}),
        ("testnet", {"test-only", *ORDINARY}),
        ("unsupported", {*ORDINARY}),
    ],
)
def test_the_signed_network_decides_about_money(network: Network, expected: set[str]) -> None:
    assert allowed(context(network=network)) == expected
    reasons = {each.reason for each in POLICY.decisions(context(network=network)) if not each.allowed}
    assert reasons == {f"network_{network}"}


def test_a_testnet_signature_never_moves_real_money() -> None:
    for permission in NETWORK_PERMISSIONS["mainnet"]:
        assert POLICY.decide(permission, context(network="testnet")) == Denied(permission, "network_testnet")


def test_type_can_not_grant_what_the_network_denies() -> None:
    greedy = replace(STANDARD, permissions=(*ORDINARY, "transact", "sign"))
    for network in ("testnet", "unsupported"):
        for permission in ("transact", "sign"):
            given = context(session_type=greedy, network=network)
            assert POLICY.decide(permission, given) == Denied(permission, f"network_{network}")


def test_app_rule_can_not_grant_what_the_network_denies() -> None:
    generous = Policy(SETTINGS, permissions_for=lambda given: ("transact", "sign", "edit:articles"))
    assert allowed(context(network="testnet"), generous) == {"edit:articles"}


def test_network_permissions_are_those_the_networks_name() -> None:
    named = {each for permissions in NETWORK_PERMISSIONS.values() for each in permissions}
    assert named == set(ALL_NETWORK_PERMISSIONS)


# -- Roles and verification --------------------------------------------------------------------------------------


def test_admin_session_has_the_permissions_of_a_member() -> None:
    assert allowed(context(role="admin")) == allowed(context())


def test_a_restricted_role_only_reads() -> None:
    assert allowed(context(role="restricted")) == {"read:profile"}
    assert POLICY.decide("transact", context(role="restricted")) == Denied("transact", "role")


@pytest.mark.parametrize("role", ["", "root", "Admin", "member ", "*"])
def test_a_role_that_is_not_in_the_table_is_no_free_pass(role: str) -> None:
    assert allowed(context(role=role)) == set()


def test_an_application_adds_its_own_roles() -> None:
    policy = Policy(SETTINGS, roles={"editor": None, "guest": ("read:profile",)})
    assert allowed(context(role="editor"), policy) == allowed(context())
    assert allowed(context(role="guest"), policy) == {"read:profile"}


def test_professional_session_is_void_after_verification_ends() -> None:
    """Only the permissions of the network remain."""
    given = context(session_type=PROFESSIONAL)
    assert allowed(replace(given, verified=True)) == {"transact", "sign", *EXPERT}
    assert allowed(given) == {"transact", "sign"}
    assert POLICY.decide("write:therapy_notes", given) == Denied("write:therapy_notes", "verification")


# -- What a client asked for -------------------------------------------------------------------------------------


def test_client_can_narrow_but_not_widen_permissions() -> None:
    narrowed = scope_of(STANDARD, 600, ["read:profile", "sign", "write:therapy_notes", "root", ""])
    assert narrowed == Scope(600, ("read:profile", "sign"))
    given = context(scope=frozenset(narrowed.permissions or ()))
    assert allowed(given) == {"read:profile", "sign"}
    assert POLICY.decide("write:messages", given) == Denied("write:messages", "narrowed")


def test_narrowed_scope_never_grants() -> None:
    forged = frozenset(("write:therapy_notes", "test-only", "root"))
    assert allowed(context(scope=forged)) == set()


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, 43_200), (0, 120), (-5, 120), (120, 120), (43_200, 43_200), (10**9, 43_200)]
)
def test_a_duration_is_clamped_to_the_type(asked: int | None, granted: int) -> None:
    assert scope_of(STANDARD, asked, None) == Scope(granted, None)


# -- Decisions ---------------------------------------------------------------------------------------------------


def test_every_permission_is_decided_once_on_every_network() -> None:
    for session_type in POLICY.types.values():
        wanted = sorted((*ALL_NETWORK_PERMISSIONS, *session_type.permissions))
        for network in NETWORK_PERMISSIONS:
            decided = POLICY.decisions(context(session_type=session_type, network=network, verified=True))
            assert sorted(each.permission for each in decided) == wanted


@pytest.mark.parametrize("permission", ["", "admin", "read:profile ", "READ:PROFILE", "transact\0", "*"])
def test_an_unknown_permission_is_denied(permission: str) -> None:
    assert POLICY.decide(permission, context()) == Denied(permission, "type")


def test_an_application_s_own_rule_replaces_ours() -> None:
    def only_reading(given: PolicyContext) -> Iterable[str]:
        return (name for name in POLICY.permissions_for(given) if name.startswith("read:"))

    policy = Policy(SETTINGS, permissions_for=only_reading)
    assert allowed(context(), policy) == {"read:profile"}
    assert policy.decide("write:messages", context()) == Denied("write:messages", "policy")


def test_a_decision_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        Denied("sign", "type").permission = "transact"  # type: ignore[misc]
    assert Allowed("sign").allowed is True
    assert Denied("sign", "type").allowed is False


# -- A type of the application's own -----------------------------------------------------------------------------


def test_an_application_adds_a_type_in_a_few_lines(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app({"session_types": [KIOSK]})

    @app.get("/messages")
    @requires("write:messages")
    def messages() -> str:
        return "written"

    @app.get("/kiosk")
    @requires(session_type="kiosk")
    def kiosk() -> str:
        return current_session.handle

    visitor = Visitor(app)
    visitor.sign_in(wallet, session_type="kiosk")
    assert visitor.get("/kiosk").get_data(as_text=True).startswith("kiosk_")
    assert visitor.json("/messages").get_json()["error"]["missing"] == "write:messages"
    data = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert (data["session_type"], data["permissions"]) == ("kiosk", ["transact", "sign", "read:profile"])


def test_type_of_the_app_wins_over_that_of_a_part() -> None:
    own = replace(KIOSK, name="professional")
    policy = Policy(SETTINGS, types=[own])
    policy.add_types([PROFESSIONAL])
    assert policy.types["professional"] is own


def test_unsafe_type_of_a_part_is_refused() -> None:
    with pytest.raises(Misconfigured, match="kiosk"):
        Policy(SETTINGS).add_types([replace(KIOSK, idle_seconds=1)])


@pytest.mark.parametrize(
    "unsafe",
    [
        replace(KIOSK, idle_seconds=119),
        replace(KIOSK, idle_seconds=7200),
        replace(KIOSK, absolute_seconds=31 * 86_400),
        replace(KIOSK, idle_seconds=120),
        replace(KIOSK, handle_prefix="kiosk"),
        replace(KIOSK, handle_prefix=""),
    ],
)
def test_an_unsafe_type_stops_the_application_from_starting(unsafe: SessionType) -> None:
    with pytest.raises(Misconfigured, match="kiosk"):
        Policy(SETTINGS, types=[unsafe])
