"""`flask sessions events`: the activity, on the command line."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ...events import class_of, names_of
from ...web.session_view import iso, moment, second
from ..command_line.output import Commands, answer, json_option, parse_account
from .activity_log import Entry
from .pages import KINDS, as_row, log

sessions = Commands("sessions")


@sessions.command("events")
@click.argument("account", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, at most.")
@click.option("--kind", type=click.Choice(KINDS), help="Only events of this kind.")
@json_option
def list_events(account: str | None, limit: int, kind: str | None, as_json: bool) -> None:
    """List the activity, newest first: of a CAIP-10 ACCOUNT, or of the whole site."""
    names = names_of(kind) if kind else ()
    of_one = None if account is None else str(parse_account(account))
    page = log().site(names, limit=limit) if of_one is None else log().account(of_one, names, limit=limit)
    if as_json:
        answer([as_row(entry) | {"details": entry.fields} for entry in page.entries], as_json)
    else:
        lines = [line for entry in page.entries for line in _lines(entry, of_one)]
        answer(lines or ["Nothing has happened."], as_json)


def _lines(entry: Entry, account: str | None) -> Iterator[str]:
    fields = dict(entry.fields)
    owner = fields.pop("account", None) or ""
    times = f" ({entry.count} times)" if entry.count > 1 else ""
    yield f"{second(moment(entry.at))}  {entry.name + times:20}  {owner if account is None else ''}".rstrip()
    event = class_of(entry.name)
    for name in event.times if event is not None else ():
        fields[name] = iso(moment(fields[name])) if fields.get(name) else None
    details = [f"{name}={value}" for name, value in fields.items() if value]
    yield "    " + "; ".join([", ".join(filter(None, (entry.device, entry.ip))), *details])
