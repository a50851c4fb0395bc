"""What the tour can do in development alone: attacks that fail on show, a role for the asking, a second browser.

None of this belongs into an application. `register` adds these routes only where `SESSIONS_CORE_DEVELOPMENT` is on,
which start-up refuses for any site but one on this machine.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from sessions_core import current_account, current_session, gettext, public, signed_in
from sessions_core.errors import _, catalogue
from sessions_core.sessions.record import SessionRecord
from sessions_core.sign_in.accounts import stored
from sessions_core.sign_in.challenges import Signed
from sessions_core.storage.encryption import DecryptionFailed
from sessions_core.web.guards import wallet_session
from sessions_core.web.pages import clear_browser, end_session
from sessions_core.web.services import current_services

from . import server_log

tricks = Blueprint("tour_tricks", __name__)

_SIGNED = "tour_signed"  # in flask.session: the form that paid an invoice, with its signature
_SECOND_SECONDS = 120
_PLACE = b"tour second browser"
_TITLES = (_("Conflict"), _("Gone"))  # of the error pages for what this module refuses; werkzeug names them


def register(app: Flask) -> None:
    """Add the routes, and keep the last signature that paid an invoice, so that it can be sent again."""
    app.register_blueprint(tricks)
    app.after_request(_keep_signature)


def _keep_signature(response: Response) -> Response:
    if request.endpoint == "tour.pay" and response.status_code == 303 and "confirm_signature" in request.form:
        session[_SIGNED] = {"path": request.path, "form": dict(request.form)}
    return response


# -- Attacks that fail -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What was sent, and what the application answered. `more` refines the code."""

    method: str
    path: str
    status: int
    code: str
    more: str
    sentence: str
    request_id: str


def _send(method: str, path: str, session_id: str, form: Any = None) -> Outcome:
    """Send a request to this application as this browser would, through all of its layers, with this session id."""
    services = current_services()
    cookies = {services.store.cookie_name: session_id}
    kept = (services.store.browser_cookie_name, server_log.COOKIE)
    cookies |= {name: request.cookies[name] for name in kept if name in request.cookies}
    origin = services.settings.public_origin
    answer = current_app.test_client(use_cookies=False).open(
        path,
        method=method,
        base_url=origin,
        data=form,
        headers={
            "Accept": "application/json",
            "Accept-Language": request.headers.get("Accept-Language", ""),
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "Origin": origin,
            "Sec-Fetch-Site": "same-origin",
            "User-Agent": request.user_agent.string,
        },
        environ_overrides={"REMOTE_ADDR": request.remote_addr or ""},
    )
    error = (answer.get_json(silent=True) or {}).get("error", {})
    more = error.get("problem") or error.get("reason") or ""
    known = catalogue().get(more)
    return Outcome(
        method,
        path,
        answer.status_code,
        error.get("code", ""),
        more,
        gettext(known.message) if known else error.get("message", ""),
        error.get("request_id", ""),
    )


@tricks.post("/tour/tricks/replay")
@signed_in
def replay() -> ResponseReturnValue:
    """Pay the invoice again with the signature that has paid it."""
    kept = session.get(_SIGNED) or abort(
        409, gettext("Pay the invoice first: there is no signature yet to send again.")
    )
    form = MultiDict({**kept["form"], "csrf_token": generate_csrf()})
    return _shown("replay", _send("POST", kept["path"], _own_id(), form))


@tricks.post("/tour/tricks/stale")
@signed_in
def stale() -> ResponseReturnValue:
    """Sign out, then open a private page with the cookie of before."""
    session_id = _own_id()
    end_session()
    outcome = _send("GET", url_for("tour.members"), session_id)
    return clear_browser(make_response(_shown("stale", outcome)), "signed_out")


@tricks.post("/tour/tricks/forge")
@signed_in
def forge() -> ResponseReturnValue:
    """Open a private page with a cookie that names this account and is otherwise made up."""
    own = _own_id()
    made_up = secrets.token_urlsafe(len(own))[: len(own) - 12]
    return _shown("forge", _send("GET", url_for("tour.members"), own[:12] + made_up))


def _own_id() -> str:
    live = wallet_session().account_live
    assert live is not None  # noqa: S101  # the guard saw to it
    return live.id


def _shown(trick: str, outcome: Outcome) -> str:
    return render_template("tour/outcome.html", trick=trick, outcome=outcome)


def can_replay() -> bool:
    """Whether there is a signature to send again."""
    return _SIGNED in session


# -- A role for the asking -------------------------------------------------------------------------------------------


@tricks.post("/tour/tricks/editor")
@signed_in
def editor() -> ResponseReturnValue:
    """Make a member an editor, and an editor a member. Other roles stay: an administrator would lose theirs."""
    if "roles" not in current_services().parts:
        abort(404)
    from sessions_core.parts.roles import Roles  # its folder may have been deleted

    after = {"member": "editor", "editor": "member"}.get(current_session.account_role)
    if after is None:
        abort(409, gettext("Only members can become editors here. Your role was not changed."))
    current_services().part(Roles).roles.assign(current_account, after, by=str(current_account))
    return redirect(url_for("tour.editors" if after == "editor" else "tour_pages.index"), 303)


# -- A second browser ------------------------------------------------------------------------------------------------


@tricks.post("/tour/tricks/second")
@signed_in
def second() -> ResponseReturnValue:
    """Make a link that signs this trial account in once, within two minutes, in another browser on this machine."""
    services, token = current_services(), secrets.token_urlsafe(24)
    trial = services.parts.get("trial_wallets")
    if trial is None or not trial.is_used_by(current_session):  # type: ignore[attr-defined]  # of the part
        abort(409, gettext("Only a trial account can be opened by a link. Sign in there with your own wallet."))
    account = services.keys.encrypt(str(current_account).encode(), _PLACE)
    services.connection.call("SET", _second_key(token), account, "EX", _SECOND_SECONDS)
    link = services.settings.public_origin + url_for("tour_tricks.second_open", token=token)
    return render_template("tour/second.html", link=link, seconds=_SECOND_SECONDS)


@tricks.get("/tour/second/<token>")
@public
def second_open(token: str) -> str:
    """Ask before anything happens: browsers open links ahead of their user."""
    wallet_session().bind_browser()
    return render_template("tour/second_open.html", token=token)


@tricks.post("/tour/second/<token>")
@public
def second_sign_in(token: str) -> ResponseReturnValue:
    """Start a session of the account that the link was made for. The link is used up, whatever comes of it."""
    services, browser = current_services(), wallet_session()
    try:
        found = services.connection.call("GETDEL", _second_key(token)) or b""
        account = stored(services.keys.decrypt(found, _PLACE).decode())
    except DecryptionFailed:
        abort(410, gettext("This link was used already, or is older than two minutes. Make a new one on the tour."))

    def prepare(record: SessionRecord) -> None:
        for add in services.hooks("on_sign_in"):
            add(Signed(account), record, True)

    values = services.repository.account_values(str(account))
    status = services.account_status(str(account), values)
    live = services.lifecycle.start(
        account,
        services.policy.standard,
        wallet="Tour link",
        replacing=browser.live,
        privilege=services.privileges(str(account), values, status) or "",
        browser=browser.browser,
        account_values=values,
        prepare=prepare,
    )
    browser.adopt(live)
    return redirect(url_for("tour_pages.index"), 303)


def _second_key(token: str) -> str:
    return f"{current_services().settings.redis_prefix}tour:second:{hashlib.sha256(token.encode()).hexdigest()}"
