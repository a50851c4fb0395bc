"""Declarations by endpoint, for routes that a team can't decorate, and the refusal of routes without a declaration.

    WalletSessions(app, routes={"admin.*": requires(role="admin"), "debugtoolbar.*": sessionless, shop: signed_in})

A key is an endpoint, a pattern of endpoints (`*`, `?` and `[…]` as in `fnmatch`), or a blueprint, which stands for
all its routes. A value is a declaration of `guards`. A view that declares itself keeps that. If several patterns
match an endpoint, the most specific counts: the endpoint itself, then the pattern with the most characters that are
no wildcards.

Routes that declare nothing stop the application: those that exist when `WalletSessions` is created at once, later
ones before the first request is answered. A refusal lists all of them, as lines to paste into `routes={…}`.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import click
from flask import Blueprint, Flask, appcontext_pushed
from flask.cli import ScriptInfo

from ..errors import Misconfigured
from . import confirmations
from .guards import Access, Declarations, declared, public, signed_in
from .services import EXTENSION

Declaration = Callable[[Callable[..., Any]], Callable[..., Any]]
Routes = Mapping[str | Blueprint, Declaration]

_DEFAULTS: dict[str, Declaration] = {"signed_in": signed_in, "public": public}
_WILDCARD = re.compile(r"\*|\?|\[[^\]]+\]")
# Endpoints are names separated by dots, so a path is a mistake. Flask allows any other character.
_PATTERN = re.compile(r"[^\s/\[\]]+(?:\[[^\s/\]]+\][^\s/\[\]]*)*|(?:\[[^\s/\]]+\][^\s/\[\]]*)+")
_FROM_OUTSIDE = "__sessions_from_outside__"  # the mark of a view that got its declaration here
_HOW = "such as signed_in or requires(role='admin')"


class RouteDeclarations(Declarations):
    """The declarations of one application's routes: by the views themselves, by pattern, or by default."""

    def __init__(self, app: Flask, routes: Routes | None = None, undeclared: str | None = None) -> None:
        self._app = app
        self._declarations = dict(routes or {})
        for key, given in self._declarations.items():
            _refuse_unusable(key, given)
        if undeclared is not None and undeclared not in _DEFAULTS:
            raise Misconfigured(
                f"undeclared={undeclared!r} is no default. Write undeclared='signed_in', undeclared='public', or "
                "leave it out to have start-up list the routes without a declaration."
            )
        self._default = _DEFAULTS[undeclared] if undeclared else None
        self._settled = False
        self.reopen()

    # -- What a route is declared as ------------------------------------------------------------------------------

    def find(self, endpoint: str) -> Access | None:
        """Return the declaration of the route with this endpoint, or `None`.

        Raises `Misconfigured` if two equally specific patterns match it.
        """
        own = declared(self._app.view_functions.get(endpoint))
        if own is not None:
            return own
        given = self._declaration_of(endpoint)
        return declared(given(_probe)) if given is not None else None

    def is_static(self, endpoint: str | None) -> bool:
        """Whether this is Flask's own route for files, and not a view of the application that is called `static`."""
        owner, _, name = (endpoint or "").rpartition(".")
        scaffold = self._app.blueprints.get(owner) if owner else self._app
        return name == "static" and scaffold is not None and scaffold.has_static_folder

    def _declaration_of(self, endpoint: str) -> Declaration | None:
        """Return the declaration of a route in `routes={…}`."""
        key = self._key_of(endpoint)
        if key is not None:
            return self._declarations[key]
        return None if self.is_static(endpoint) else self._default

    def _key_of(self, endpoint: str) -> str | Blueprint | None:
        found = [(self._weight(key, endpoint), key) for key in self._declarations if self._matches(key, endpoint)]
        if not found:
            return None
        most = max(weight for weight, _ in found)
        [first, *others] = [key for weight, key in found if weight == most]
        if others:
            raise Misconfigured(
                f"{_shown(first)} and {_shown(others[0])} in routes={{…}} both match the route {endpoint!r}, and "
                f"neither is more specific. Add a line for it: {endpoint!r}: signed_in."
            )
        return first

    def _names(self, blueprint: Blueprint) -> list[str]:
        return [name for name, each in self._app.blueprints.items() if each is blueprint]

    def _matches(self, key: str | Blueprint, endpoint: str) -> bool:
        if isinstance(key, Blueprint):
            return any(endpoint.startswith(f"{name}.") for name in self._names(key))
        return key == endpoint or fnmatchcase(endpoint, key)

    def _weight(self, key: str | Blueprint, endpoint: str) -> tuple[bool, int]:
        if isinstance(key, Blueprint):
            return False, max(len(name) + 1 for name in self._names(key) if endpoint.startswith(f"{name}."))
        return key == endpoint, len(_WILDCARD.sub("", key))

    # -- Checks ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise `Misconfigured` with a list of the routes so far that declare nothing, if there are any."""
        endpoints = self._endpoints()
        missing = [each for each in endpoints if not self.is_static(each) and self.find(each) is None]
        if missing:
            raise Misconfigured(self._listed(missing))
        for endpoint in endpoints:
            self.check_route(endpoint)

    def check_route(self, endpoint: str) -> None:
        """Refuse a route whose declaration can't work: a signature without a sentence, `async` without asgiref."""
        view, access = self._app.view_functions.get(endpoint), self.find(endpoint)
        if view is None or access is None:
            return
        for handler, methods in self._handlers(endpoint, view):
            signed_for = access if handler is view else declared(handler)
            if signed_for is not None and signed_for.fresh is not None:
                self._refuse_unfit_signature(endpoint, methods, *signed_for.fresh)
            if inspect.iscoroutinefunction(handler):
                self._demand_event_loop(endpoint)

    def settle(self) -> None:
        """Check all routes and patterns, and put the declarations from outside on the views.

        Before the first request: Flask takes no further routes after that. Views are not replaced any earlier, since
        Flask refuses a second rule for an endpoint whose view has changed.
        """
        if self._settled:
            return
        self.check()
        self._refuse_unused_patterns()
        for endpoint in self._endpoints():
            self.put_on_view(endpoint)
        self._settled = True
        appcontext_pushed.disconnect(self._settle_for_command, self._app)  # each request would ask it

    def reopen(self) -> None:
        """Make `settle` check again, before the next request or command: a route was added."""
        self._settled = False
        appcontext_pushed.connect(self._settle_for_command, self._app, weak=True)

    def _settle_for_command(self, sender: Flask, **_: Any) -> None:
        # `flask routes` and every other command but `flask run`: the application is complete once the command has
        # loaded it.
        context = click.get_current_context(silent=True)
        info = context.find_object(ScriptInfo) if context is not None else None
        if info is not None and info._loaded_app is sender:
            self.settle()

    def put_on_view(self, endpoint: str) -> Access | None:
        """Make the view of a route check what is declared for it from outside; return that."""
        view = self._app.view_functions.get(endpoint)
        if view is None or declared(view) is not None:
            return declared(view)
        given = self._declaration_of(endpoint)
        if given is None:
            return None
        guarded = self._app.view_functions[endpoint] = given(view)
        setattr(guarded, _FROM_OUTSIDE, True)
        return declared(guarded)

    def _endpoints(self) -> list[str]:
        return sorted(self._app.view_functions)

    def _listed(self, endpoints: list[str]) -> str:
        lines = []
        for endpoint in endpoints:
            rules = [rule for rule in self._app.url_map.iter_rules() if rule.endpoint == endpoint]
            methods = sorted({each for rule in rules for each in rule.methods or ()} - {"HEAD", "OPTIONS"})
            paths = ", ".join(rule.rule for rule in rules)
            lines.append(f'    "{endpoint}": signed_in,' + (f"  # {', '.join(methods)} {paths}" if rules else ""))
        count = len(endpoints)
        said = (
            "1 route does not say who may use it." if count == 1 else f"{count} routes do not say who may use them."
        )
        return (
            f"{said} Put @public, @signed_in or @sessionless between the route and its function. For a route that "
            "you can't decorate, write the line into WalletSessions(app, routes={…}) and say who may use it:\n"
            + "\n".join(lines)
        )

    def _refuse_unused_patterns(self) -> None:
        endpoints = self._endpoints()
        for key in self._declarations:
            matched = [each for each in endpoints if self._matches(key, each)]
            if not matched:
                wanted = key if isinstance(key, str) else f"{key.name}.*"
                near = difflib.get_close_matches(wanted, endpoints, 1, cutoff=0.4)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise Misconfigured(
                    f"{_shown(key)} in routes={{…}} matches no route.{hint} Remove it, or name an endpoint as "
                    "`flask routes` lists it."
                )
            views = [each for each in matched if not self.is_static(each)]
            if views and all(self._is_by_itself(each) for each in views):
                raise Misconfigured(
                    f"{_shown(key)} in routes={{…}} has no effect: {views[0]!r} and all others that it matches "
                    "declare themselves. Remove it, or the declarations on the views."
                )

    def _is_by_itself(self, endpoint: str) -> bool:
        view = self._app.view_functions[endpoint]
        return declared(view) is not None and not getattr(view, _FROM_OUTSIDE, False)

    def _handlers(self, endpoint: str, view: Callable[..., Any]) -> Iterator[tuple[Callable[..., Any], set[str]]]:
        """Yield the functions that answer a route, each with its HTTP methods."""
        rules = (rule for rule in self._app.url_map.iter_rules() if rule.endpoint == endpoint)
        accepted = {method for rule in rules for method in rule.methods or ()}
        yield view, accepted
        view_class = getattr(view, "view_class", None)
        for method in accepted if view_class is not None else ():
            handler = getattr(view_class, method.lower(), None)
            if handler is not None:
                yield handler, {method}

    def _refuse_unfit_signature(self, endpoint: str, methods: set[str], seconds: int, action: str) -> None:
        if action not in self._app.extensions[EXTENSION].actions:
            raise Misconfigured(
                f"The route {endpoint!r} asks for a signature for {action!r}, which has no sentence. "
                f"Give it one: WalletSessions(app, actions={{{action!r}: 'What will be done.'}})."
            )
        if seconds == 0 and "GET" in methods:
            raise Misconfigured(
                f"The route {endpoint!r} asks for a new signature each time, and takes GET. {confirmations.NO_END} "
                f"Write fresh_required(60, {action!r}), or take what it does by POST alone."
            )

    def _demand_event_loop(self, endpoint: str) -> None:
        app = self._app
        own = "async_to_sync" in vars(app) or type(app).async_to_sync is not Flask.async_to_sync
        if not own and importlib.util.find_spec("asgiref") is None:
            raise Misconfigured(
                f"The route {endpoint!r} is answered by an async function, and asgiref is missing: "
                "run pip install 'flask[async]'."
            )


class Settled:
    """The outermost WSGI layer: no request is answered before all routes are checked.

    If one is refused, the server gets the exception and no request is answered: health checks fail as well.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], routes: RouteDeclarations) -> None:
        self._app = app
        self._routes = routes

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application."""
        self._routes.settle()
        return self._app(environ, start_response)


def watch(app: Flask, routes: Routes | None = None, undeclared: str | None = None) -> RouteDeclarations:
    """Check the routes that `app` has, and those that it will get. Raises `Misconfigured`."""
    made = app.extensions[Declarations.KEY] = RouteDeclarations(app, routes, undeclared)
    made.check()
    add_url_rule = app.add_url_rule

    def checked(
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        *args: Any,
        **options: Any,
    ) -> None:
        add_url_rule(rule, endpoint, view_func, *args, **options)
        made.reopen()
        made.check_route(str(endpoint or getattr(view_func, "__name__", "")))

    app.add_url_rule = checked  # type: ignore[method-assign]
    return made


def settle(app: Any) -> None:
    """Check the routes of an application that is complete: for servers, before they take requests.

    Does nothing for a WSGI application that is no Flask application with `WalletSessions`. Raises `Misconfigured`.
    """
    routes = app.extensions.get(Declarations.KEY) if isinstance(app, Flask) else None
    if routes is not None:
        routes.settle()


def _refuse_unusable(key: str | Blueprint, given: Any) -> None:
    if not isinstance(key, (str, Blueprint)) or (isinstance(key, str) and not _PATTERN.fullmatch(key)):
        raise Misconfigured(
            f"{key!r} is no pattern for routes={{…}}. Name an endpoint as `flask routes` lists it, such as "
            "'admin.index', a pattern such as 'admin.*', or give the blueprint itself."
        )
    if isinstance(key, str) and not _WILDCARD.sub("", key).strip("."):
        raise Misconfigured(
            f"{key!r} in routes={{…}} would declare every route that was forgotten. Write undeclared='signed_in' or "
            "undeclared='public' if you want that."
        )
    try:
        access = declared(given(_probe))
    except Misconfigured:
        raise
    except Exception:
        access = None
    if access is None:
        raise Misconfigured(f"{_shown(key)} in routes={{…}} needs a declaration, {_HOW}, not {given!r}.")


def _shown(key: str | Blueprint) -> str:
    return repr(key) if isinstance(key, str) else f"The blueprint {key.name!r}"


def _probe() -> None:
    """The view that a declaration is put on to see what it declares."""
