"""Finds words in templates that no translation reaches, and translated words that Jinja would keep for all users."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from jinja2 import Environment, nodes

from sessions_core.web.texts import Texts

WORD = re.compile(r"[^\W\d_]{2,}|\b[^\W\d_]\b")
# Attributes that people read or hear.
SPOKEN = {"alt", "aria-label", "aria-description", "content", "label", "placeholder", "title"}
SPOKEN |= {"data-legacy-name", "data-own-name"}
TRANSLATING = {"sessions_core_gettext", "sessions_core_ngettext", "_", "gettext", "ngettext"}
# A sentence or a label that a template gives to a macro or puts into a table, and neither a name nor an address.
# Names, and words that only scripts and programs read.
NAMES = {
    *("Coinbase Wallet", "MetaMask", "Phantom", "Rabby", "Leather", "Xverse"),
    *("Ethereum", "Solana", "Stacks"),
    *("Command line", "Go", "HTTPie", "PostmanRuntime", "Python", "Wget", "Unknown browser"),
    *("Mainnet", "Sec-Fetch-Site", "Sec-Fetch-User"),
    *("idle scanning", "no_wallet in_app_browser", "no_wallet wallet_list", "failed connecting signing"),
    *("looking connecting preparing signing", "rejected address_mismatch failed server_unreachable no_wallet"),
    *("idle verifying ", "account_linked account_linked_elsewhere accounts_too_many"),
}
ATTRIBUTES = re.compile(r'[\w-]+="[^"]*"|\b(?:hidden|autofocus|data-own)\b|\bUTC\b')
SENTENCE = re.compile(r"(?=.*[^\W\d_])(?:[A-Z][a-z’]+|.*[a-z’,.] [a-z“(].*|.*[.?…])", re.DOTALL)
# What stands for an expression while the text around it is looked at.
EXPRESSION = "\0"


def environment() -> Environment:
    """Return an environment that reads our templates as an application does."""
    found = Environment(autoescape=True, extensions=[Texts])
    for name in ("address_of", "account", "ago", "clock", "duration", "family_name", "iso", "moment", "quoted"):
        found.filters[name] = str
    found.filters["translated"] = found.filters["device_name"] = str
    return found


def parsed(path: Path, source: str | None = None) -> nodes.Template:
    """Return the syntax tree of a template of this package."""
    return environment()._parse(path.read_text() if source is None else source, f"sessions/{path.name}", str(path))


def untranslated(tree: nodes.Template, name: str = "") -> list[str]:
    """Return what a template says in words that nobody can translate: in its text, in its attributes, in its code."""
    reader = _Reader()
    reader.feed("".join(_text(tree)))
    reader.close()
    # The states of the sign-in panel are words that only its script reads.
    return [*reader.found, *(() if name.endswith("_states.html") else _strings(tree))]


def kept_for_all(tree: nodes.Template) -> bool:
    """Whether a template has translated words outside its macros. If it is imported without the context, Jinja keeps
    those of the first user for all others.
    """
    return any(
        isinstance(call.node, nodes.Name) and call.node.name in TRANSLATING
        for statement in tree.body
        if not isinstance(statement, (nodes.Macro, nodes.Block))
        for call in _calls(statement)
    )


def imported_without_context(tree: nodes.Template) -> Iterator[str]:
    """Yield the names of the templates that a template imports in this way; "" where it is chosen as it runs."""
    for each in tree.find_all((nodes.Import, nodes.FromImport)):
        if not each.with_context:
            yield each.template.value if isinstance(each.template, nodes.Const) else ""


def _calls(node: nodes.Node) -> Iterator[nodes.Call]:
    if isinstance(node, nodes.Call):
        yield node
    yield from node.find_all(nodes.Call)


def _text(node: nodes.Node) -> Iterator[str]:
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.TemplateData):
            yield child.data
        elif isinstance(child, nodes.Expr):
            yield EXPRESSION
        elif isinstance(child, nodes.Block) and child.name == "page_class":
            continue
        else:
            yield from _text(child)


def _strings(node: nodes.Node) -> Iterator[str]:
    """Yield the sentences among the strings of the code."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Call) and isinstance(child.node, nodes.Name) and child.node.name in TRANSLATING:
            for value in child.kwargs:
                yield from _strings(value)
        elif isinstance(child, nodes.Compare) or (isinstance(child, nodes.Filter) and child.name == "replace"):
            continue
        elif isinstance(child, nodes.Pair):
            yield from _strings(nodes.Output([child.value]))
        elif isinstance(child, nodes.Const):
            if isinstance(child.value, str) and _is_sentence(child.value):
                yield child.value
        elif not isinstance(child, nodes.TemplateData):
            yield from _strings(child)


def _is_sentence(text: str) -> bool:
    return SENTENCE.fullmatch(text) is not None and text not in NAMES and "--" not in text


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "meta" and values.get("name") != "description":
            return
        self.found += [
            f'{name}="{text}"'
            for name, text in attrs
            if name in SPOKEN and WORD.search(ATTRIBUTES.sub("", text or ""))
        ]
        if values.get("translate") == "no" or tag in ("script", "style", "svg") or self._silent:
            self._silent += [tag] if tag not in ("br", "wbr", "input", "path", "circle", "link", "meta") else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[-1]:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if WORD.search(ATTRIBUTES.sub("", data)) and not self._silent:
            self.found.append(" ".join(data.split()))
