"""The commands `copy`, `status` and `upgrade` of `python -m sessions_core`: for teams that own a copy of the package.

No copy that they make has this folder, and an application does nothing with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from ...part import Part


class Copying(Part):
    """Copies the package into a project, and merges newer versions with what the project has edited."""

    @classmethod
    def standalone_commands(cls) -> Sequence[click.Command]:
        """Return the three commands."""
        from .commands import copy, status, upgrade

        return (copy, status, upgrade)
