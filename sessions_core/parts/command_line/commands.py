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
from itertools import chain as chain_of
from itertools import groupby, islice
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
    answer_each,
    confirm,
    force_option,
    json_option,
    parse_account,
    refuse_unknown_secret,
    say,
    table,
)
from .sweep import run_sweep

_BLOCK = 1_000  # sessions that are read and sorted before they are printed
_CHAIN = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}", re.ASCII)
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
@click.option("--limit", type=click.IntRange(1), help="Stop after this many sessions.")
@click.option("--type", "type_name", help="Only sessions of this type, such as standard.")
@click.option("--chain", help="Only sessions signed on this CAIP-2 chain, such as eip155:1.")
@click.option("--inactive", type=click.IntRange(1), metavar="MINUTES", help="Only sessions not used for so long.")
@json_option
def list_sessions(
    account: str | None,
    limit: int | None,
    type_name: str | None,
    chain: str | None,
    inactive: int | None,
    as_json: bool,
) -> None:
    """List the living sessions, of a CAIP-10 ACCOUNT or of all.

    They are printed as they are read, a thousand at a time. Up to a thousand are sorted by account; of more, each
    thousand is.
    """
    unread = current_services().sweeper.unread
    unread.clear()
    views = _views() if account is None else iter(sessions_of(str(parse_account(account))))
    wanted = _matching(views, type_name, chain, inactive)
    blocks = _sorted_blocks(islice(wanted, limit))
    first = next(blocks, [])
    if not first and (type_name or chain or inactive):
        _refuse_unread()
        raise NotFound("No living session matches.")
    blocks = chain_of([first], blocks)
    if as_json:
        answer_each(_session(view) for block in blocks for view in block)
    else:
        _print_tables(blocks)
    if limit is not None and next(wanted, None) is not None:
        say(f"There are more than {limit}.", err=True)
    _refuse_unread()


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
        "signed_at": iso(view.signed_at) if view.signed_at else None,
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
@click.option("--again", is_flag=True, help="Begin again, even if the last sweep was interrupted.")
@force_option
@json_option
def sweep(again: bool, force: bool, as_json: bool) -> None:
    """Repair what a crash or a full disk left behind, and encrypt again what an older secret had encrypted.

    A sweep that was interrupted goes on where it stopped, within an hour.
    """
    services = current_services()
    refuse_unknown_secret(force)
    found = run_sweep(services, again)
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
        live = repository.find_handle(handle) or _search(handle)
    if live is None:
        raise NotFound("There is no living session with this handle.")
    return live


def _search(handle: str) -> LoadedSession | None:
    # Among all sessions: one that its index lacks, or whose handle was made with a secret that is no longer used.
    # Twice: the first search may miss a session that moves to a new id meanwhile.
    every = (each for _ in range(2) for each in current_services().sweeper.every())
    return next((each for each in every if each.record.account and each.record.handle == handle), None)


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


def _views() -> Iterator[SessionView]:
    return (described(live) for live in current_services().sweeper.every() if live.record.account)


def _matching(
    views: Iterator[SessionView], type_name: str | None, chain: str | None, inactive: int | None
) -> Iterator[SessionView]:
    types = list(current_services().policy.types)
    if type_name is not None and type_name not in types:
        raise BadRequest(f"There is no such type; the types are {', '.join(types)}.")
    if chain is not None and not _CHAIN.fullmatch(chain):
        raise BadRequest("That is not a CAIP-2 chain such as eip155:1.")
    return (
        view
        for view in views
        if type_name in (None, view.type)
        and chain in (None, view.chain_id)
        and view.live.now - view.live.active >= (inactive or 0) * 60_000
    )


def _sorted_blocks(views: Iterator[SessionView]) -> Iterator[list[SessionView]]:
    while block := list(islice(views, _BLOCK)):
        once = {view.handle: view for view in block}  # SCAN may give a key twice
        yield sorted(once.values(), key=lambda view: (view.live.record.account, -view.live.active))


def _refuse_unread() -> None:
    unread = current_services().sweeper.unread
    if foreign := unread["foreign"]:
        raise SessionsError(f"Not listed, since a secret that is not known here encrypted them: {foreign}.")
    if unread.total():
        raise SessionsError(f"Not listed, since they were changed from outside: {unread.total()}.")


# -- How it is shown ---------------------------------------------------------------------------------------------


def _session(view: SessionView) -> dict[str, Any]:
    return view.as_row()


def _print_tables(blocks: Iterable[Sequence[SessionView]]) -> None:
    heading = ("  HANDLE", "TYPE", "DEVICE", "IP", "SIGNED IN", "ACTIVE", "EXPIRES")
    for number, views in enumerate(blocks):
        first, *lines = table([heading, *map(_session_row, views)], flexible=2)
        if number == 0:
            say(first if views else "There is no living session.")
        owners = [view.live.record.account for view in views]
        for owner, group in groupby(zip(owners, lines, strict=True), key=lambda each: each[0]):
            for line in (owner, *(line for _, line in group)):
                say(line)


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
