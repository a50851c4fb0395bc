"""The states of the sign-in panel as the server renders them, each at an address of its own: `/states/<state>`."""

from __future__ import annotations

from typing import Any

from flask import Flask

from sessions_core import errors, public
from sessions_core.web import pages
from sessions_core.web.services import current_services

# All but those that only a wallet leads to.
STATES = (
    "rejected_connect", "wallet_locked", "no_accounts", "connect_failed", "wallet_disconnected",
    "request_pending", "sign_unsupported", "account_unable", "wallet_stale", "connecting", "connect_slow",
    "choose_account", "wrong_network", "switching", "switch_rejected", "unknown_chain", "switch_unsupported",
    "switch_unseen", "nonce_failed", "bad_signature", "contract_wallet", "contract_missing", "contract_refused",
    "contract_silent", "network_unreachable", "wallet_gone", "signature_unreadable", "storage_full",
    "storage_blocked", "share_unreadable", "cookies_blocked",
    "popup_blocked", "delegation_restricted", "delegation_expired", "identity_unsupported",
    "address_mismatch", "domain_mismatch", "text_changed", "nonce_expired", "rate_limited", "server_unreachable",
    "insecure_context", "other_address", "success",
)  # fmt: skip


def serve_states(app: Flask) -> None:
    """Add the address `/states/<state>` to an app."""

    @app.get("/states/<state>")
    @public
    def panel(state: str) -> str:
        settings = current_services().settings
        error = errors.RateLimited(retry_after=30) if state == "rate_limited" else None
        context: dict[str, Any] = {}
        app.update_template_context(context)
        return app.jinja_env.get_template("sessions/sign_in.html").render(
            **context,
            state=state,
            error=error,
            reason="idle",
            next="/session",
            wallet="Test Wallet",
            remember=False,
            statement=settings.statement,
            **pages.accepted(),
            idle_seconds=settings.idle_seconds,
            absolute_seconds=settings.absolute_seconds,
        )
