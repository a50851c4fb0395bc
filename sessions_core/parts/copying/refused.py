"""How these commands fail: what is wrong and what to do, on standard error, with exit code 1."""

from __future__ import annotations

import os

import click


class Refused(click.ClickException):
    """A command that changed nothing. The message says why, and what to do."""


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path for the terminal: a name must not steer it, so what can't be printed is escaped."""
    text = os.fspath(path)
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
