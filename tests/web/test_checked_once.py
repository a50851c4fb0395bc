"""What has been checked for a request is not checked again, and one signature does for one request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, g
from redis import Redis

from sessions_core import Misconfigured, ensure_fresh, events, fresh_required, public, requires, signed_in
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import Visitor, Wallet
from ..declared import ACTIONS, CHANGE, ask, calling, commands, helper, plain, wrapping
from ..part_services import roles_of


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app({"actions": ACTIONS})
    app.testing = True  # so that what stops a request for good is raised here
    return app


# -- Once ----------------------------------------------------------------------------------------------------------


def test_guard_checks_are_not_repeated(app: Flask, visitor: Visitor, wallet: Wallet, redis: Redis) -> None:
    """No further round trip, however many guarded functions a request goes through."""
    again = requires("read:profile")(plain(signed_in(plain(public(helper)))))
    app.post("/once")(signed_in(helper))
    app.post("/often")(signed_in(plain(requires(session_type="standard")(lambda: again() and again()))))
    visitor.sign_in(wallet)
    token = {"X-CSRFToken": visitor.token("/session")}

    def once(path: str) -> int:
        before = commands(redis)
        assert visitor.json(path, "POST", headers=token).status_code == 200
        return commands(redis) - before

    def cost(path: str) -> int:
        return min(once(path) for _ in range(5))  # some open a connection, or note activity

    assert cost("/often") == cost("/once")


def test_a_new_role_changes_the_id_once(
    app: Flask, services: Services, visitor: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    """And the token that was good for the former id is not asked for again."""
    again = requires(role="admin")(helper)
    app.post("/things")(signed_in(lambda: again() and again()))
    visitor.sign_in(wallet)
    roles_of(services).assign(parse(wallet.account()), "admin")
    happened.clear()
    assert ask(visitor, "/things", "POST") == (200, "done")
    assert [event.name for event in happened if event.name == "session.rotated"] == ["session.rotated"]


def test_a_helper_does_not_change_the_id_in_a_poll(
    app: Flask, services: Services, visitor: Visitor, wallet: Wallet
) -> None:
    again = signed_in(helper)
    app.get("/poll")(signed_in(keeps_alive=False)(calling(again)))
    before = visitor.sign_in(wallet)
    roles_of(services).assign(parse(wallet.account()), "admin")
    assert visitor.get("/poll").get_data(as_text=True) == "done"
    assert visitor.session_id == before


@pytest.mark.parametrize(
    "view",
    [
        CHANGE(helper),
        wrapping(CHANGE(helper)),
        requires("read:profile")(wrapping(CHANGE(helper))),
        signed_in(plain(CHANGE(helper))),
        CHANGE(plain(CHANGE(helper))),
        fresh_required(300, "thing.change")(plain(CHANGE(helper))),
        CHANGE(plain(fresh_required(300, "thing.change")(helper))),
        CHANGE(lambda: (CHANGE(helper)() and ensure_fresh(0, "thing.change")) or helper()),
    ],
    ids=["alone", "wrapped", "above", "below", "twice", "older outside", "older inside", "in the view"],
)
def test_one_signature_serves_all_checks_of_a_request(
    app: Flask, visitor: Visitor, wallet: Wallet, happened: list[events.Event], view: Callable[[], str]
) -> None:
    app.add_url_rule("/things", "things", view, methods=["POST"])
    visitor.sign_in(wallet)
    asked = visitor.send("POST", "/things")
    proof = visitor.proof(wallet, asked)
    happened.clear()
    assert visitor.send("POST", "/things", headers=proof).get_data(as_text=True) == "done"
    assert [event.name for event in happened if event.name.startswith(("session.c", "conf", "chall"))] == [
        "session.confirmed"
    ]
    again = visitor.send("POST", "/things", headers=proof)
    assert again.get_json()["error"]["problem"] == "challenge_used"


def test_older_signature_does_not_count_as_a_new_one(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """The sign-in satisfies the route, and not the helper."""
    app.post("/things")(fresh_required(300, "thing.change")(plain(CHANGE(helper))))
    visitor.sign_in(wallet)
    asked = visitor.send("POST", "/things")
    assert asked.get_json()["error"]["code"] == "step_up_required"
    assert visitor.send("POST", "/things", headers=visitor.proof(wallet, asked)).status_code == 200


def test_a_helper_may_ask_for_another_action(
    app: Flask, visitor: Visitor, wallet: Wallet, pass_time: Any, happened: list[events.Event]
) -> None:
    """First the one that may be older, then the one for this request: neither asks without end."""
    app.post("/things")(fresh_required(300, "thing.tell")(calling(CHANGE(helper))))
    visitor.sign_in(wallet)
    pass_time(301)
    proof: dict[str, str] = {}
    for action in ("thing.tell", "thing.change"):
        asked = visitor.send("POST", "/things", headers=proof)
        assert asked.get_json()["error"]["reason"] == action
        assert "problem" not in asked.get_json()["error"]
        proof = visitor.proof(wallet, asked)
    happened.clear()
    assert visitor.send("POST", "/things", headers=proof).get_data(as_text=True) == "done"
    assert [event.name for event in happened if event.name == "confirmation.failed"] == []


@pytest.mark.parametrize("seconds", [0, 60])
def test_two_signatures_for_one_request_are_refused(
    app: Flask, visitor: Visitor, wallet: Wallet, pass_time: Any, seconds: int
) -> None:
    """A request carries one: each would be asked for in turn, without end."""
    tell = fresh_required(seconds, "thing.tell")(helper)
    app.post("/things")(CHANGE(calling(tell)))
    visitor.sign_in(wallet)
    pass_time(61)
    proof = visitor.proof(wallet, visitor.send("POST", "/things"))
    with pytest.raises(Misconfigured, match=r"signed for 'thing\.change', and 'thing\.tell' takes a signature, too"):
        visitor.send("POST", "/things", headers=proof)


def test_a_permission_keeps_its_signature_beside_another(
    app: Flask, services: Services, visitor: Visitor, wallet: Wallet, pass_time: Any
) -> None:
    """The older one that the route asked for took its place."""
    app.post("/notes")(requires("write:therapy_notes")(fresh_required(86_400, "thing.tell")(helper)))
    roles_of(services).verify(parse(wallet.account()), "lic_7", "full", 30)
    visitor.sign_in(wallet, session_type="professional")
    assert ask(visitor, "/notes", "POST") == (200, "done")
    pass_time(301)
    answer = visitor.send("POST", "/notes")
    assert answer.get_json()["error"]["reason"] == "write:therapy_notes"


def session_token(app: Flask, visitor: Visitor) -> str:
    """Return the CSRF token of a visitor; Flask-WTF keeps one for as long as an application context lasts."""
    g.pop("csrf_token", None)
    return str(visitor.json("/api/auth/sessions/validate").get_json()["data"]["csrf_token"])


def test_check_of_one_request_does_not_cover_another(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """An application context around several requests has one `g` for all of them."""
    app = make_app({"actions": ACTIONS})
    app.post("/things")(CHANGE(helper))
    app.post("/other", endpoint="other")(public(calling(CHANGE(helper))))
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    proof = visitor.proof(wallet, visitor.send("POST", "/things"))
    with app.app_context():
        assert visitor.send("POST", "/things", headers=proof).status_code == 200
        token = {"X-CSRFToken": session_token(app, visitor)}
        for path in ("/things", "/other"):
            answer = visitor.json(path, "POST", headers=token)
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "step_up_required")
    visitor.client.delete_cookie("__Host-session")
    token = {"X-CSRFToken": visitor.token()}
    with app.app_context():
        assert visitor.json("/other", "POST", headers=token).get_json()["error"]["code"] == "no_token"
