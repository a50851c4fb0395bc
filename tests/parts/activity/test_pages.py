"""Activity: an account reads what happened to itself and to nobody else, and takes it along without harm."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events
from sessions_core.parts.activity import Activity
from sessions_core.parts.activity.activity_log import Entry
from sessions_core.parts.activity.pages import COLUMNS, KINDS, as_csv, as_json
from sessions_core.parts.devices.events import SessionNamed
from sessions_core.sign_in.accounts import parse
from sessions_core.web.request_client import Client
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet
from ...claims import event_classes
from ...constants import FIREFOX
from ...part_services import roles_of
from ...snapshot import unchanged
from ...time_machine import TimeMachine


@pytest.fixture
def person(visitor: Visitor, wallet: Wallet) -> Visitor:
    visitor.sign_in(wallet)
    return visitor


@pytest.fixture
def note(app: Flask, services: Services) -> Callable[..., None]:
    """Write an event down as a request from somewhere would have."""

    def note(event: events.Event, client: Client | None = None) -> None:
        services.part(Activity).log.note(event, client or Client("203.0.113.7", "", "Firefox on Linux"))

    return note


def rows(page: TestResponse) -> list[str]:
    """The names of the events on a page, in its order."""
    assert page.status_code == 200
    return re.findall(r'data-testid="activity-row" data-event="([^"]+)"', page.get_data(as_text=True))


def download(visitor: Visitor, kind: str) -> Any:
    answer = visitor.get(f"/activity.{kind}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True)))) if kind == "csv" else answer.get_json()


# -- What is there ---------------------------------------------------------------------------------------------------


def test_activity_lists_events_newest_first_then_routine(
    app: Flask, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    headers = {"User-Agent": FIREFOX}
    other = Visitor(app)
    other.sign_in(wallet)
    visitor.sign_in(wallet)
    handle = other.json("/api/auth/sessions/validate").get_json()["data"]["session_id"]
    visitor.submit(f"/sessions/{handle}/name", label="Laptop")
    visitor.attempt(wallet, signature="0x" + "ab" * 65)
    token = visitor.token("/session")
    visitor.post(f"/sessions/{handle}/revoke", data={"csrf_token": token}, headers=headers)
    page = visitor.get("/activity")
    assert rows(page) == ["session.ended", "signin.failed", "session.created", "session.created", "session.named"]
    text = page.get_data(as_text=True)
    assert "Firefox on Linux" in text
    assert "127.0.0.1" in text
    assert re.findall(r'data-testid="activity-row"[^>]*data-result="(\w+)"', text) == [
        "done",
        "refused",
        *["done"] * 3,
    ]


def test_account_reads_no_activity_of_another(app: Flask, person: Visitor, wallet: Wallet, redis: Redis) -> None:
    """Whatever it asks for, and also where the address is the same on another network."""
    other, stranger = Wallet(), Visitor(app)
    stranger.sign_in(other)
    testnet = Visitor(app)
    testnet.attempt(wallet, testnet.challenge(wallet.account("eip155:11155111")))
    foreign = [download(each, "json")[0]["details"]["handle"] for each in (stranger, testnet)]
    for path in ("/activity", "/activity.csv", "/activity.json"):
        for query in (
            "",
            f"?account={other.account()}",
            f"?account={other.account()}&kind=sign_ins",
            "?account=",
            "?tag=x",
        ):
            # What stands above are links back to this very address, with whatever it asked for.
            text = person.get(path + query).get_data(as_text=True).rpartition("<main")[2]
            assert not [handle for handle in foreign if handle in text], path
            assert other.address not in text
    assert len(rows(person.get("/activity"))) == 1


def test_visitors_read_nothing(app: Flask, person: Visitor, redis: Redis) -> None:
    visitor = Visitor(app)
    with unchanged(redis):
        for path in ("/activity", "/activity.csv", "/activity.json"):
            assert visitor.get(path).headers["Location"] == f"/sign-in?next={path}"
            assert visitor.json(path).status_code == 401


def test_a_restricted_person_still_reads_their_own(person: Visitor, services: Services, wallet: Wallet) -> None:
    roles_of(services).assign(parse(wallet.account()), "restricted")
    assert rows(person.get("/activity")) == ["session.created", "session.rotated"]


def test_reading_the_activity_is_not_logged(person: Visitor, redis: Redis) -> None:
    logs = {key: redis.llen(key) for key in redis.keys("*:log*")}
    assert logs
    with unchanged(redis):
        for path in ("/activity", "/activity.csv", "/activity.json", "/activity?kind=ends&before=1-1"):
            person.get(path)
    assert {key: redis.llen(key) for key in redis.keys("*:log*")} == logs


# -- Filters and pages -----------------------------------------------------------------------------------------------


def test_every_event_that_is_kept_is_of_exactly_one_kind() -> None:
    vocabulary = {each.name for each in event_classes()}
    vocabulary -= {events.RevocationUnconfirmed.name}  # about Redis, and not about an account
    filed = [name for kind in KINDS for name in events.names_of(kind)]
    assert sorted(name for name in filed if name in vocabulary) == sorted(vocabulary)


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_shows_its_kind_and_no_other(
    person: Visitor, wallet: Wallet, note: Callable[..., None], kind: str
) -> None:
    account = wallet.account()
    for event in (
        events.SessionEnded(handle="sess_x", account=account, reason="revoked"),
        SessionNamed(handle="sess_x", account=account),
        events.SignInFailed(code="signature_mismatch", account=account),
        events.WalletChanged(account=account, before=account),
    ):
        note(event)
    shown = rows(person.get(f"/activity?kind={kind}"))
    assert shown
    assert set(shown) <= set(events.names_of(kind))
    assert set(rows(person.get("/activity"))) >= set(shown)


@pytest.mark.parametrize(
    "kind", ["nothing", "Sign_ins", "sign_ins ", "__class__", "<script>alert(1)</script>", "x" * 2000]
)
def test_unknown_kind_is_ignored_as_a_filter(person: Visitor, kind: str) -> None:
    page = person.get("/activity", query_string={"kind": kind})
    assert rows(page) == ["session.created"]
    assert "<script>alert" not in page.get_data(as_text=True)


def test_pages_go_back_to_the_beginning_and_show_each_entry_once(
    person: Visitor, wallet: Wallet, note: Callable[..., None]
) -> None:
    for number in range(120):
        note(events.SessionEnded(handle=f"sess_{number}", account=wallet.account(), reason="revoked"))
    path, seen, pages = "/activity", 0, []
    while True:
        page = person.get(path)
        pages.append(len(rows(page)))
        seen += pages[-1]
        older = re.search(r'<a [^>]*href="([^"]+)"[^>]*data-testid="activity-older"', page.get_data(as_text=True))
        if older is None:
            break
        path = unescape(older[1])
        assert path.startswith("/activity?before=")
    assert (pages, seen) == ([50, 50, 21], 121)


def test_a_filter_stays_while_pages_are_turned(person: Visitor, wallet: Wallet, note: Callable[..., None]) -> None:
    for number in range(60):
        note(events.SessionConfirmed(handle=f"sess_{number}", account=wallet.account(), action="session.extend"))
        note(events.SessionEnded(handle=f"sess_{number}", account=wallet.account(), reason="revoked"))
    page = person.get("/activity?kind=ends").get_data(as_text=True)
    older = re.search(r'<a [^>]*href="([^"]+)"[^>]*data-testid="activity-older"', page)
    assert older
    assert rows(person.get(unescape(older[1]))) == ["session.ended"] * 10


@pytest.mark.parametrize(
    "before",
    [
        "x",
        "-",
        "1",
        "1-1x",
        "0-0",
        "9" * 21 + "-0",
        f"{2**64}-0",
        "-1-1",
        "1-1r ",
        "\u0661-1",
        "1-1;FLUSHALL",
        "\0",
        "*",
        "+",
        "(1-1",
    ],
    ids=ascii,
)
def test_malformed_cursor_shows_the_first_page(person: Visitor, before: str) -> None:
    assert rows(person.get("/activity", query_string={"before": before})) == ["session.created"]


def test_foreign_cursor_shows_only_own_entries(
    app: Flask, person: Visitor, services: Services, note: Callable[..., None]
) -> None:
    other = Wallet()
    for number in range(60):
        note(events.SessionEnded(handle=f"sess_foreign{number}", account=other.account(), reason="revoked"))
    cursor = services.part(Activity).log.account(other.account()).older
    assert cursor
    assert rows(person.get(f"/activity?before={cursor}")) in ([], ["session.created"])


# -- Downloads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "media"), [("csv", "text/csv; charset=utf-8"), ("json", "application/json")])
def test_download_is_a_file_that_no_cache_keeps(person: Visitor, kind: str, media: str) -> None:
    answer = person.get(f"/activity.{kind}")
    assert answer.headers["Content-Type"] == media
    assert answer.headers["Content-Disposition"] == f'attachment; filename="activity.{kind}"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_both_downloads_hold_everything_each_entry_alone(
    person: Visitor, wallet: Wallet, note: Callable[..., None]
) -> None:
    for _ in range(3):
        note(events.SessionRenewed(handle="sess_x", account=wallet.account()))
    note(events.SignInFailed(code="signature_mismatch", account=wallet.account()))
    table, listed = download(person, "csv"), download(person, "json")
    assert [row["event"] for row in table] == [row["event"] for row in listed]
    # Of one millisecond, kinds have no order.
    assert sorted(row["event"] for row in listed) == ["session.created", *["session.renewed"] * 3, "signin.failed"]
    [place] = [number for number, row in enumerate(listed) if row["result"] == "refused"]
    assert tuple(table[place]) == COLUMNS
    assert table[place]["details"] == f"code=signature_mismatch; account={wallet.account()}"
    assert listed[place]["details"] == {"code": "signature_mismatch", "account": wallet.account()}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"]) for row in listed)
    assert listed[1]["ip"] == "203.0.113.7"


FORMULAS = [
    '=HYPERLINK("https://evil.example";"click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(A1)",
]


@pytest.mark.parametrize("formula", FORMULAS, ids=ascii)
@pytest.mark.parametrize("where", ["name", "device", "ip", "key", "value"])
def test_exported_cell_is_never_a_formula(app: Flask, formula: str, where: str) -> None:
    """An application's own events may hold what visitors wrote, and spreadsheets run what looks like a formula."""
    fields = {formula: "x"} if where == "key" else {"words": formula} if where == "value" else {}
    entry = Entry(
        id="1-1",
        at=1,
        name=formula if where == "name" else "shop.order",
        fields=fields,
        ip=formula if where == "ip" else "",
        device=formula if where == "device" else "",
    )
    with app.test_request_context():
        text = as_csv([entry], "activity").get_data(as_text=True)
    _, row = csv.reader(io.StringIO(text, newline=""))
    assert len(row) == len(COLUMNS)
    for cell in row:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
        assert not cell[:1].isspace()
    assert any(formula in cell for cell in row), "it is still there to be read"


@pytest.mark.parametrize("words", ['a,b"c\r\nd', "a;b", "\u00e9\u202e", '","=1+1,"'], ids=ascii)
def test_a_cell_stays_one_cell_and_a_string_one_string(app: Flask, words: str) -> None:
    entry = Entry(id="1-1", at=1, name="shop.order", fields={"words": words}, ip="", device=words)
    with app.test_request_context():
        table, listed = as_csv([entry], "activity"), as_json([entry], "activity")
    _, row = csv.reader(io.StringIO(table.get_data(as_text=True), newline=""))
    assert (row[4], row[6], len(row)) == (words, f"words={words}", len(COLUMNS))
    assert json.loads(listed.get_data())[0]["details"] == {"words": words}


def test_nothing_hostile_comes_into_activity_in_the_first_place(
    app: Flask, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    """The agent, the wallet's name and the label are the visitor's words; none of them is in any event."""
    hostile = '=cmd|"/C calc"!A0<script>alert(1)</script>'
    headers = {"User-Agent": hostile}
    challenge = visitor.challenge(wallet.account())
    form = {
        "message": challenge["message"],
        "challenge": challenge["challenge"],
        "signature": wallet.sign(challenge["message"]),
        "csrf_token": visitor.token(),
        "wallet": hostile,
    }
    assert visitor.post("/sign-in", data=form, headers=headers).status_code == 303
    handle = visitor.json("/api/auth/sessions/validate").get_json()["data"]["session_id"]
    visitor.submit(f"/sessions/{handle}/name", label=hostile)
    for path in ("/activity", "/activity.csv", "/activity.json"):
        text = visitor.get(path).get_data(as_text=True).rpartition("<main")[2]
        assert "calc" not in text, path
        assert "Unknown browser" in text


def test_hostile_event_text_is_escaped_on_the_page(
    person: Visitor, wallet: Wallet, note: Callable[..., None]
) -> None:
    hostile = '"><script>alert(1)</script>'
    note(
        events.SessionEnded(handle=hostile, account=wallet.account(), reason=hostile),
        Client(ip=hostile, agent="", device=hostile),
    )
    text = person.get("/activity").get_data(as_text=True)
    assert "<script>alert" not in text
    assert hostile in unescape(text)


def test_without_redis_a_download_is_503_and_not_an_empty_file(
    make_app: Callable[..., Flask], person: Visitor, services: Services, redis: Redis
) -> None:
    for key in redis.keys("*:log"):
        redis.delete(key)
        redis.set(key, "no list")
    for path in ("/activity", "/activity.csv", "/activity.json"):
        assert person.get(path).status_code == 503
