"""Start the demo, sign in, follow every link of every page, and print what was found as JSON.

Runs as a program of its own, in a copy of the project that lacks some parts: `python -m tests.parts.walk REDIS_URL`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from app import create_app

from ..actors import ORIGIN, Visitor, Wallet

VARIANTS = 3  # of one page are enough: `next` would make any number
SECRET = "a test secret of 32 characters or more, 0123456789"


@dataclass
class Found:
    """What the application has: pages by path with their text, and every link that leads nowhere."""

    pages: dict[str, str] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    signed_in: bool = False
    signed_out: bool = False
    parts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    openapi: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)


class Links(HTMLParser):
    """Collects where a page leads: links and files to open, and targets of forms and of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: set[str] = set()
        self.sent_to: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.opened.add(value)
            elif value and (name in ("action", "formaction") or (name.startswith("data-") and name.endswith("-url"))):
                self.sent_to.add(value)


def walk(app: Flask) -> Found:
    """Open every page as a visitor and as a user who is signed in."""
    found, visitor = Found(), Visitor(app)
    for path in ("/", "/sign-in", "/signed-out", "/nothing-here"):
        _follow(app, visitor, path, found)
    visitor.sign_in(Wallet())
    found.signed_in = visitor.get("/session").status_code == 200
    seen = dict(found.pages)
    found.pages.clear()
    for path in ("/", "/session", "/sign-in", "/sign-out", "/nothing-here"):
        _follow(app, visitor, path, found)
    found.signed_out = visitor.sign_out().status_code == 303 and visitor.get("/session").status_code == 303
    _follow(app, visitor, "/signed-out", found)
    found.pages |= {f"{path} (visitor)": text for path, text in seen.items()}
    return found


def _follow(app: Flask, visitor: Visitor, path: str, found: Found) -> None:
    bare = path.partition("?")[0]
    if bare.startswith("/read/"):  # the project's documents, as they are written
        return
    if path in found.pages or sum(each.partition("?")[0] == bare for each in found.pages) >= VARIANTS:
        return
    answer = visitor.get(path)
    if answer.status_code >= 500 or (answer.status_code == 404 and path != "/nothing-here"):
        found.dead.append(f"{path}: {answer.status_code}")
    if answer.status_code >= 300 and answer.status_code < 400:
        found.pages[path] = ""
        _follow(app, visitor, _local(answer.headers["Location"]) or "/", found)
        return
    is_page = answer.content_type.startswith("text/html")
    found.pages[path] = answer.get_data(as_text=True) if is_page else ""
    answer.close()
    if not is_page:
        return
    links = Links()
    links.feed(found.pages[path])
    found.dead += [
        f"{target} on {path}" for each in links.sent_to if (target := _local(each)) and not _known(app, target)
    ]
    for each in sorted(links.opened):
        target = _local(each)
        if target is not None and not target.startswith("/sign-out"):
            _follow(app, visitor, target, found)


def _local(url: str) -> str | None:
    """Return path and query of a URL of this site, or `None` for one of another."""
    parts = urlsplit(url)
    if parts.netloc and f"{parts.scheme}://{parts.netloc}" != ORIGIN:
        return None
    return parts.path + (f"?{parts.query}" if parts.query else "") if parts.path else None


def _known(app: Flask, path: str) -> bool:
    adapter = app.url_map.bind("localhost:5000")
    for method in ("POST", "GET", "DELETE", "PATCH"):
        try:
            adapter.match(urlsplit(path).path, method=method)
        except MethodNotAllowed:
            continue
        except RequestRedirect:
            return True
        except NotFound:
            return False
        return True
    return False


def main() -> None:
    app = create_app(
        {"SECRET_KEY": SECRET, "SESSIONS_CORE_REDIS_URL": sys.argv[1], "SESSIONS_CORE_REDIS_TIMEOUT_MS": 5000}
    )
    found = walk(app)
    found.parts = sorted(app.extensions[EXTENSION].parts)
    found.commands = sorted(
        f"{group} {name}" for group, each in app.cli.commands.items() for name in getattr(each, "commands", {"": 0})
    )
    if "api" in found.parts:
        found.openapi = sorted(Visitor(app).json("/api/openapi.json").get_json()["paths"])
    found.modules = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    from sessions_core.web.services import EXTENSION

    main()
