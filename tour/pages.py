"""The pages around the cards: the tour itself, the log of the server, the project's documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, current_app, render_template, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from sessions_core import current_account, current_session, gettext, ngettext, public, signed_in
from sessions_core.errors import _
from sessions_core.web.services import SECRET_FILE, current_services
from sessions_core.web.session_view import duration, iso, moment

from . import cards as example
from . import server_log, source, tricks

pages = Blueprint("tour_pages", __name__)

_ROOT = Path(__file__).parent.parent
_EXAMPLE = Path(example.__file__)
_MINIMAL = _ROOT / "examples" / "minimal" / "app.py"


@dataclass(frozen=True)
class Card:
    """A card of the tour: its page, the words for it, and the definitions in `cards.py` that it shows.

    The words are English. Templates translate them, with those of `cards.py`, which nothing there marks for it.
    """

    name: str
    title: str
    sentence: str
    shows: tuple[str, ...]
    endpoint: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of its page."""
        return url_for(self.endpoint, **self.values)

    @cached_property
    def code(self) -> str:
        """Its lines, as they stand in `cards.py`."""
        found = source.definitions(_EXAMPLE)
        return "\n\n\n".join(found[name] for name in self.shows)

    @property
    def html(self) -> Markup:
        """The same with colours."""
        return source.coloured(self.code)


_OF_CARDS_PY = (_("Amount"), _("Payee"), _("editor"))
"""What `/confirm` calls the facts of a payment, and a role."""

CARDS = (
    Card(
        "members",
        _("Members only"),
        _("One line above a view keeps visitors out. They sign in, then return to the page they asked for."),
        ("members",),
        "tour.members",
    ),
    Card(
        "invoice",
        _("Pay with a fresh signature"),
        _("To pay, it is not enough to be signed in. The wallet signs a message that names invoice and amount."),
        ("invoice_facts", "ACTIONS", "pay"),
        "tour.invoice",
        {"number": 7},
    ),
    Card(
        "editors",
        _("Editors only"),
        _("Roles are read with each request. A new role counts from the next click."),
        ("ROLES", "editors"),
        "tour.editors",
    ),
    Card(
        "testnet",
        _("Test networks only"),
        _("The network that the wallet signed for decides what a session may do."),
        ("testnet",),
        "tour.testnet",
    ),
    Card(
        "live",
        _("Live in every tab"),
        _("Every open page hears at once that its session ended or its account changed. It takes no code of yours."),
        ("live",),
        "tour.live",
    ),
    Card(
        "api",
        _("A JSON API"),
        _("The same line protects JSON. Programs send a token, and errors have a code."),
        ("Invoice", "invoice_json"),
        "tour_pages.api",
    ),
    Card(
        "note",
        _("flask.session, kept safe"),
        _("Store data before a visitor signs in. It moves into their session, encrypted, and ends with it."),
        ("note", "keep_note"),
        "tour.note",
    ),
)


@dataclass(frozen=True)
class Tour:
    """What templates know of the tour."""

    development: bool
    cards: tuple[Card, ...] = CARDS

    def card(self, name: str) -> Card:
        """Return the card of this name."""
        return next(each for each in CARDS if each.name == name)

    def gives_roles(self) -> bool:
        """Whether members can make themselves editors here."""
        return self.development and "roles" in current_services().parts

    def can_replay(self) -> bool:
        """Whether there is a signature to send again."""
        return tricks.can_replay()

    def can_open_second(self) -> bool:
        """Whether this account can be opened in a second browser by a link."""
        trial = current_services().parts.get("trial_wallets")
        return self.development and trial is not None and bool(trial.is_used_by(current_session))  # type: ignore[attr-defined]

    def offers_trial(self) -> bool:
        """Whether visitors without a wallet can sign in."""
        trial = current_services().parts.get("trial_wallets")
        return trial is not None and trial.chain is not None  # type: ignore[attr-defined]

    def log(self) -> dict[str, Any]:
        """Return what the server did for this browser, and what happened to its account."""
        return _log()

    def minimal(self) -> str:
        """Return the smallest application."""
        return _MINIMAL.read_text("utf-8").rstrip("\n")

    def coloured(self, code: str) -> Markup:
        """Return Python with colours."""
        return source.coloured(code)

    def documents(self) -> list[str]:
        """Return the documents of the project that are here."""
        return list(_documents())

    def machine(self) -> dict[str, Any]:
        """Return what a developer wants to know of this process: its Redis, its secret, its clocks."""
        settings, secret = current_services().settings, current_app.extensions.get(SECRET_FILE)
        redis = _("Yours, from REDIS_URL") if settings.redis_url else _("A private server, in instance/redis")
        return {
            "redis": gettext(redis),
            "secret": f"{secret.parent.name}/{secret.name}" if secret else gettext("Yours, from SESSION_SECRET"),
            "clocks": gettext(
                "Signed out after %(idle)s without activity, with a warning %(warning)s before.",
                idle=duration(settings.idle_seconds),
                warning=duration(settings.warn_seconds),
            ),
            "fast": settings.idle_seconds <= 120,
        }


def context() -> dict[str, Any]:
    """Give templates the tour."""
    return {"tour": Tour(development=current_services().settings.development)}


@pages.get("/tour")
@public
def index() -> str:
    """Show the cards, and what the server did."""
    return render_template("tour/index.html")


@pages.get("/tour/api")
@signed_in
def api() -> str:
    """Show the JSON API, without a token."""
    return render_template("tour/api.html", token="")


@pages.post("/tour/api")
@signed_in
def api_token() -> str:
    """Show the JSON API with a token of this session, good for five minutes."""
    services = current_services()
    if "api" not in services.parts:
        abort(404)
    from sessions_core.parts.api.routes import create_token  # its folder may have been deleted

    answer = current_app.make_response(create_token()).get_json()
    return render_template("tour/api.html", token=answer["data"]["session_token"])


@pages.get("/tour/log")
@public(keeps_alive=False)
def log() -> dict[str, Any]:
    """Return the log, for the page to show it without being loaded again."""
    return _log()


@pages.get("/read/<path:name>")
@public
def document(name: str) -> ResponseReturnValue:
    """Show a document of the project as it is written."""
    found = _documents().get(name) or abort(404)
    return render_template("tour/document.html", name=name, text=found.read_text("utf-8"))


def _documents() -> dict[str, Path]:
    found = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
    return {path.relative_to(_ROOT).as_posix(): path for path in found if path.is_file()}


def _log() -> dict[str, Any]:
    """Return the requests of this browser, in development, and the latest events of its account; newest first."""
    development = current_services().settings.development
    with server_log.not_counted():
        requests, happened = server_log.latest() if development else [], _events()
    return {
        "requests": [each | {"at": iso(moment(each["at"])), "cost": _cost(each)} for each in requests],
        "events": happened,
    }


def _cost(noted: Mapping[str, Any]) -> str:
    return ngettext(
        "%(num)s round trip to Redis, %(ms)s ms",
        "%(num)s round trips to Redis, %(ms)s ms",
        noted["round_trips"],
        ms=max(1, round(noted["ms"])),
    )


def _events() -> list[dict[str, Any]]:
    services = current_services()
    if not current_session or "activity" not in services.parts:
        return []
    from sessions_core.parts.activity import Activity  # its folder may have been deleted

    return [
        {
            "id": each.id,
            "at": iso(moment(each.at)),
            "name": each.name,
            "more": str(each.fields.get("code") or each.fields.get("reason") or each.fields.get("action") or ""),
            "device": each.device,
        }
        for each in services.part(Activity).log.account(str(current_account), limit=8).entries
    ]
