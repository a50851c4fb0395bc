"""Trial wallets for visitors without a wallet: make one, sign with it, export it, delete it.

Signing takes the browser's key share and the server's. A stolen share can't be used to sign arbitrary texts: the
server puts the key together only for an unused text that it wrote itself, for this browser or session.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from msgspec import Meta
from werkzeug.wrappers import Response

from ... import events
from ...access.policy import OWN_WALLETS
from ...errors import (
    BodyMalformed,
    ChallengeForeign,
    ConfirmationMalformed,
    NotFound,
    NotSignedIn,
    RateLimited,
    SignInRefused,
    family,
)
from ...sign_in.accounts import Account
from ...sign_in.challenges import CONFIRM, SIGN_IN
from ...web import attempts, confirmations
from ...web.guards import ensure_fresh, public, refusal, requires, session_view, wallet_session
from ...web.operation import operation
from ...web.pages import clear_browser, end_session, own_session
from ...web.schemas import AccountId, success
from ...web.services import current_services
from ...web.session_view import SessionView
from . import TrialWallets, cookie
from .end_reasons import DELETED, SHARE_GONE
from .events import WalletExported

pages = Blueprint("sessions_trial_wallets", __name__, template_folder="templates", url_prefix="/session/wallet")
api = Blueprint("sessions_trial_wallets_json", __name__, url_prefix="/api/auth")

_KEY_SHARE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WORD = "delete"
"""What users type before a wallet is deleted: it signs without asking the user, so two stray clicks would be enough.
"""


class Nothing(msgspec.Struct):
    """An empty object."""


class SignRequest(msgspec.Struct):
    """A challenge as it came, the account and key share that sign it, and for a step-up the `request` that waits."""

    account: str
    share: str
    message: str
    challenge: str
    request: str | None = None


class WalletMade(msgspec.Struct):
    """A new wallet, and the key share that only the user's browser keeps."""

    account: AccountId
    share: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class WalletSignature(msgspec.Struct):
    """What the wallet signed, as a verifier of its chain takes it."""

    signature: str


class WalletGone(msgspec.Struct):
    """The wallet that signs no more."""

    account: AccountId
    deleted: Literal[True]


@api.post("/wallets")
@public(keeps_alive=False)
@operation(NotFound, RateLimited, status=201)
def create_wallet(body: Nothing) -> WalletMade | Response:
    """Make a wallet and return the browser's key share. The wallet is forgotten in ten minutes unless it signs."""
    part = _part()
    attempts.count("challenges")
    account, key_share = part.key_shares.create()
    return cookie.give(success(WalletMade(str(account), key_share.hex()), 201), account)


@api.post("/wallets/sign")
@public(keeps_alive=False, csrf=False)
@operation(NotFound, RateLimited, *family(SignInRefused), ConfirmationMalformed, *family(NotSignedIn))
def sign_with_wallet(body: SignRequest) -> WalletSignature | Response:
    """Sign a challenge of this browser, or of this session. The key share that the caller sends authenticates it."""
    part, services, session = _part(), current_services(), wallet_session()
    attempts.count("challenges")
    if not _KEY_SHARE.fullmatch(body.share):
        raise BodyMalformed("a key share is 64 lower-case hex digits")
    if body.request is None:
        if session.browser is None:
            raise ChallengeForeign("no cookie of a browser")
        binding, purpose = session.browser, SIGN_IN
    else:
        if session.account_live is None:
            raise refusal(session)
        binding, purpose = confirmations.from_token(services, session, body.request).binding, CONFIRM
    account = services.challenges.check(body.message, body.challenge, binding, purpose)
    if str(account) != body.account:
        raise ChallengeForeign("of another account")
    signature = part.key_shares.sign(account, bytes.fromhex(body.share), body.message)
    return cookie.give(success(WalletSignature(signature)), account)


@api.delete("/wallets")
@requires(OWN_WALLETS)
@operation(NotFound, confirms=True)
def delete_wallet() -> WalletGone | Response:
    """Delete the wallet of this session and end every session of its account."""
    account = _delete()
    answer = success(WalletGone(str(account), True))
    return cookie.take(clear_browser(answer, DELETED.name, str(account)))


@pages.get("/export")
@requires(OWN_WALLETS)
def export_wallet() -> ResponseReturnValue:
    """Return the server's key share; the browser puts the key together, so that the key is never sent whole."""
    view = _view()
    ensure_fresh(300, "wallet.export")
    key_share = _part().key_shares.reveal(view.account)
    events.publish(WalletExported(handle=view.handle, account=str(view.account)))
    return render_template("sessions/wallet_export.html", key_share=key_share.hex())


@pages.get("/delete")
@requires(OWN_WALLETS)
def ask_to_delete_wallet() -> ResponseReturnValue:
    """Say what is lost, and ask."""
    _view()
    return render_template("sessions/wallet_delete.html", word=_WORD)


@pages.post("/delete", endpoint="delete_wallet_post")
@requires(OWN_WALLETS)
def delete_wallet_post() -> ResponseReturnValue:
    """Delete the wallet and end every session of its account, if the word was typed. The page that follows deletes
    this browser's key share, which is worthless now.
    """
    _view()
    if request.form.get("word", "").strip().casefold() != _WORD:
        flash("word", "invalid")
        return redirect(url_for("sessions_trial_wallets.ask_to_delete_wallet"), 303)
    account = _delete()
    answer = redirect(url_for("sessions.signed_out"), 303)
    return cookie.take(clear_browser(answer, DELETED.name, str(account)))


@pages.post("/gone")
@public(csrf=False)
def gone() -> ResponseReturnValue:
    """Sign out, since the page no longer finds this browser's key share. The next page says so."""
    view = session_view()
    # Of the wallet of this session: another tab may have replaced it with a new one, whose key share must stay.
    forget = view is not None and cookie.names(view.account)
    end_session(SHARE_GONE.name)
    answer = clear_browser(redirect(url_for("sessions.signed_out"), 303), SHARE_GONE.name)
    return cookie.take(answer) if forget else answer


def _delete() -> Account:
    services, account = current_services(), _view().account
    ensure_fresh(0, "wallet.delete")
    # The sessions first: if Redis fails in between, the user comes back with their key share and deletes again.
    services.lifecycle.revoke_account(account, DELETED.name)
    _part().key_shares.forget(account)
    wallet_session().release()
    return account


def _part() -> TrialWallets:
    part = current_services().part(TrialWallets)
    if part.chain is None:
        raise NotFound("no wallets are made here")
    return part


def _view() -> SessionView:
    """Return the session of this request, if its wallet is a trial wallet; raise `NotFound` if not."""
    view = own_session()
    if not _part().is_used_by(view):
        raise NotFound("the wallet of this session was not made here")
    return view
