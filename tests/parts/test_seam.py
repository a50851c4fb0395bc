"""The seam for parts: what start-up refuses, and how an application adds a part of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Blueprint, Flask, request

from sessions_core import part, public
from sessions_core.access.actions import Action
from sessions_core.errors import BodyTooLarge, Misconfigured
from sessions_core.part import MenuEntry, Part
from sessions_core.sessions.end_reasons import EndReason
from sessions_core.sessions.flask_session import WalletSession
from sessions_core.web.services import EXTENSION

from ..actors import Visitor, Wallet
from ..constants import ALICE, ALICE_ACCOUNT, VALIDATE

MakeApp = Callable[..., Flask]


@dataclass(frozen=True)
class Options:
    notes_limit: int = 10


class Notes(Part):
    name = "notes"


def variant(**members: Any) -> type[Part]:
    """Return a part of the application's own with these members."""
    return type("Variant", (Part,), {"name": "variant", **members})


def refused(make_app: MakeApp, *parts: str | type[Part]) -> str:
    """Start an application with these parts beside Ethereum; return the sentence that refuses it."""
    with pytest.raises(Misconfigured) as refusal:
        make_app({"parts": ["ethereum", *parts]})
    return str(refusal.value)


# -- Which parts are loaded ------------------------------------------------------------------------------------------


def test_every_folder_is_loaded_by_default(make_app: MakeApp) -> None:
    assert sorted(make_app().extensions[EXTENSION].parts) == sorted(part.available())


def test_setting_picks_fewer_parts(make_app: MakeApp) -> None:
    app = make_app(SESSIONS_CORE_PARTS=["ethereum", "devices"])
    assert list(app.extensions[EXTENSION].parts) == ["ethereum", "devices"]


def test_constructor_wins_over_the_setting(make_app: MakeApp) -> None:
    app = make_app({"parts": ["ethereum"]}, SESSIONS_CORE_PARTS=["ethereum", "devices"])
    assert list(app.extensions[EXTENSION].parts) == ["ethereum"]


def test_unknown_part_is_refused_with_the_list_of_parts(make_app: MakeApp) -> None:
    sentence = refused(make_app, "blockchain")
    assert "no part 'blockchain'" in sentence
    assert ", ".join(part.available()) in sentence


@pytest.mark.parametrize("wrong", ["ethereum", {"ethereum": True}], ids=repr)
def test_list_of_parts_that_is_no_list_is_refused(make_app: MakeApp, wrong: Any) -> None:
    for options in ({"parts": wrong}, {}):
        with pytest.raises(Misconfigured, match="must be a list of parts such as"):
            make_app(options, SESSIONS_CORE_PARTS=wrong)


@pytest.mark.parametrize("parts", [[], ["devices"], [Notes]], ids=repr)
def test_app_without_a_kind_of_account_is_refused(make_app: MakeApp, parts: list[Any]) -> None:
    with pytest.raises(Misconfigured, match="No kind of account can sign in"):
        make_app({"parts": parts})


def test_part_without_the_part_it_needs_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(Misconfigured, match=r"'contract_wallets' needs the part 'ethereum'\. Add it to"):
        make_app({"parts": ["contract_wallets"]})
    assert "needs the part 'gone'. Restore its folder" in refused(make_app, variant(needs=("gone",)))


def test_part_is_loaded_after_the_parts_it_needs(make_app: MakeApp) -> None:
    app = make_app({"parts": ["contract_wallets", variant(needs=("notes",)), Notes, "ethereum"]})
    loaded = list(app.extensions[EXTENSION].parts)
    assert loaded.index("ethereum") < loaded.index("contract_wallets")
    assert loaded.index("notes") < loaded.index("variant")


def test_parts_that_need_each_other_are_refused(make_app: MakeApp) -> None:
    one, other = variant(name="one", needs=("other",)), variant(name="other", needs=("one",))
    assert "need each other" in refused(make_app, one, other)


@pytest.mark.parametrize("wrong", [Part, dict, variant(name=""), variant(name="No Name"), 7], ids=repr)
def test_class_that_is_no_part_is_refused(make_app: MakeApp, wrong: Any) -> None:
    assert "is no part" in refused(make_app, wrong)


def test_two_parts_of_one_name_are_refused(make_app: MakeApp) -> None:
    assert "Two parts are called 'notes'" in refused(make_app, Notes, variant(name="notes"))


# -- What parts claim ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"settings": Options}, "setting 'SESSIONS_CORE_NOTES_LIMIT'"),
        ({"errors": (BodyTooLarge,)}, "error code 'body_too_large'"),
        ({"actions": {"note.burn": Action("Burn the note.")}}, "action 'note.burn'"),
        ({"end_reasons": (EndReason("burned", "its note was burned"),)}, "end reason 'burned'"),
        ({"redis_keys": {"{tag}:notes": "notes"}}, "Redis key '{tag}:notes'"),
    ],
    ids=["setting", "error code", "action", "end reason", "Redis key"],
)
def test_claim_of_two_parts_is_refused_with_both(make_app: MakeApp, claims: dict[str, Any], named: str) -> None:
    sentence = refused(make_app, variant(name="first", **claims), variant(name="second", **claims))
    assert f"The parts 'first' and 'second' both have the {named}" in sentence
    assert "SESSIONS_CORE_PARTS" in sentence


def test_missing_library_is_refused_with_its_install_command(make_app: MakeApp) -> None:
    sentence = refused(make_app, variant(libraries={"no_such_library": "no-such-library>=1"}))
    assert sentence == (
        "The part 'variant' needs no_such_library: run pip install 'no-such-library>=1', or take 'variant' out of "
        "SESSIONS_CORE_PARTS (or parts=[…])."
    )


def test_library_of_a_part_that_is_not_loaded_is_not_looked_for(make_app: MakeApp, monkeypatch: Any) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "nacl" else find(name, *rest)
    )
    make_app({"parts": ["ethereum"]})


def test_part_whose_setup_fails_is_refused_by_name(make_app: MakeApp) -> None:
    def setup(self: Part, app: Flask) -> None:
        raise RuntimeError("no key for the printer")

    sentence = refused(make_app, variant(setup=setup))
    assert sentence.startswith("The part 'variant' could not be set up: RuntimeError('no key for the printer').")


def test_setting_of_a_part_that_is_not_loaded_is_unknown(make_app: MakeApp) -> None:
    with pytest.raises(Misconfigured, match="SESSIONS_CORE_NOTES_LIMIT is not a setting"):
        make_app({"parts": ["ethereum"]}, SESSIONS_CORE_NOTES_LIMIT=5)


def test_setting_of_a_part_has_the_type_of_its_field(make_app: MakeApp) -> None:
    notes = variant(settings=Options)
    app = make_app({"parts": ["ethereum", notes]}, SESSIONS_CORE_NOTES_LIMIT=5)
    assert app.extensions[EXTENSION].parts["variant"].options == Options(notes_limit=5)
    with pytest.raises(Misconfigured, match="SESSIONS_CORE_NOTES_LIMIT must be int"):
        make_app({"parts": ["ethereum", notes]}, SESSIONS_CORE_NOTES_LIMIT="5")


# -- A part of the application itself --------------------------------------------------------------------------------


def notes_blueprint(name: str = "notes") -> Blueprint:
    pages = Blueprint(f"sessions_{name}", __name__, url_prefix=f"/{name}")

    @pages.get("")
    @public
    def index() -> str:
        return "No notes."

    return pages


class Pages(Notes):
    menu = (MenuEntry("Notes", "sessions_notes.index"),)

    def blueprints(self) -> tuple[Blueprint, ...]:
        return (notes_blueprint(),)


class Papers(Part):
    name = "papers"

    def blueprints(self) -> tuple[Blueprint, ...]:
        return (notes_blueprint("papers"),)


class Stray(Part):
    """A part whose blueprint is not called after it."""

    name = "stray"

    def blueprints(self) -> tuple[Blueprint, ...]:
        return (notes_blueprint("papers"),)


def test_pages_of_a_part_are_served_and_in_the_menu(make_app: MakeApp) -> None:
    visitor = Visitor(make_app({"parts": ["ethereum", Pages]}))
    assert visitor.get("/notes").get_data(as_text=True) == "No notes."
    visitor.sign_in(Wallet())
    assert '<a class="site-nav__link" href="/notes"' in visitor.get("/session").get_data(as_text=True)


def test_pages_of_a_part_can_be_moved(make_app: MakeApp) -> None:
    app = make_app({"parts": ["ethereum", Pages]}, SESSIONS_CORE_URL_PREFIXES={"notes": "/papers"})
    visitor = Visitor(app)
    assert visitor.get("/papers").status_code == 200
    assert visitor.get("/notes").status_code == 404


@pytest.mark.parametrize("prefix", ["papers", "/papers/", "/a/../b", "/", "//evil.example", "/ä", "/a b"])
def test_unsafe_prefix_of_a_part_is_refused(make_app: MakeApp, prefix: str) -> None:
    with pytest.raises(Misconfigured, match="SESSIONS_CORE_URL_PREFIXES"):
        make_app({"parts": ["ethereum", Pages]}, SESSIONS_CORE_URL_PREFIXES={"notes": prefix})


def test_prefix_of_an_unknown_part_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(Misconfigured, match="'devices', which is not loaded"):
        make_app({"parts": ["ethereum"]}, SESSIONS_CORE_URL_PREFIXES={"devices": "/machines"})


def test_prefix_of_a_part_without_pages_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(Misconfigured, match="which has no blueprint 'sessions_stray' to move"):
        make_app({"parts": ["ethereum", Stray]}, SESSIONS_CORE_URL_PREFIXES={"stray": "/elsewhere"})


def test_two_parts_with_one_path_are_refused(make_app: MakeApp) -> None:
    """One of them would never answer, and no test of either part would notice."""
    with pytest.raises(Misconfigured, match=r"/papers has two owners: .*sessions_notes.*sessions_papers"):
        make_app({"parts": ["ethereum", Pages, Papers]}, SESSIONS_CORE_URL_PREFIXES={"notes": "/papers"})


# -- Hooks ---------------------------------------------------------------------------------------------------------


def test_hook_without_user_may_sign_a_user_in(make_app: MakeApp) -> None:
    """It is not asked for a request whose cookie names a session, nor for a route without one."""
    asked: list[bool] = []

    def without_user(self: Part, session: WalletSession) -> None:
        asked.append(session.loaded)
        if "X-Proof" in request.headers:
            session.adopt(self.services.lifecycle.start(ALICE_ACCOUNT, self.services.policy.standard))

    visitor = Visitor(make_app({"parts": ["ethereum", "operations", variant(without_user=without_user)]}))
    assert visitor.json(VALIDATE).status_code == 401
    assert visitor.json(VALIDATE, headers={"X-Proof": "1"}).get_json()["data"]["account"] == ALICE
    assert asked == [True, True]
    assert visitor.signed_in
    assert visitor.get("/livez").status_code == 200
    assert asked == [True, True]
