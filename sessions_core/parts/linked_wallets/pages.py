"""Pages to link and unlink wallets; `/session` shows the linked ones.

Both sides sign: the other wallet a text that names the account it is linked to, and the account of the session one
that names the other. So neither a stolen cookie nor an unlocked screen is enough to link or unlink a wallet.
"""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from ... import events
from ...access.policy import OWN_WALLETS
from ...errors import BadRequest, NotFound, SignatureMismatch, SignInRefused, VerificationUnavailable
from ...sign_in import messages
from ...sign_in.accounts import Account, parse
from ...web.guards import ensure_fresh, requires
from ...web.pages import accepted, own_session
from ...web.services import current_services
from ...web.sign_in import display_name
from . import LINK, LinkedWallets
from .errors import AccountInUse, AccountLast, LinkRefused
from .events import LinkFailed
from .linked_accounts import AccountLinking

pages = Blueprint("sessions_linked_wallets", __name__, template_folder="templates", url_prefix="/session/wallets")


@pages.get("/link")
@requires(OWN_WALLETS)
def link() -> ResponseReturnValue:
    """Show the panel that connects another wallet."""
    return _page()


@pages.post("")
@requires(OWN_WALLETS)
def link_wallet() -> ResponseReturnValue:
    """Link the account that has signed, once the account of this session has signed as well."""
    services, view, form = current_services(), own_session(), request.form
    account = _account(form.get("account", ""))
    message = messages.from_form(form.get("message", ""))
    try:
        _linked().check_can_link(account, view.user)  # before the user is asked to sign for it
        ensure_fresh(0, "wallet.link")
        signed = services.challenges.redeem(
            message, form.get("challenge", ""), form.get("signature", ""), view.handle, LINK
        )
        if signed.account != account:  # not the one that this session's account has just signed for
            raise SignatureMismatch("another account signed")
        _linked().link(account, by=view.account)
    except (LinkRefused, VerificationUnavailable, SignInRefused) as error:
        events.publish(LinkFailed(handle=view.handle, account=str(view.account), other=str(account), code=error.code))
        return _page(error)
    flash(str(account), "linked")
    return redirect(url_for("sessions.status"), 303)


@pages.post("/unlink")
@requires(OWN_WALLETS)
def unlink_wallet() -> ResponseReturnValue:
    """Take an account from this user, and end its sessions."""
    view = own_session()
    account = _account(request.form.get("account", ""))
    if account == view.account:
        raise AccountInUse(str(account)) if len(view.user.accounts) > 1 else AccountLast(str(account))
    if not _linked().knows(account, view.user):
        raise NotFound("no account of this user")  # before the user is asked to sign for it
    ensure_fresh(0, "wallet.unlink")
    _linked().unlink(account, by=view.account)
    flash(str(account), "unlinked")
    return redirect(url_for("sessions.status"), 303)


@pages.post("/primary")
@requires(OWN_WALLETS)
def prefer_wallet() -> ResponseReturnValue:
    """Make an account the primary one of this user."""
    view = own_session()
    account = _account(request.form.get("account", ""))
    if account not in view.user.accounts:
        raise NotFound("no account of this user")
    ensure_fresh(0, "wallet.primary")
    _linked().set_primary(account, by=view.account)
    flash(str(account), "primary")
    return redirect(url_for("sessions.status"), 303)


def _page(error: LinkRefused | VerificationUnavailable | SignInRefused | None = None) -> ResponseReturnValue:
    page = render_template(
        "sessions/link.html",
        state=error.panel_state if error else "idle",
        error=error,
        wallet=display_name(request.form.get("wallet", "")),
        statement=current_services().actions.sentence("wallet.join", {"account": str(own_session().account)}),
        **accepted(),
    )
    return page, error.status if error else 200


def _linked() -> AccountLinking:
    return current_services().part(LinkedWallets).linked_accounts


def _account(text: str) -> Account:
    try:
        found = parse(text)
    except SignInRefused as error:
        raise BadRequest("no account") from error
    if str(found) != text:
        # One account, one spelling: what is signed names the account as the field has it.
        raise BadRequest("not in its canonical form")
    return found
