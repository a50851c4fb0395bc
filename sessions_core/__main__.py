"""Commands that need no application: `python -m sessions_core COMMAND` (`Part.standalone_commands`)."""

from __future__ import annotations

import sys

import click

from . import part


def main() -> None:
    """Run the command that the arguments name, or list the commands."""
    commands = [each for name in part.available() for each in part.class_of(name).standalone_commands()]
    if not commands:
        sys.exit(
            "This copy of sessions_core has no commands. Run them in the checkout that it was copied from; if that "
            "package is installed, write python -P -m sessions_core, which leaves out the current folder."
        )
    click.Group(help="Commands that need no application.", commands=commands)(prog_name="python -m sessions_core")


if __name__ == "__main__":
    main()
