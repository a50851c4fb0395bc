"""What a session may do: by its type and by the network that was signed for, and never by anything else."""

from __future__ import annotations

import dataclasses

import pytest

from sessions_core import policy
from sessions_core.policy import Allowed, Denied
from sessions_core.settings import Settings

STANDARD = policy.standard(Settings(secrets=("unused",), idle_seconds=600, absolute_seconds=1200))
ORDINARY = ("read:profile", "write:messages", "join:groups", "book:sessions")


def test_the_standard_type_takes_its_clocks_from_the_settings() -> None:
    assert (STANDARD.name, STANDARD.idle_seconds, STANDARD.absolute_seconds) == ("standard", 600, 1200)
    assert STANDARD.permissions == ORDINARY


@pytest.mark.parametrize(
    ("network", "allowed"),
    [
        ("mainnet", {"transact", "sign", *ORDINARY}),
        ("testnet", {"test-only", *ORDINARY}),
        ("unsupported", {*ORDINARY}),
    ],
)
def test_the_signed_network_decides_about_money(network: policy.Network, allowed: set[str]) -> None:
    decisions = policy.decisions(STANDARD, network)
    assert {each.permission for each in decisions if each.allowed} == allowed
    assert {each.reason for each in decisions if not each.allowed} == {f"network_{network}"}


def test_every_permission_is_decided_once_on_every_network() -> None:
    wanted = sorted((*policy.ALL_NETWORK_PERMISSIONS, *ORDINARY))
    for network in policy.NETWORK_PERMISSIONS:
        assert sorted(each.permission for each in policy.decisions(STANDARD, network)) == wanted


def test_a_testnet_signature_never_moves_real_money() -> None:
    for permission in policy.NETWORK_PERMISSIONS["mainnet"]:
        assert policy.decide(permission, STANDARD, "testnet") == Denied(permission, "network_testnet")


def test_a_type_can_not_grant_what_the_network_denies() -> None:
    greedy = dataclasses.replace(STANDARD, permissions=(*ORDINARY, "transact", "sign"))
    assert policy.decide("transact", greedy, "testnet") == Denied("transact", "network_testnet")
    assert policy.decide("sign", greedy, "unsupported") == Denied("sign", "network_unsupported")


@pytest.mark.parametrize("permission", ["", "admin", "read:profile ", "READ:PROFILE", "transact\0", "*"])
def test_an_unknown_permission_is_denied(permission: str) -> None:
    assert policy.decide(permission, STANDARD, "mainnet") == Denied(permission, "type")


def test_an_ordinary_permission_comes_from_the_type() -> None:
    assert policy.decide("read:profile", STANDARD, "unsupported") == Allowed("read:profile")
    bare = dataclasses.replace(STANDARD, permissions=())
    assert policy.decide("read:profile", bare, "mainnet") == Denied("read:profile", "type")


def test_a_decision_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        Denied("sign", "type").permission = "transact"  # type: ignore[misc]
    assert Allowed("sign").allowed is True
    assert Denied("sign", "type").allowed is False


def test_network_permissions_are_those_the_networks_name() -> None:
    named = {each for permissions in policy.NETWORK_PERMISSIONS.values() for each in permissions}
    assert named == set(policy.ALL_NETWORK_PERMISSIONS)
