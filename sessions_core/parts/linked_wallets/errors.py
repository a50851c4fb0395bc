"""Why accounts could not be linked or unlinked."""

from __future__ import annotations

from ...errors import SessionsError, _


class LinkRefused(SessionsError):
    """A link or unlink was refused; nothing changed."""

    code = "link_refused"
    status = 409
    title = _("Your wallets stay as they are")
    message = _("Your wallets could not be changed like that. Open your session's page and start again.")


class AccountLinked(LinkRefused):
    """The account is this user's already."""

    code = "account_linked"
    panel_state = "account_linked"
    title = _("That wallet is yours already")
    message = _("That account is among your wallets already. Choose another one to link.")


class AccountLinkedElsewhere(LinkRefused):
    """The account is linked with others of another user; said only to a client that has signed as that account."""

    code = "account_linked_elsewhere"
    panel_state = "account_linked_elsewhere"
    title = _("That wallet is linked elsewhere")
    message = _("That account is linked with other wallets. Sign in with one of those and unlink it there first.")


class AccountsTooMany(LinkRefused):
    """The user has the maximum number of accounts."""

    code = "accounts_too_many"
    panel_state = "accounts_too_many"
    title = _("You have linked as many wallets as you can")
    message = _("You have linked as many wallets as one user can. Unlink one that you no longer use, then try again.")


class AccountLast(LinkRefused):
    """The user's only account can't be unlinked: no account would be left."""

    code = "account_last"
    title = _("That is your only wallet")
    message = _("Your only wallet can't be unlinked. Link another one first.")


class AccountInUse(LinkRefused):
    """The account that signed this session can't be unlinked from within it."""

    code = "account_in_use"
    title = _("You are signed in with that wallet")
    message = _("You are using that wallet right now. Sign in with another of your wallets and unlink it there.")
