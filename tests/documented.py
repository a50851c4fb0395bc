"""Blocks of code in the documents, for tests that run them as they stand."""

from __future__ import annotations

import re

from .constants import ROOT


def blocks(document: str, heading: str, language: str) -> list[str]:
    """Return the blocks in a language below a heading, up to the next heading of any level."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    # A comment in a block is no heading.
    fenced = re.compile(r"^```.*?^```$", re.M | re.S)
    plain = fenced.sub(lambda block: re.sub(r"[^\n]", "x", block[0]), text)
    found = re.search(rf"^#+ {re.escape(heading)}$", plain, re.M)
    assert found, f"{document} has no heading {heading!r}"
    following = re.compile(r"^#+ ", re.M).search(plain, found.end())
    section = text[found.end() : following.start() if following else None]
    code = re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)
    assert code, f"{heading!r} has no block in {language}"
    return code


def run(app: object, heading: str, **names: object) -> dict[str, object]:
    """Run the Python below a heading of docs/integrate.md with `app` and `names`; return what it defined."""
    space = {"app": app} | names
    for code in blocks("integrate.md", heading, "python"):
        exec(compile(code, f"docs/integrate.md, {heading}", "exec"), space)  # our own text
    return space


def table(path: str, first: str) -> dict[str, list[str]]:
    """The rows of the table whose first heading is `first`: the first cell, without backticks, and the others."""
    rows: dict[str, list[str]] = {}
    inside = False
    for line in (ROOT / path).read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if cells and cells[0] == first:
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(cells[0]) <= set("-: "):
            assert cells[0].strip("`") not in rows, f"{cells[0]} twice"
            rows[cells[0].strip("`")] = cells[1:]
    assert rows, f"{path} has no table that begins with {first}"
    return rows
