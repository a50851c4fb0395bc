"""The look-up of the administration: what it finds, what it costs, and what bad input does."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from flask import Flask
from redis import Redis

from sessions_core.errors import StoreUnavailable
from sessions_core.parts.devices.recent_sign_ins import DEVICE, Device
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.parts.roles import lookup
from sessions_core.parts.roles.roles import AccountRoles
from sessions_core.parts.stacks.c32check import write_stacks
from sessions_core.sessions.record import LoadedSession, SessionRecord
from sessions_core.sign_in.accounts import parse
from sessions_core.storage.connection import RedisConnection
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet
from ...part_services import roles_of
from ...snapshot import unchanged
from ...stored import round_trips

SOLANA = "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM"
ICP = "uuc56-gyb"
MOST_TRIPS = 6
CHAINS = ("eip155:1", "eip155:10", "eip155:137")


def some_account(number: int, chain: str = "eip155:1") -> str:
    return f"{chain}:{checksum_address(f'0x{number:08x}' + 32 * '7')}"


def start(services: Services, account: str, device: str = "", label: str = "") -> LoadedSession:
    def prepare(record: SessionRecord) -> None:
        DEVICE.put(record, Device(device=device, label=label))

    return services.lifecycle.start(parse(account), services.policy.standard, prepare=prepare)


def page_of(admin: Visitor, **query: str) -> str:
    answer = admin.get("/admin", query_string=query)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def accounts_on(page: str) -> list[str]:
    return re.findall(r'data-testid="admin-(?:account|session)-row" data-account="([^"]+)"', page)


def problem_on(page: str) -> str:
    found = re.search(r'data-testid="admin-lookup-error" data-problem="([^"]+)"', page)
    return found[1] if found else ""


def following(page: str) -> str:
    found = re.search(r'data-testid="lookup-continue"\s+href="([^"]+)"', page)
    return html.unescape(found[1]) if found else ""


def pages_from(admin: Visitor, page: str) -> list[str]:
    """Follow the links that continue a search, to its end."""
    pages = [page]
    while target := following(pages[-1]):
        answer = admin.get(target)
        assert answer.status_code == 200
        pages.append(answer.get_data(as_text=True))
        assert len(pages) < 100
    return pages


# -- A whole address -------------------------------------------------------------------------------------------------


def test_bare_address_is_found_on_all_its_chains(admin: Visitor, services: Services) -> None:
    wallet = Wallet()
    start(services, wallet.account("eip155:10"))
    roles_of(services).assign(parse(wallet.account("eip155:137")), "restricted")
    roles_of(services).note_sign_in(wallet.account("eip155:1"))
    for spelling in (wallet.address, wallet.address.lower(), f" {wallet.address}\n"):
        page = page_of(admin, account=spelling)
        assert sorted(accounts_on(page)) == sorted(wallet.account(chain) for chain in CHAINS)
    assert 'data-role="restricted"' in page


@pytest.mark.parametrize(
    "account",
    [
        f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{SOLANA}",
        f"stacks:1:{write_stacks(22, bytes(range(200, 220)))}",
        "icp:737ba355e855bd4b61279056603e0550:fi5vb-dqbae-aqcai-baeaq-caiba-eaqca-ibaea-qcaib-aeaqc-aibae-aqe",
    ],
    ids=["solana", "stacks", "icp"],
)
def test_bare_address_of_other_chains_is_found(admin: Visitor, services: Services, account: str) -> None:
    roles_of(services).note_sign_in(str(parse(account)))
    assert accounts_on(page_of(admin, account=account.rpartition(":")[2])) == [account]


def test_unknown_address_opens_nothing(admin: Visitor, redis: Redis) -> None:
    wallet = Wallet()
    with unchanged(redis):
        page = page_of(admin, account=wallet.address)
    assert problem_on(page) == "unknown"
    assert "No account of that address was found" in page
    assert f'add the network in front, as in <code translate="no" class="example">{wallet.account()}</code>' in page
    answer = admin.get("/admin", query_string={"account": wallet.account()})
    assert answer.headers["Location"] == f"/admin/accounts/{wallet.account()}"


def test_wrong_checksum_is_named(admin: Visitor) -> None:
    address = Wallet().address
    at = next(at for at, each in enumerate(address) if each.isalpha() and at > 1)
    stacks = write_stacks(22, bytes(range(200, 220)))
    for wrong in (
        address[:at] + address[at].swapcase() + address[at + 1 :],
        f"eip155:1:{address[:at] + address[at].swapcase() + address[at + 1 :]}",
        stacks[:-1] + ("0" if stacks[-1] != "0" else "1"),
        "fi5vb-dqbae-aqcai-baeaq-caiba-eaqca-ibaea-qcaib-aeaqc-aibae-aqf",
    ):
        page = page_of(admin, account=wrong)
        assert (problem_on(page), "The checksum of that address is wrong" in page) == ("checksum", True), wrong


def test_address_without_a_key_is_named(admin: Visitor) -> None:
    for keyless in ("rrkah-fqaaa-aaaaa-aaaaq-cai", write_stacks(20, bytes(range(200, 220)))):
        assert problem_on(page_of(admin, account=keyless)) == "keyless", keyless


# -- A prefix, a role, a device --------------------------------------------------------------------------------------


def test_prefix_finds_listed_accounts_then_sessions(admin: Visitor, services: Services) -> None:
    """An account may have a session and be in no list: those hold the latest ten thousand sign-ins."""
    verified, signed_in, in_no_list = (some_account(0xABCD0000 + number) for number in range(3))
    roles_of(services).verify(parse(verified), "lic_1", "full", 30)
    for account in (signed_in, some_account(0xABCE0000)):
        roles_of(services).note_sign_in(account)
    for account in (in_no_list, some_account(0xABCE0001)):
        start(services, account)
    first, last = pages_from(admin, page_of(admin, account="0xaBcD"))
    assert set(accounts_on(first)) == {verified, signed_in}
    assert "Search the sessions too" in first
    assert accounts_on(last) == [in_no_list]
    assert "Searched all sessions" in last


def test_role_finds_its_accounts(admin: Visitor, services: Services, boss: Wallet) -> None:
    restricted = [some_account(number) for number in range(30)]
    for account in restricted:
        roles_of(services).assign(parse(account), "restricted")
    first, last = pages_from(admin, page_of(admin, account="Restricted"))
    assert (len(accounts_on(first)), set(accounts_on(first) + accounts_on(last))) == (25, set(restricted))
    assert accounts_on(page_of(admin, account="admin")) == [boss.account()]


def test_device_is_found_by_label_and_browser(admin: Visitor, services: Services) -> None:
    laptop = start(services, some_account(1), "Firefox on Linux", "Work laptop")
    phone = start(services, some_account(2), "Safari on iOS")
    arabic = start(services, some_account(3), "Chrome on Android", "هاتفي")
    for words, live in (
        ("work laptop", laptop),
        ("linux FIREFOX", laptop),
        ("Safari on iOS", phone),
        ("هاتفي", arabic),
    ):
        [page] = pages_from(admin, page_of(admin, device=words))
        assert accounts_on(page) == [live.record.account], words
        assert f"#{live.record.handle}" in page
        assert "Searched all sessions" in page
    [page] = pages_from(admin, page_of(admin, device="Firefox on iOS"))
    assert accounts_on(page) == []


def test_ended_sessions_and_visitors_are_not_found(admin: Visitor, services: Services) -> None:
    for number in range(3):
        start(services, some_account(number), "Firefox on Linux")
    services.lifecycle.revoke_account(parse(some_account(0)))
    assert len(accounts_on(page_of(admin, device="firefox"))) == 2


# -- What it costs ---------------------------------------------------------------------------------------------------


def test_each_page_of_a_search_has_few_round_trips(
    admin: Visitor, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With budgets small enough that each search takes several pages."""
    for name, budget in (("LISTED", 20), ("DECIDED", 20), ("SCANNED", 40)):
        monkeypatch.setattr(lookup, name, budget)
    for number in range(60):
        start(services, some_account(0xABCD0000 + number), "Firefox on Linux")
        roles_of(services).assign(parse(some_account(0xABCD0000 + number)), "restricted")
    everything = {some_account(0xABCD0000 + number) for number in range(60)}
    for query in ({"account": "0xabcd"}, {"account": "restricted"}, {"device": "linux"}):
        page = page_of(admin, **query)
        seen: set[str] = set()
        while True:
            assert len(accounts_on(page)) <= 25
            seen.update(accounts_on(page))
            target = following(page)
            if not target:
                break
            exchanges = round_trips(services.connection, monkeypatch)
            answer = admin.get(target)
            assert answer.status_code == 200
            page = answer.get_data(as_text=True)
            assert len(exchanges) <= MOST_TRIPS, target
        assert seen == everything, query
    exchanges = round_trips(services.connection, monkeypatch)
    page_of(admin, account=some_account(0xABCD0001).rpartition(":")[2])
    assert len(exchanges) <= MOST_TRIPS


def test_many_hits_of_one_scan_come_in_pages(admin: Visitor, services: Services) -> None:
    accounts = [some_account(number) for number in range(60)]
    for account in accounts:
        start(services, account, "Firefox on Linux")
    pages = pages_from(admin, page_of(admin, device="firefox"))
    assert [len(accounts_on(page)) for page in pages] == [25, 25, 10]
    assert sorted(account for page in pages for account in accounts_on(page)) == sorted(accounts)
    assert "Searched about" in pages[0]


def test_lookup_searches_all_masters(other_url: str, make_app: Callable[..., Flask], boss: Wallet) -> None:
    """On a Cluster, and on a Sentinel service."""
    app = make_app(SESSIONS_CORE_REDIS_URL=other_url)
    services: Services = app.extensions["sessions_core"]
    roles_of(services).assign(parse(boss.account()), "admin")
    admin = Visitor(app)
    admin.sign_in(boss)
    accounts = {some_account(0xABCD0000 + number) for number in range(30)}
    for account in accounts:
        start(services, account, "Firefox on Linux")
    for query in ({"account": "0xabcd"}, {"device": "firefox on linux"}):
        pages = pages_from(admin, page_of(admin, **query))
        assert {account for page in pages for account in accounts_on(page)} == accounts
    assert accounts_on(page_of(admin, account=boss.address)) == [boss.account()]


# -- Bad input, and who may look up ----------------------------------------------------------------------------------

HOSTILE = (
    *("x" * 10_000, "0x" + "1" * 10_000, "\0", "0xab\0", "\u202e0xabcd", "0x*", "0x[a-f]", "0x?", "*", "[", "0x\\*"),
    *(
        "<script>alert(1)</script>",
        "'\"><img src=x>",
        "\ud7ff\uffff",
        "\u0661\u0662\u0663",
        "a" * 129,
        "--",
        "é" * 90,
    ),
    *("é" * 90, "eip155:1:0x*", "eip155:*:0xabcd", "session:*", "{directory}:seen", "0xabcd\r\nSET a b"),
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_hostile_text_finds_nothing(admin: Visitor, services: Services, redis: Redis, text: str) -> None:
    start(services, some_account(0xABCD0001), "Firefox on Linux", "Laptop")
    with unchanged(redis):
        for field in ("account", "device"):
            page = page_of(admin, **{field: text})
            if "lookup-searched" in page:
                assert accounts_on(page) == []
            else:
                assert problem_on(page) or not text.strip()
            assert "<script>alert" not in page
            assert "<img src" not in page
            assert "\u202e" not in page


@pytest.mark.parametrize(
    "place",
    [
        *("", "x", "list", "list.-1", "list." + "9" * 8, "list.\u0661", "sessions.0.0.0", "sessions.0.x.0."),
        *("sessions.0.18446744073709551616.0.", "sessions.0.0.0.*", "sessions.0.0.0.sess_\0", "list.0\n"),
    ],
    ids=ascii,
)
def test_place_that_is_none_is_refused(admin: Visitor, place: str) -> None:
    for query in ({"account": "0xabcd"}, {"device": "x"}):
        assert admin.get("/admin", query_string=query | {"place": place}).status_code == 400


def test_place_out_of_range_ends_the_search(admin: Visitor) -> None:
    for query in ({"account": "0xabcd"}, {"account": "admin"}, {"device": "x"}):
        for place, status in (
            ("list.9999999", 200),
            ("sessions.0.18446744073709551615.0.", 200),
            ("sessions.0.7.999999999999.sess_aaaaaaaaaaaaaaaa", 200),
            ("sessions.9999.0.0.", 404),
        ):
            answer = admin.get("/admin", query_string=query | {"place": place})
            expected = 200 if query["account" if "account" in query else "device"] == "admin" else status
            assert answer.status_code == expected, (query, place)


def test_only_administrators_look_up(app: Flask, person: Visitor, services: Services, redis: Redis) -> None:
    visitor = Visitor(app)
    start(services, some_account(0xABCD0001), "Firefox on Linux")
    with unchanged(redis):
        for query in ("account=0xabcd", "account=admin", "device=firefox", "device=x&place=sessions.0.0.0."):
            assert visitor.json(f"/admin?{query}").status_code == 401
            answer = person.json(f"/admin?{query}")
            assert (answer.status_code, answer.get_json()["error"]["missing"]) == (403, "admin")


def test_lookup_leaves_records_of_other_secrets_alone(
    admin: Visitor, boss: Wallet, services: Services, rotated: Callable[..., Services], redis: Redis
) -> None:
    """A search meets records that it can't decrypt: it skips them, and reports none of them as damaged."""
    start(rotated(()), some_account(1), "Firefox on Linux")
    with unchanged(redis):
        page = page_of(admin, device="firefox")
    assert accounts_on(page) == []
    assert "Searched all sessions" in page


def test_lookup_answers_503_without_redis(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis goes away between reading the session and the search."""

    def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    for method in ("listed", "known"):
        monkeypatch.setattr(AccountRoles, method, gone)
    monkeypatch.setattr(RedisConnection, "masters", gone)
    for query in ({"account": "0xabcd"}, {"account": "admin"}, {"account": Wallet().address}, {"device": "x"}):
        assert admin.get("/admin", query_string=query).status_code == 503
