"""Python source for pages: single functions of a module as they stand in its file, and colours for them."""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape


@cache
def definitions(path: Path) -> dict[str, str]:
    """Return the source of each function, class and constant of a file by its name, decorators included."""
    text = path.read_text("utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        for name in _names(node):
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            found[name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [each.id for each in targets if isinstance(each, ast.Name)]


@cache
def coloured(source: str) -> Markup:
    """Return Python source as HTML, with a class around what `tour.css` and `home.css` colour."""
    html, at = Markup(), 0
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    for kind, start, end in _marked(source):
        first, last = lines[start[0] - 1] + start[1], lines[end[0] - 1] + end[1]
        html += escape(source[at:first])
        html += Markup('<span class="py-{}">{}</span>').format(kind, source[first:last])
        at = last
    return html + escape(source[at:])


def _marked(source: str) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Yield the kind, the start and the end of what has a colour."""
    at_sign: tuple[int, int] | None = None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.OP and token.string == "@":
            at_sign = token.start
        elif at_sign is not None and token.type == tokenize.NAME:
            yield "decorator", at_sign, token.end
            at_sign = None
        elif token.type in (tokenize.STRING, tokenize.COMMENT):
            yield ("comment" if token.type == tokenize.COMMENT else "string"), token.start, token.end
        elif token.type == tokenize.NAME and keyword.iskeyword(token.string):
            yield "keyword", token.start, token.end
