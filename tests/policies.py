"""Policies as an application has them."""

from __future__ import annotations

from sessions_core.access.policy import Policy
from sessions_core.parts.roles import Roles
from sessions_core.parts.roles.options import RoleSettings
from sessions_core.settings import Settings

SETTINGS = Settings(secrets=("unused",))


def policy_of(settings: Settings = SETTINGS, options: RoleSettings | None = None) -> Policy:
    """Return the policy with the kernel's types, and that of the part roles."""
    policy = Policy(settings)
    policy.add_types(Roles(None, options or RoleSettings()).session_types(settings))  # type: ignore[arg-type]
    return policy
