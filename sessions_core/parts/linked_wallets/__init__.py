"""Several wallets of one user, linked under one user id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...access.actions import Action
from ...access.policy import OWN_WALLETS
from ...errors import _, family
from ...part import Part
from .errors import LinkRefused
from .events import LinkFailed, PrimaryChanged, WalletLinked, WalletUnlinked
from .user import LINK_KEY, UNLINKED_REASON

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from ...sessions.record import AccountValues
    from ...sign_in.accounts import Account
    from ...sign_in.challenges import Challenge
    from ...sign_in.user import User
    from .linked_accounts import AccountLinking

LINK = "link"
"""The purpose of the text with which another wallet agrees to be linked."""

_WORDS = "sessions/_linked_wallets_action_words.html"


class LinkedWallets(Part):
    """Several accounts of one user."""

    account_keys = (LINK_KEY,)
    end_reasons = (UNLINKED_REASON,)
    errors = tuple(family(LinkRefused))
    actions = {
        "wallet.join": Action(_("Link this account to {account}: both then sign in as the same user here.")),
        "wallet.link": Action(_("Link {account} to this account: both then sign in as the same user here."), _WORDS),
        "wallet.unlink": Action(
            _("Unlink {account} from this account, and sign it out everywhere."), _WORDS, danger=True
        ),
        "wallet.primary": Action(_("Make {account} the primary account of this user."), _WORDS),
    }
    redis_keys = {
        "{tag}:person": "string: the user that an account is linked to, encrypted",
        "{usr_…}:accounts": "string: the accounts of a user, the primary one first, encrypted",
        "linking:<tag>": "string: a lock on an account that is being linked or unlinked",
    }
    purposes = {LINK: tuple(family(LinkRefused))}
    events = (WalletLinked, WalletUnlinked, PrimaryChanged, LinkFailed)
    slots = {
        "activity_words": "sessions/_activity_linked_wallets.html",
        "status": "sessions/_wallets.html",
        "endings": "sessions/_linked_wallets_endings.html",
    }
    linked_accounts: AccountLinking

    def setup(self, app: Flask) -> None:
        """Make the service that reads and changes linked accounts."""
        from .linked_accounts import AccountLinking

        services = self.services
        self.linked_accounts = AccountLinking(
            services.connection, services.keys, services.repository, services.lifecycle, services.settings
        )

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the pages."""
        from . import pages

        return (pages.pages,)

    def user(self, account: Account, values: AccountValues) -> User:
        """Return the user with all accounts that are linked with this one."""
        return self.linked_accounts.user(account, self.linked_accounts.link_in(values))

    def privileges(self, account: str, values: AccountValues) -> str:
        """Return which user the account is linked to, and how often that user's accounts have changed."""
        link = self.linked_accounts.link_in(values)
        return f"{link.user}.{link.revision}" if link.user else ""

    def issue_challenge(self, purpose: str, account: str) -> Challenge:
        """Write the text with which another account agrees to be linked to that of this session."""
        from ...web.guards import ensure_permitted, refusal, session_view, wallet_session

        view = session_view()
        if view is None:
            raise refusal(wallet_session())
        ensure_permitted(OWN_WALLETS)
        statement = self.services.actions.sentence("wallet.join", {"account": str(view.account)})
        issued = self.services.challenges.issue_for(LINK, account, statement, view.handle)
        self.linked_accounts.check_can_link(issued.account, view.user)
        return issued

    def sweep(self) -> Mapping[str, tuple[int, str]]:
        """Encrypt links with the newest secret: they would be lost with an older one that is dropped."""
        return {
            "people": (
                self.linked_accounts.reencrypt(),
                "linked wallets encrypted with an older secret: encrypted again",
            )
        }
