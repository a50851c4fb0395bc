"""The command `flask sessions` and `flask keys`: look at sessions, end them, clean up, rotate the secret."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ...part import Part


class CommandLine(Part):
    """Administration from a shell."""

    redis_keys = {"sweep": "string: where the running or interrupted sweep is"}

    def commands(self) -> Sequence[click.Command]:
        """Return the groups of commands that other parts add to."""
        from .commands import keys, sessions

        return (sessions, keys)
