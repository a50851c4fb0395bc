"""The browser's code of the package."""

from __future__ import annotations

import re

from .constants import ROOT

PACKAGE = ROOT / "sessions_core"
FILES = sorted(path for path in PACKAGE.rglob("*.js") if "static" in path.parts)
COMMENT = re.compile(r"/\*.*?\*/|(?<!\S)//[^\n]*", re.DOTALL)


def code_of(source: str) -> str:
    """Return a script without its comments."""
    return COMMENT.sub("", source)
