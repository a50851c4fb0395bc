"""Trial wallets for visitors without a wallet: one key share on the server, the other in the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...access.actions import Action
from ...errors import _
from ...part import Part
from .end_reasons import DELETED, SHARE_GONE
from .errors import KeyShareMismatch
from .events import WalletDeleted, WalletExported
from .options import TrialWalletSettings

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from ...sessions.record import SessionRecord
    from ...sign_in.challenges import Signed
    from ...web.session_view import SessionView
    from .key_shares import KeyShares

_WORDS = "sessions/_trial_wallet_action_words.html"


class TrialWallets(Part):
    """Try the site with a wallet that is made for the visitor."""

    needs = ("ethereum",)
    libraries = {"eth_account": "eth-account>=0.13.4"}
    settings = TrialWalletSettings
    errors = (KeyShareMismatch,)
    end_reasons = (SHARE_GONE, DELETED)
    actions = {
        "wallet.export": Action(_("Show the private key of this wallet in this browser."), _WORDS, danger=True),
        "wallet.delete": Action(_("Delete this wallet: its key is lost for good."), _WORDS, danger=True),
    }
    wallet_modules = {"pregenerated": "pregenerated.js"}
    redis_keys = {"{tag}:share": "string: the server's key share of an account's trial wallet, encrypted"}
    events = (WalletExported, WalletDeleted)
    slots = {
        "confirm_troubles": "sessions/_trial_wallet_confirm_troubles.html",
        "activity_words": "sessions/_activity_trial_wallets.html",
        "panel_states": "sessions/_trial_wallet_states.html",
        "signing_steps": "sessions/_trial_wallet_steps.html",
        "panel_troubles": "sessions/_trial_wallet_troubles.html",
        "banner": "sessions/_trial_wallet_watch.html",
        "endings": "sessions/_trial_wallet_endings.html",
        "head": "sessions/_trial_wallet_head.html",
        "problems": "sessions/_trial_wallet_problems.html",
        "signed_out": "sessions/_trial_wallet_stays.html",
        "signed_out_end": "sessions/_trial_wallet_deleted.html",
        "signed_out_head": "sessions/_trial_wallet_deleted_head.html",
        "status": "sessions/_trial_wallet.html",
        "wallet_attributes": "sessions/_trial_wallet_attributes.html",
        "wallet_choices": "sessions/_trial_wallet_offer.html",
    }
    options: TrialWalletSettings
    key_shares: KeyShares
    chain: str | None
    """The chain of the wallets that are made here; `None` if none are made."""

    def setup(self, app: Flask) -> None:
        """Make what keeps the server's key shares; refuse sessions that would outlive their wallet."""
        from .key_shares import KeyShares

        services = self.services
        services.sign_outs.add("sessions_trial_wallets.gone")
        self.chain = self.options.chain(services.settings)
        self.options.refuse_outlived(each for each in services.policy.types.values() if each.by_wallet)
        self.key_shares = KeyShares(
            services.connection, services.keys, services.repository, self.chain, self.options.pregenerated_days
        )

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the pages that export and delete a wallet, and the JSON routes that make one and sign with it."""
        from .pages import api, pages

        return (pages, api)

    def on_sign_in(self, signed: Signed, record: SessionRecord, cookies: bool) -> None:
        """Note with a new session whether its wallet was made here, and its browser holds the other key share."""
        from . import cookie
        from .key_shares import TRIAL_WALLET, TrialWallet

        is_new = not record.created_at  # and no signature that confirmed an action
        # Not by the name that the page gave the wallet: any page can give any name.
        if is_new and cookies and cookie.names(signed.account) and self.key_shares.holds(signed.account):
            TRIAL_WALLET.put(record, TrialWallet(held=True))

    def wallet_families(self, linking: bool) -> Sequence[str]:
        """Offer a trial wallet to visitors who sign in."""
        return () if self.chain is None or linking else ("pregenerated",)

    def wallet_family(self, session: SessionView) -> str | None:
        """Return the family of trial wallets for a session that has one."""
        return "pregenerated" if self.is_used_by(session) else None

    def signing_words(self, session: SessionView) -> str | None:
        """The two key shares sign as soon as the button is pressed, and the user does not see the text."""
        return "sessions/_trial_wallet_signing.html" if self.is_used_by(session) else None

    def sweep(self) -> Mapping[str, tuple[int, str]]:
        """Encrypt with the newest secret what an older one had encrypted."""
        count = self.key_shares.reencrypt()
        return {"shares": (count, "key shares of trial wallets encrypted with an older secret: encrypted again")}

    # -- For templates -------------------------------------------------------------------------------------------

    def is_used_by(self, session: SessionView | None) -> bool:
        """Whether the wallet of a session was made here, and a key share is in the session's browser. Not where such
        wallets are turned off: nothing signs with them any more, and an exported key signs in another wallet.
        """
        from .key_shares import TRIAL_WALLET

        return session is not None and self.chain is not None and TRIAL_WALLET.of(session.live.record).held

    def stays_here(self) -> bool:
        """Whether this browser holds a key share that can be used."""
        from . import cookie

        return self.chain is not None and cookie.present()
