"""The commands for sessions and for the secret. Other parts add theirs (`Part.commands`).

    flask sessions list | show | revoke | revoke-all | sweep
    flask keys rotate

Results go to standard output, as text or with `--json` as one JSON value; a refusal goes to standard error, as its
code of the closed set and one sentence, with exit code 1. A session is named by its handle.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from flask import current_app, g

from ...errors import BadRequest, NotFound, RevocationPending, SessionsError
from ...sessions.record import LoadedSession
from ...sign_in import accounts
from ...sign_in.accounts import Account
from ...storage import secret_file
from ...web.services import SECRET_FILE, current_services
from ...web.session_view import HandleConverter, SessionView, described, iso, sessions_of
from .output import (
    Commands,
    answer,
    confirm,
    force_option,
    json_option,
    parse_account,
    refuse_unknown_secret,
    say,
    table,
)

_FOUND = {
    "dead": "had ended and were still there: deleted",
    "clock": "would never have expired: have their clock again",
    "lost": "missing in the list of their account: listed again",
    "unreadable": "changed from outside: deleted",
    "foreign": "encrypted with a secret that is not known here: left to their clock",
    "resealed": "encrypted with an older secret: encrypted again",
    "entries": "memories of sessions that ended more than a day ago: deleted",
}
_ROTATED = """\
The former secret is kept, so all users stay signed in. Next:
1. Restart every process of the application, since until then they know only the former secret.
2. Run flask sessions sweep, which encrypts what they keep with the new one.
3. Then the former one may go: {place}.
"""


sessions = Commands("sessions", help="Look at sessions, end them, put right what a crash left behind.")
keys = Commands("keys", help="Rotate the secret.")
_of_account = click.option("--account", help="The CAIP-10 account that the session is of; finds it without a search.")


# -- Sessions ----------------------------------------------------------------------------------------------------


@sessions.command("list")
@click.argument("account", required=False)
@json_option
def list_sessions(account: str | None, as_json: bool) -> None:
    """List the living sessions, of a CAIP-10 ACCOUNT or of all."""
    views = _views() if account is None else sessions_of(str(parse_account(account)))
    answer([_session(view) for view in views] if as_json else _session_table(views), as_json)


@sessions.command("show")
@click.argument("handle")
@_of_account
@json_option
def show_session(handle: str, account: str | None, as_json: bool) -> None:
    """Show one living session, and what it may do."""
    live = _find(handle, account)
    live.account_values = current_services().repository.account_values(live.record.account)
    view = described(live)
    shown = _session(view) | {
        "role": view.role,
        "permissions": [decision.permission for decision in view.permissions if decision.allowed],
        "signed_at": iso(view.signed_at),
        "remember": view.remember,
    }
    answer(shown if as_json else _pairs(shown), as_json)


@sessions.command("revoke")
@click.argument("handle")
@_of_account
@json_option
def revoke_session(handle: str, account: str | None, as_json: bool) -> None:
    """End one session."""
    if account is None:
        live = _find(handle, None)
        owner, alive = accounts.stored(live.record.account), current_services().lifecycle.revoke(live, "revoked")
    else:
        owner = parse_account(account)
        alive = _revoke_handle(owner, handle)
    _demand_confirmation()
    said = f"{handle} has ended." if alive else f"{handle} had ended already."
    answer({"session_id": handle, "account": str(owner), "ended": alive} if as_json else [said], as_json)


@sessions.command("revoke-all")
@click.argument("account", required=False)
@click.option("--everybody", is_flag=True, help="Every session of every account.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def revoke_all(account: str | None, everybody: bool, yes: bool, as_json: bool) -> None:
    """End every session of a CAIP-10 ACCOUNT or of all accounts, those being signed in right now included."""
    if everybody == (account is not None):
        raise BadRequest("Name an account, or say --everybody.")
    if account is None:
        confirm("Sign everybody out?", yes)
        current_services().lifecycle.revoke_everybody()
        _demand_confirmation()
        answer({"scope": "everybody"} if as_json else ["Everybody is signed out."], as_json)
        return
    found = parse_account(account)
    confirm(f"Sign {found} out everywhere?", yes)
    ended = current_services().lifecycle.revoke_account(found, "revoked")
    _demand_confirmation()
    shown = {"scope": "all", "account": str(found), "ended": ended}
    answer(shown if as_json else [f"{found} is signed out everywhere. Sessions that ended: {ended}."], as_json)


@sessions.command("sweep")
@force_option
@json_option
def sweep(force: bool, as_json: bool) -> None:
    """Repair what a crash or a full disk left behind, and encrypt again what an older secret had encrypted."""
    services = current_services()
    refuse_unknown_secret(force)
    found = services.sweeper.sweep()
    rows = [(str(count), name, _FOUND[name]) for name, count in found.items()]
    for clean in services.hooks("sweep"):
        for name, (count, sentence) in clean().items():
            found[name] = count
            rows.append((str(count), name, sentence))
    answer(found if as_json else table([("COUNT", "KIND", "WHAT WAS FOUND"), *rows], flexible=2), as_json)


# -- Keys --------------------------------------------------------------------------------------------------------


@keys.command("rotate")
@json_option
def rotate(as_json: bool) -> None:
    """Put a new secret in front and keep the former ones behind it. All users stay signed in."""
    path = current_app.extensions.get(SECRET_FILE)
    if path is None:
        lines = _in_environment()
        place = f"take it out of {list(lines)[1]}"
        answer(lines if as_json else [f"{name}={shlex.quote(value)}" for name, value in lines.items()], as_json)
    else:
        count, place = _in_file(path), f"delete every line but the last in {path}"
        said = f"{path} holds {count} secrets now, the newest last."
        answer({"path": str(path), "secrets": count} if as_json else [said], as_json)
    if not as_json:
        lost = [f"   {each.after_rotation}" for each in current_services().parts.values() if each.after_rotation]
        for line in (*_ROTATED.format(place=place).splitlines(), *lost):
            say(line, err=True)  # so that the secrets on standard output can go into a file


def _in_environment() -> dict[str, str]:
    former = current_services().settings.secrets
    if os.environ.get("FLASK_SECRET_KEY") == former[-1]:  # `app.config.from_prefixed_env()`
        return {"FLASK_SECRET_KEY": secrets.token_urlsafe(32), "FLASK_SECRET_KEY_FALLBACKS": json.dumps(former)}
    if not all(secret.isascii() and secret.isprintable() and "," not in secret for secret in former):
        # A terminal may show it as another secret, and that would sign all users out.
        raise BadRequest(
            "A secret in use has a comma or other than plain ASCII in it, so SESSION_SECRET_FALLBACKS can't hold it: "
            "put it into the list SECRET_KEY_FALLBACKS of the configuration, and a new one into SECRET_KEY."
        )
    return {"SESSION_SECRET": secrets.token_urlsafe(32), "SESSION_SECRET_FALLBACKS": ",".join(former)}


def _in_file(path: Path) -> int:
    try:
        return secret_file.rotate(path)
    except OSError as error:
        raise SessionsError(f"The file {path} can't be written ({error.strerror}).") from error


# -- What a command is about -------------------------------------------------------------------------------------


def _find(handle: str, account: str | None) -> LoadedSession:
    repository, of_one = current_services().repository, None if account is None else parse_account(account)
    _refuse_malformed(handle)
    live = None
    if of_one is not None:
        live = repository.find_living(str(of_one), handle)
    else:
        # Twice: the first search may miss a session that moves to a new id meanwhile.
        every = (each for _ in range(2) for each in current_services().sweeper.every())
        live = next((each for each in every if each.record.account and each.record.handle == handle), None)
    if live is None:
        raise NotFound("There is no living session with this handle.")
    return live


def _revoke_handle(account: Account, handle: str) -> bool:
    _refuse_malformed(handle)
    try:
        return current_services().lifecycle.revoke_handle(account, handle)
    except NotFound as error:
        raise NotFound("This account has no session with this handle.") from error


def _demand_confirmation() -> None:
    if g.pop("revocation_pending", False):
        raise RevocationPending(
            "What was ended has ended, but too few replicas have confirmed it. Run the command again to be sure."
        )


def _refuse_malformed(handle: str) -> None:
    if not re.fullmatch(HandleConverter.regex, handle, re.ASCII):
        raise NotFound("There is no session with this handle; handles look like sess_ and 16 characters.")


def _views() -> list[SessionView]:
    services = current_services()
    found = {
        live.record.handle: live for live in services.sweeper.every() if live.record.account
    }  # one may come twice
    return sorted(
        map(described, found.values()),
        key=lambda view: (view.live.record.account, -view.live.active),
    )


# -- How it is shown ---------------------------------------------------------------------------------------------


def _session(view: SessionView) -> dict[str, Any]:
    return view.as_row()


def _session_table(views: Sequence[SessionView]) -> Iterable[str]:
    if not views:
        return ["There is no living session."]
    heading = ("  HANDLE", "TYPE", "DEVICE", "IP", "SIGNED IN", "ACTIVE", "EXPIRES")
    rows = [_session_row(view) for view in views]
    first, *lines = table([heading, *rows], flexible=2)
    owners = [view.live.record.account for view in views]
    grouped = groupby(zip(owners, lines, strict=True), key=lambda each: each[0])
    return [first, *(line for owner, group in grouped for line in (owner, *(each[1] for each in group)))]


def _session_row(view: SessionView) -> tuple[str, ...]:
    live, row = view.live, view.as_row()
    return (
        f"  {view.handle}",
        view.type,
        row.get("device", ""),
        row.get("ip", ""),
        f"{_length(live.now - live.record.created_at)} ago",
        f"{_length(live.now - live.active)} ago",
        f"in {_length(live.idle_expires_at - live.now)}",
    )


def _pairs(shown: dict[str, Any]) -> Iterator[str]:
    longest = max(map(len, shown))
    for name, value in shown.items():
        text = ", ".join(value) if isinstance(value, list) else {True: "yes", False: "no"}.get(value, value)
        yield f"{name:{longest}}  {text}".rstrip()


def _length(milliseconds: int) -> str:
    seconds = max(0, milliseconds) // 1000
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
