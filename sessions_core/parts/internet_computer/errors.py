"""Why a delegation or a key of the Internet Computer is refused."""

from __future__ import annotations

from ...errors import SignInRefused, _


class KeyMalformed(SignInRefused):
    """Not a public key in the one encoding that accounts of its chain have."""

    code = "key_malformed"
    message = _("Your wallet's answer holds no key of an account on that network. Try again, or use another wallet.")


class DelegationExpired(SignInRefused):
    """The wallet let the page's key sign, but no longer does (Internet Computer)."""

    code = "delegation_expired"
    panel_state = "delegation_expired"
    message = _("What your wallet allowed this page to sign has expired. Connect the wallet again.")


class DelegationRestricted(SignInRefused):
    """The wallet let the page's key act for certain canisters or calls only, which signing in is none of."""

    code = "delegation_restricted"
    panel_state = "delegation_restricted"
    message = _(
        "Your wallet allowed this page certain calls only. Connect it again without naming any, or use another."
    )


class CanisterSignatureUnsupported(SignInRefused):
    """Signed by a canister, as Internet Identity does; this package checks signatures of keys alone."""

    code = "canister_signature_unsupported"
    panel_state = "identity_unsupported"
    message = _("This site does not accept Internet Identity. Use a wallet that holds its own key.")
