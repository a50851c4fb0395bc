"""Why a trial wallet can't sign."""

from __future__ import annotations

from ...errors import SignInRefused, _


class KeyShareMismatch(SignInRefused):
    """The two key shares of a trial wallet do not make its key, or the server's is gone."""

    code = "share_mismatch"
    message = _(
        "This browser's half of the wallet has no other half here any more. "
        "Sign in with another wallet, or make a new one."
    )
