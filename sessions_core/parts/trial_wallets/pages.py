"""Wallets for people who have none: make one, sign with it, export it, delete it.

Signing takes the person's half of the key and the server's. A stolen half is no oracle that signs anything: the
server puts the key together only for a text that it wrote itself, for this browser or session, and that is unused.
"""

from __future__ import annotations

import re

import msgspec
from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
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
from ...web.guards import ensure_fresh, public, refusal, requires, wallet_session
from ...web.json_routes import api
from ...web.operation import operation
from ...web.pages import clear_browser, own_session, pages
from ...web.schemas import WalletGone, WalletMade, WalletSignature, success
from ...web.services import Services, services
from ...web.session_view import SessionView
from . import cookie
from .key_shares import DELETED

_SHARE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WORD = "delete"
"""What people type before a wallet is deleted: it asks nobody before it signs, so two stray clicks would do."""


class Nothing(msgspec.Struct):
    """An empty object."""


class SignRequest(msgspec.Struct):
    """A text of ours as it came, who signs it with which half, and for a step-up the `request` that waits."""

    account: str
    share: str
    message: str
    challenge: str
    request: str | None = None


@api.post("/wallets")
@public(slides=False)
@operation(NotFound, RateLimited, status=201)
def create_wallet(body: Nothing) -> WalletMade | Response:
    """Make a wallet and give its person's half away; it is forgotten in ten minutes unless it signs."""
    ours = _ours()
    attempts.count("challenges")
    account, share = ours.shares.create()
    return cookie.give(success(WalletMade(str(account), share.hex()), 201), account)


@api.post("/wallets/sign")
@public(slides=False, csrf=False)
@operation(NotFound, RateLimited, *family(SignInRefused), ConfirmationMalformed, *family(NotSignedIn))
def sign_with_wallet(body: SignRequest) -> WalletSignature | Response:
    """Sign a challenge of this browser, or of this session. The caller proves itself by the half it sends."""
    ours, current = _ours(), wallet_session()
    attempts.count("challenges")
    if not _SHARE.fullmatch(body.share):
        raise BodyMalformed("a share is 64 lower-case hex digits")
    if body.request is None:
        if current.browser is None:
            raise ChallengeForeign("no cookie of a browser")
        binding, purpose = current.browser, SIGN_IN
    else:
        if current.account_live is None:
            raise refusal(current)
        binding, purpose = confirmations.from_token(ours, current, body.request).binding, CONFIRM
    account = ours.challenges.check(body.message, body.challenge, binding, purpose)
    if str(account) != body.account:
        raise ChallengeForeign("of another account")
    signature = ours.shares.sign(account, bytes.fromhex(body.share), body.message)
    return cookie.give(success(WalletSignature(signature)), account)


@api.delete("/wallets")
@requires(OWN_WALLETS)
@operation(NotFound, confirms=True)
def delete_wallet() -> WalletGone | Response:
    """Delete the wallet of this session and end every session of its account."""
    account = _delete()
    answer = success(WalletGone(str(account), True))
    return cookie.take(clear_browser(answer, DELETED.name, str(account)))


@pages.get("/session/wallet/export")
@requires(OWN_WALLETS)
def export_wallet() -> ResponseReturnValue:
    """Hand out the server's half; the browser puts the key together, so that it never travels whole."""
    view = _view()
    ensure_fresh(300, "wallet.export")
    share = services().shares.reveal(view.account)
    events.publish(events.WalletExported(handle=view.handle, account=str(view.account)))
    return render_template("sessions/wallet_export.html", share=share.hex())


@pages.get("/session/wallet/delete")
@requires(OWN_WALLETS)
def ask_to_delete_wallet() -> ResponseReturnValue:
    """Say what is lost, and ask."""
    _view()
    days = services().settings.pregenerated_days
    return render_template("sessions/wallet_delete.html", pregenerated_days=days, word=_WORD)


@pages.post("/session/wallet/delete", endpoint="delete_wallet_post")
@requires(OWN_WALLETS)
def delete_wallet_post() -> ResponseReturnValue:
    """Delete the wallet and end every session of its account, if the word was typed. The page that follows deletes
    this browser's half, which is worth nothing any more.
    """
    _view()
    if request.form.get("word", "").strip().casefold() != _WORD:
        flash("word", "invalid")
        return redirect(url_for("sessions.ask_to_delete_wallet"), 303)
    account = _delete()
    answer = redirect(url_for("sessions.signed_out"), 303)
    return cookie.take(clear_browser(answer, DELETED.name, str(account)))


def _delete() -> Account:
    ours, account = services(), _view().account
    ensure_fresh(0, "wallet.delete")
    # The sessions first: if Redis fails in between, the person comes back with their half and deletes again.
    ours.lifecycle.revoke_account(account, DELETED.name)
    ours.shares.forget(account)
    wallet_session().release()
    return account


def _ours() -> Services:
    ours = services()
    if ours.settings.pregenerated_chain is None:
        raise NotFound("no wallets are made here")
    return ours


def _view() -> SessionView:
    """Return the session of this request, if its wallet is a pre-generated one; raise `NotFound` if not."""
    _ours()
    view = own_session()
    if not view.pregenerated:
        raise NotFound("the wallet of this session was not made here")
    return view
