"""Refuses at start-up two owners of one path or one blueprint name.

Without this Flask silently takes the route that was registered first: the other page is dead, and a form on it may
reach the wrong view.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.sansio.blueprints import Blueprint
from werkzeug.routing import Rule

from ..errors import Misconfigured
from ..settings import PREFIX
from .services import EXTENSION, Services

_PACKAGE = __name__.partition(".")[0]
_VARIABLE = re.compile(r"<[^>]*>")


def refuse_taken_name(app: Flask, blueprint: Blueprint) -> None:
    """Refuse to register a blueprint of this package under a name that another one has; raise `Misconfigured`."""
    other = app.blueprints.get(blueprint.name)
    if other is not None and other is not blueprint:
        _refuse_name(blueprint.name, other)


def watch(app: Flask) -> None:
    """Refuse paths that this package and the application both use; raise `Misconfigured` with them all.

    From now on each path and each name is refused as soon as it is registered.
    """
    add_url_rule, register_blueprint = app.add_url_rule, app.register_blueprint
    our_rules = {_place(rule): rule for rule in app.url_map.iter_rules() if _has_our_rule(app, rule)}
    others = [rule for rule in app.url_map.iter_rules() if not _has_our_rule(app, rule) and _place(rule) in our_rules]
    if others:
        _refuse(app, [(our_rules[_place(rule)], rule) for rule in others])

    def add(
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        *args: Any,
        **options: Any,
    ) -> None:
        add_url_rule(rule, endpoint, view_func, *args, **options)
        added = app.url_map.iter_rules(endpoint or getattr(view_func, "__name__", ""))
        taken = [
            (our_rules[_place(each)], each)
            for each in added
            if _place(each) in our_rules and not _has_our_rule(app, each)
        ]
        if taken:
            _refuse(app, taken)

    def register(blueprint: Blueprint, **options: Any) -> None:
        name = options.get("name", blueprint.name)
        if name in _names(app) and app.blueprints.get(name) is not blueprint:
            _refuse_name(name, blueprint)
        register_blueprint(blueprint, **options)

    app.add_url_rule = add  # type: ignore[method-assign]
    app.register_blueprint = register  # type: ignore[method-assign]


def _refuse_name(name: str, theirs: Any) -> None:
    raise Misconfigured(
        f"Two blueprints are called {name!r}: that of {theirs.import_name} and that of {_PACKAGE}. Register yours "
        f'under another name: app.register_blueprint({theirs.name}, name="my_{name}").'
    )


def _names(app: Flask) -> set[str]:
    """Return the names of our blueprints, those of parts included."""
    services: Services = app.extensions[EXTENSION]
    return services.blueprints


def refuse_shared_paths(app: Flask) -> None:
    """Raise `Misconfigured` if two blueprints of ours have one path and method: of two parts, one would be dead."""
    owners: dict[tuple[object, str], Rule] = {}
    for rule in app.url_map.iter_rules():
        if not _has_our_rule(app, rule):
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            first = owners.setdefault((_place(rule), method), rule)
            if first.endpoint.rpartition(".")[0] != rule.endpoint.rpartition(".")[0]:
                raise Misconfigured(
                    f"{rule.rule} has two owners: {_owner(app, first)}, and {_owner(app, rule)}. Move the pages of "
                    f"one part: {PREFIX}URL_PREFIXES, or leave it out of {PREFIX}PARTS."
                )


def _refuse(app: Flask, taken: list[tuple[Rule, Rule]]) -> None:
    lines = [f"    {rule.rule}: {_owner(app, rule)}, and {_owner(app, our)}" for our, rule in taken]
    fixed = all(our.rule.startswith("/.well-known/") for our, _ in taken)
    move = "" if fixed else f'Move ours: app.config["{PREFIX}URL_PREFIX"] = "/account". Or give yours'
    raise Misconfigured(
        f"{'This path has' if len(taken) == 1 else 'These paths have'} two owners. {move or 'Give yours'} another "
        "path.\n" + "\n".join(lines)
    )


def _owner(app: Flask, rule: Rule) -> str:
    view = app.view_functions.get(rule.endpoint)
    blueprint = _blueprint_of(app, rule)
    if blueprint is not None:
        return f"endpoint {rule.endpoint!r} of the blueprint {blueprint.name!r} ({blueprint.import_name})"
    name = f"{getattr(view, '__module__', app.import_name)}.{getattr(view, '__qualname__', view)}"
    return f"endpoint {rule.endpoint!r} (function {name})"


def _blueprint_of(app: Flask, rule: Rule) -> Blueprint | None:
    return app.blueprints.get(rule.endpoint.rpartition(".")[0])


def _has_our_rule(app: Flask, rule: Rule) -> bool:
    return rule.endpoint.rpartition(".")[0] in _names(app)


def _place(rule: Rule) -> tuple[str | None, str | None, str]:
    # `/admin` and `/admin/` are the same page to users, and `<id>` and `<int:number>` match the same addresses.
    return rule.host, rule.subdomain, _VARIABLE.sub("<>", rule.rule).rstrip("/")
