"""Applications without some parts: their configuration, a walk through their pages, and what they must not say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from html import unescape
from typing import Any

from flask import Flask

from sessions_core import part
from sessions_core.part import Part

from .walk import Found, walk

PARTS = {each.name: each for each in part.choose(None)}


def settings_of(kind: type[Part]) -> set[str]:
    """Return the names that a part's settings have in a Flask configuration."""
    return {f"SESSIONS_CORE_{each.name.upper()}" for each in (fields(kind.settings) if kind.settings else ())}


def without_settings(config: Mapping[str, Any], parts: Iterable[str | type[Part]] | None) -> dict[str, Any]:
    """Return a configuration without the settings of parts that are left out, which start-up would refuse."""
    if parts is None:
        return dict(config)
    kept = {each if isinstance(each, str) else getattr(each, "name", "") for each in parts}
    gone = {name for each in PARTS.values() if each.name not in kept for name in settings_of(each)}
    return {name: value for name, value in config.items() if name not in gone}


def needing(name: str) -> set[str]:
    """Return a part and every part that can't be without it."""
    found = {name}
    while more := {each.name for each in PARTS.values() if found & set(each.needs)} - found:
        found |= more
    return found


def application_without(make_app: Callable[..., Flask], *names: str) -> Flask:
    """Make an application that lacks these parts, and those that need them."""
    gone = {each for name in names for each in needing(name)}
    return make_app({"parts": [name for name in PARTS if name not in gone]})


def walked(app: Flask) -> Found:
    """Sign in with Ethereum over HTTP, and follow every link of every page; nothing may be dead."""
    found = walk(app)
    assert (found.signed_in, found.signed_out, found.dead) == (True, True, [])
    return found


def saying(found: Found, words: Iterable[str]) -> Iterator[str]:
    """Yield where pages say one of these words to users, or name it in an attribute: "<page>: <word>"."""
    for path, page in found.pages.items():
        text = unescape(re.sub(r"<!--.*?-->|<style.*?</style>", "", page, flags=re.S))
        for word in words:
            if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE):
                yield f"{path}: {word}"
