"""Prints the results of commands: text or JSON to standard output, a refusal to standard error."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from flask.cli import AppGroup

from ...errors import AccountMalformed, SessionsError, StoreUnavailable
from ...sign_in import accounts
from ...sign_in.accounts import Account
from ...web.services import current_services

_WIDTH = 100  # columns that a table should fit into
_NARROWEST = 10


class Refusal(click.ClickException):
    """The failure of a command: the code and one sentence."""

    def __init__(self, error: SessionsError) -> None:
        sentence = str(error) or error.message
        if isinstance(error, StoreUnavailable):
            sentence = f"Redis does not answer, or refuses ({sentence})."
        super().__init__(f"{error.code}: {sentence}")

    def show(self, file: Any = None) -> None:
        """Print it."""
        say(self.message, err=True)


class Commands(AppGroup):
    """Commands that fail with a `Refusal`, and without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except SessionsError as error:
            raise Refusal(error) from error


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
force_option = click.option(
    "--force", is_flag=True, help="Even if a server process does not know the secret used here."
)


def parse_account(text: str) -> Account:
    """Return the account that an argument names; raise `AccountMalformed` with a sentence for the terminal."""
    try:
        return accounts.parse(text)
    except AccountMalformed as error:
        raise AccountMalformed(f"That is not a CAIP-10 account such as eip155:1:0x…: {error.args[0]}.") from error


def confirm(question: str, yes: bool) -> None:
    """Ask before the command goes on, unless the answer is `yes` already."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def refuse_unknown_secret(force: bool) -> None:
    """Refuse to encrypt with a secret that a server process does not know, if a part keeps track of that."""
    for check in () if force else current_services().hooks("check_command"):
        check()


def table(rows: Sequence[tuple[str, ...]], flexible: int) -> list[str]:
    """Return the lines of a table; if it is too wide, the column `flexible` is cut."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    spare = _WIDTH - sum(widths) - 2 * (len(widths) - 1)
    widths[flexible] = max(min(widths[flexible], _NARROWEST), widths[flexible] + min(0, spare))
    return ["  ".join(map(_cell, row, widths)).rstrip() for row in rows]


def _cell(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def minute(time: datetime) -> str:
    """Return a time for the terminal, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M UTC")


def answer(value: Any, as_json: bool) -> None:
    """Print one JSON value, or lines of text."""
    if as_json:
        # In ASCII; the one control character that JSON leaves as it is goes as well.
        click.echo(json.dumps(value, indent=1).replace("\x7f", "\\u007f"))
        return
    for line in value:
        say(line)


def answer_each(values: Iterable[Any]) -> None:
    """Print one JSON array as its items come, one a line; a failure in between leaves it without its end."""
    mark = "["
    for value in values:
        click.echo(mark + json.dumps(value).replace("\x7f", "\\u007f"), nl=False)
        mark = ",\n"
    click.echo("[]" if mark == "[" else "]")


@contextmanager
def progress_bar(length: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show on standard error how far a command is, if that is a terminal; the context is what counts on."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    with click.progressbar(length=length, file=sys.stderr) as bar:
        bar.update(done)
        yield bar.update


def say(line: str, err: bool = False) -> None:
    """Print a line, with a question mark for each character that would steer the terminal."""
    # Here, since all output passes through: clients choose device names, and an escape sequence in one could rewrite
    # this terminal, or type into it.
    visible = "".join(each if _harmless(each) else "?" for each in line)
    encoding = (sys.stderr if err else sys.stdout).encoding or "ascii"
    click.echo(visible.encode(encoding, "replace").decode(encoding), err=err)


def _harmless(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] != "C" and category not in ("Zl", "Zp")
