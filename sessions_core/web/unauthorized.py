"""The page that names what a session lacks for a request, and how to get it."""

from __future__ import annotations

from collections.abc import Mapping

from flask import render_template

from ..access import policy
from . import csrf
from .guards import session_view
from .services import current_services


def page(named: Mapping[str, str]) -> str:
    """Return the page for the `role`, the `session_type` or the `permission` that is lacking, with `next` as the way
    on. Names that the policy does not know are ignored.
    """
    services, view = current_services(), session_view()
    role = named.get("role") if named.get("role") in services.policy.roles else None
    kind = named.get("session_type") if named.get("session_type") in services.policy.types else None
    permission = named.get("permission") if named.get("permission") in _known(services.policy) else None
    decision = view.may(permission) if view and permission else None
    granting = [each for each in services.policy.types.values() if each.by_wallet and permission in each.permissions]
    return render_template(
        "sessions/unauthorized.html",
        role=role,
        session_type=services.policy.types[kind] if kind else None,
        decision=decision,
        permission=permission,
        granting=granting[0] if granting else None,
        development=services.settings.development,
        next=csrf.safe_path(named.get("next"), ""),
    )


def _known(rules: policy.Policy) -> set[str]:
    own = {name for each in rules.types.values() for name in each.permissions}
    return own | {*policy.ALL_NETWORK_PERMISSIONS, *policy.OWN_RIGHTS}
