"""The Internet Computer: principals, delegations, Internet Identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...part import Part
from .errors import CanisterSignatureUnsupported, DelegationExpired, DelegationRestricted, KeyMalformed
from .options import InternetComputerSettings
from .verifier import InternetComputer as Verifier

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from ...web.session_view import SessionView


class InternetComputer(Part):
    """Sign-in by self-authenticating principals, Internet Identity included."""

    libraries = {"nacl": "pynacl>=1.6.2"}
    settings = InternetComputerSettings
    errors = (KeyMalformed, DelegationExpired, DelegationRestricted, CanisterSignatureUnsupported)
    verifiers = (Verifier(),)
    wallet_modules = {"icp": "icp.js"}
    slots = {
        "confirm_troubles": "sessions/_internet_computer_confirm_troubles.html",
        "activity_words": "sessions/_activity_internet_computer.html",
        "panel_states": "sessions/_internet_computer_states.html",
        "signing_steps": "sessions/_internet_computer_steps.html",
        "panel_troubles": "sessions/_internet_computer_troubles.html",
        "problems": "sessions/_internet_computer_problems.html",
        "wallet_attributes": "sessions/_internet_computer_attributes.html",
    }
    options: InternetComputerSettings

    def setup(self, app: Flask) -> None:
        """Give templates the page of Internet Identity."""
        app.jinja_env.globals["internet_identity_url"] = self.identity_url

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the pages' templates, and the look-up of a key's account."""
        from flask import Blueprint

        from .routes import api

        return (Blueprint("sessions_internet_computer", __name__, template_folder="templates"), api)

    def signing_words(self, session: SessionView) -> str | None:
        """A key in the page signs, which the wallet lets act for a while."""
        return "sessions/_internet_computer_signing.html" if session.chain.namespace == Verifier.namespace else None

    def identity_url(self) -> str:
        """Return the page of Internet Identity, or nothing where its signatures would not be accepted."""
        from . import canisters

        accepted = canisters.available() and f"icp:{canisters.network()}" in self.services.settings.chains
        return self.options.internet_identity_url if accepted else ""
