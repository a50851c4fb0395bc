"""What a round of faults has to leave behind, and the table of what it did."""

from __future__ import annotations

import sys
from collections import Counter

COLUMNS = ("rounds", "writes", "lost writes", "signed out", "thief in", "revoked alive")
BAD = COLUMNS[2:]
_WIDTH = 28


class Table:
    """Counts by scenario; a line is printed as soon as a scenario is done."""

    def __init__(self) -> None:
        self._begun = False

    def line(self, scenario: str, found: Counter[str]) -> None:
        """Print the counts of a scenario, and fail if one is not zero that has to be."""
        if not self._begun:
            self._begun = True
            self._print("scenario", COLUMNS)
        self._print(scenario, [found[column] for column in COLUMNS])
        assert {column: found[column] for column in BAD} == dict.fromkeys(BAD, 0), scenario

    @staticmethod
    def _print(first: str, cells: object) -> None:
        assert isinstance(cells, (list, tuple))
        # Past pytest's own capture: the table is what is run for.
        print(f"\n| {first:{_WIDTH}} | {' | '.join(f'{cell!s:>13}' for cell in cells)} |", end="", file=sys.stderr)
