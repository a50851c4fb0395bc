"""Rounds that break real servers under traffic and print what was counted: `make faults`."""

from __future__ import annotations

from typing import Any


def table(title: str, found: dict[str, Any]) -> None:
    """Print counts, one a line."""
    print(f"\n{title}")
    for name, value in found.items():
        print(f"  {name:<34} {value}")
