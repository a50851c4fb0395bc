"""Administration: what an administrator does with a signature for each change, and what nobody else can do at all."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.parts.roles.account_status import StoredStatus
from sessions_core.parts.roles.events import RoleChanged, VerificationChanged
from sessions_core.parts.roles.roles import AccountRoles
from sessions_core.sessions.record import LoadedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet, handle_of
from ...answers import code_of
from ...part_services import roles_of
from ...snapshot import refused, unchanged
from ...stored import round_trips
from ...time_machine import TimeMachine

VERIFY = {"professional_id": "lic_7", "level": "full", "days": "30"}


def some_account(number: int) -> str:
    return f"eip155:1:{checksum_address(f'0x{number:040x}')}"


@pytest.fixture
def target(wallet: Wallet) -> str:
    return f"/admin/accounts/{wallet.account()}"


PAGES = ("/admin", "/admin/accounts/{account}", "/admin/everybody", "/admin/activity")
DOWNLOADS = ("/admin/activity.csv", "/admin/activity.json")


def readings(account: str) -> list[str]:
    return [path.format(account=account) for path in (*PAGES, *DOWNLOADS)]


def changes(account: str, handle: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Each change there is: its address, its form, and the sentence that is signed for it."""
    base = f"/admin/accounts/{account}"
    yield f"{base}/role", {"role": "restricted"}, f"Give the role restricted to {account}."
    yield f"{base}/verify", VERIFY, f"Verify {account} as professional lic_7, level full, for 30 days."
    yield f"{base}/withdraw", {}, f"Withdraw the verification of {account}."
    yield f"{base}/sessions/{handle}/revoke", {}, f"Sign out [Unknown browser] ({handle[:9]}) of {account}."
    yield f"{base}/revoke", {}, f"Sign out all devices of {account}."
    yield "/admin/everybody", {}, "Sign everybody out of this site."


def standing_of(services: Services, wallet: Wallet) -> StoredStatus:
    return roles_of(services).status(parse(wallet.account()))


# -- What an administrator does --------------------------------------------------------------------------------------


def test_admin_page_lists_recent_accounts_and_account_status(
    app: Flask, admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, services: Services
) -> None:
    """No page holds any part of a session id."""
    roles_of(services).verify(parse(wallet.account()), "lic_7", "full", 30)
    page = admin.get("/admin").get_data(as_text=True)
    assert boss.account() in page
    assert wallet.account() in page
    page = admin.get(f"/admin/accounts/{wallet.account()}").get_data(as_text=True)
    assert handle_of(person) in page
    assert "lic_7" in page
    for session_id in (admin.session_id, person.session_id):
        assert session_id[:12] not in page
        assert session_id[12:] not in page


def test_an_account_is_looked_up_in_any_spelling(admin: Visitor, wallet: Wallet) -> None:
    for spelling in (wallet.account(), wallet.account().lower(), f"  {wallet.account()}\n"):
        answer = admin.get("/admin", query_string={"account": spelling})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/accounts/{wallet.account()}")


@pytest.mark.parametrize(
    "text", ["x", "0x" + "1" * 40, "eip155:1:0x1", "//evil.example", "<script>alert(1)</script>", "\u00e9" * 600]
)
def test_malformed_account_is_reported(admin: Visitor, text: str) -> None:
    answer = admin.get("/admin", query_string={"account": text})
    assert answer.status_code == 200
    page = answer.get_data(as_text=True)
    assert 'data-testid="admin-lookup-error"' in page
    assert "<script>alert" not in page


def test_role_changes_need_a_signature_each(
    admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, services: Services, happened: list[events.Event]
) -> None:
    for before, role in (("member", "admin"), ("admin", "restricted"), ("restricted", "member")):
        asked = admin.submit(f"/admin/accounts/{wallet.account()}/role", role=role)
        assert standing_of(services, wallet).role == before
        answer = admin.confirm(boss, asked)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/accounts/{wallet.account()}")
        assert standing_of(services, wallet).role == role
        assert happened[-1] == RoleChanged(account=wallet.account(), before=before, after=role, by=boss.account())
        assert person.json("/api/auth/sessions/validate").get_json()["data"]["role"] == role


def test_roles_are_shown_as_words_and_sent_by_name(admin: Visitor, person: Visitor, target: str) -> None:
    page = admin.get(target).text
    options = re.findall(r'<option value="(\w+)"[^>]*>([^<]+)</option>', page)
    assert {"member": "Member", "admin": "Admin", "restricted": "Restricted"}.items() <= dict(options).items()
    assert re.search(r'data-role="member">.*?<span>Member</span>.*?</tr>', admin.get("/admin").text, re.DOTALL)


def test_a_role_that_the_account_has_already_makes_no_event(
    admin: Visitor, boss: Wallet, wallet: Wallet, happened: list[events.Event]
) -> None:
    admin.confirm(boss, admin.submit(f"/admin/accounts/{wallet.account()}/role", role="member"))
    assert "role.changed" not in [event.name for event in happened]


def test_admin_verifies_an_account_and_revokes_it_again(
    admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, services: Services, happened: list[events.Event]
) -> None:
    path = f"/admin/accounts/{wallet.account()}"
    admin.confirm(boss, admin.submit(f"{path}/verify", **VERIFY))
    standing = standing_of(services, wallet)
    assert (standing.professional_id, standing.verification_level) == ("lic_7", "full")
    assert abs(standing.verified_until - services.repository.time() - 30 * 86_400_000) < 60_000
    [event] = [each for each in happened if isinstance(each, VerificationChanged)]
    assert (event.account, event.level, event.by) == (wallet.account(), "full", boss.account())
    person.sign_in(wallet, session_type="professional")
    admin.confirm(boss, admin.submit(f"{path}/withdraw"))
    assert standing_of(services, wallet) == StoredStatus()
    assert person.attempt(wallet, session_type="professional").headers["Location"].startswith("/unauthorized")


def test_one_session_of_an_account_is_ended(
    app: Flask, admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, happened: list[events.Event]
) -> None:
    other = Visitor(app)
    other.sign_in(wallet)
    handle = handle_of(other)
    asked = admin.submit(f"/admin/accounts/{wallet.account()}/sessions/{handle}/revoke")
    assert other.signed_in
    admin.confirm(boss, asked)
    assert other.get("/session").headers["Location"] == "/sign-in?next=/session&reason=revoked"
    assert person.signed_in
    assert events.SessionEnded(handle=handle, account=wallet.account(), reason="revoked") in happened


def test_every_session_of_an_account_is_ended(
    app: Flask, admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, happened: list[events.Event]
) -> None:
    other, stranger = Visitor(app), Visitor(app)
    other.sign_in(wallet)
    stranger.sign_in(Wallet())
    admin.confirm(boss, admin.submit(f"/admin/accounts/{wallet.account()}/revoke"))
    assert [each.signed_in for each in (person, other, stranger, admin)] == [False, False, True, True]
    assert events.SessionsRevoked(account=wallet.account(), scope="all") in happened
    assert person.get("/session").headers["Location"] == "/sign-in?next=/session&reason=revoked"


def test_admin_who_revokes_their_own_sessions_is_signed_out(app: Flask, admin: Visitor, boss: Wallet) -> None:
    other = Visitor(app)
    other.sign_in(boss)
    answer = admin.confirm(boss, admin.submit(f"/admin/accounts/{boss.account()}/revoke"))
    assert answer.headers["Location"] == "/signed-out"
    assert "Clear-Site-Data" not in answer.headers
    assert 'data-reason="revoked"' in admin.get("/signed-out").get_data(as_text=True)
    assert (admin.signed_in, other.signed_in) == (False, False)


def test_site_wide_revocation_includes_the_asking_admin(
    admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, happened: list[events.Event], redis: Redis
) -> None:
    with unchanged(redis):
        assert admin.get("/admin/everybody").status_code == 200
    asked = admin.submit("/admin/everybody")
    assert person.signed_in
    answer = admin.confirm(boss, asked)
    assert answer.headers["Location"] == "/signed-out"
    assert (admin.signed_in, person.signed_in) == (False, False)
    assert events.SessionsRevoked(account=None, scope="everybody") in happened
    person.sign_in(wallet)
    assert person.signed_in


def test_site_activity_is_shown_and_downloaded(admin: Visitor, person: Visitor, wallet: Wallet, boss: Wallet) -> None:
    page = admin.get("/admin/activity?kind=sign_ins").get_data(as_text=True)
    assert set(re.findall(r'data-event="([^"]+)"', page)) == {"session.created"}
    assert f"/admin/accounts/{wallet.account()}" in page
    answer = admin.get("/admin/activity.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="site-activity.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert any(wallet.account() in row["details"] for row in rows)
    rows = admin.get("/admin/activity.json").get_json()
    assert {row["details"].get("account") for row in rows if row["event"] == "session.created"} == {
        wallet.account(),
        boss.account(),
    }


# -- Each change takes a signature of its own ------------------------------------------------------------------------


def test_each_admin_change_needs_a_signature_that_names_it(
    admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, redis: Redis
) -> None:
    """However fresh the session is."""
    done = admin.confirm(boss, admin.submit(f"/admin/accounts/{Wallet().account()}/role", role="restricted"))
    assert admin.get(done.headers["Location"]).status_code == 200
    for path, form, sentence in changes(wallet.account(), handle_of(person)):
        with unchanged(redis):
            asked = admin.submit(path, **form)
            assert asked.headers["Location"].startswith("/confirm?"), path
            assert admin.waiting(asked).sentence == sentence
    assert person.signed_in


def test_a_signature_for_one_change_makes_no_other(
    admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, redis: Redis
) -> None:
    every = list(changes(wallet.account(), handle_of(person)))
    for number, (path, form, _) in enumerate(every):
        proof = admin.proof(boss, admin.send("POST", path, data=form))
        other, its_form, _ = every[(number + 1) % len(every)]
        with unchanged(redis):
            answer = admin.send("POST", other, data=its_form, headers=proof)
        assert answer.get_json()["error"]["problem"] == "challenge_foreign"
    assert person.signed_in


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ({"role": "restricted"}, {"role": "admin"}),
        ({"role": "restricted"}, {"role": ["restricted", "admin"]}),
        ({"role": "restricted", "x": "1"}, {"role": "restricted"}),
    ],
)
def test_a_signature_for_one_role_gives_no_other(
    admin: Visitor,
    boss: Wallet,
    wallet: Wallet,
    redis: Redis,
    services: Services,
    target: str,
    signed: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    proof = admin.proof(boss, admin.send("POST", f"{target}/role", data=signed))
    with unchanged(redis):
        assert admin.send("POST", f"{target}/role", data=sent, headers=proof).status_code in (400, 403)
    assert standing_of(services, wallet) == StoredStatus()


def test_form_with_two_roles_is_refused(admin: Visitor, wallet: Wallet, redis: Redis, target: str) -> None:
    """The signed sentence would name only one of them."""
    with unchanged(redis):
        for roles in (["member", "admin"], ["admin", "member"]):
            assert admin.send("POST", f"{target}/role", data={"role": roles}).status_code == 400
        assert admin.send("POST", f"{target}/role?role=member", data={"role": "admin"}).status_code == 400


def test_a_signature_for_one_account_changes_no_other(
    admin: Visitor, boss: Wallet, wallet: Wallet, redis: Redis, services: Services, target: str
) -> None:
    other = Wallet()
    proof = admin.proof(boss, admin.send("POST", f"{target}/role", data={"role": "admin"}))
    for account in (other.account(), wallet.account("eip155:10")):
        with unchanged(redis):
            answer = admin.send("POST", f"/admin/accounts/{account}/role", data={"role": "admin"}, headers=proof)
        assert answer.get_json()["error"]["problem"] == "challenge_foreign"


def test_another_administrator_s_signature_does_not_count(
    app: Flask, admin: Visitor, boss: Wallet, redis: Redis, services: Services, target: str, wallet: Wallet
) -> None:
    second = Wallet()
    roles_of(services).assign(parse(second.account()), "admin")
    asked = admin.submit(f"{target}/role", role="admin")
    with unchanged(redis, spent=1):
        assert "problem=signature_mismatch" in admin.confirm(second, asked).headers["Location"]
    assert standing_of(services, wallet) == StoredStatus()


def test_admin_pages_need_a_signature_every_15_minutes(
    admin: Visitor, boss: Wallet, wallet: Wallet, pass_time: TimeMachine
) -> None:
    pass_time(890)
    assert [admin.get(path).status_code for path in readings(wallet.account())] == [200] * 6
    pass_time(11)
    for path in readings(wallet.account()):
        asked = admin.get(path)
        assert admin.waiting(asked).sentence == "Open the administration of this site."
    assert (
        admin.confirm(boss, admin.get("/admin/activity?kind=ends")).headers["Location"] == "/admin/activity?kind=ends"
    )
    assert [admin.get(path).status_code for path in readings(wallet.account())] == [200] * 6
    pass_time(901)
    assert admin.get("/admin").status_code == 303


# -- What nobody else can do -----------------------------------------------------------------------------------------


def everything(account: str, handle: str) -> list[tuple[str, str, dict[str, str]]]:
    asked = [("GET", path, {}) for path in [*readings(account), f"/admin?account={account}"]]
    return asked + [("POST", path, form) for path, form, _ in changes(account, handle)]


def test_visitors_can_not_use_the_admin_pages(
    app: Flask, admin: Visitor, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    visitor, handle = Visitor(app), handle_of(person)
    with unchanged(redis):
        for method, path, form in everything(wallet.account(), handle):
            answer = visitor.send(method, path, data=form)
            assert (answer.status_code, code_of(answer)) == (401, "no_token"), path


@pytest.mark.parametrize("role", ["member", "restricted"])
def test_non_admin_is_refused_before_any_signature(
    app: Flask, admin: Visitor, person: Visitor, wallet: Wallet, services: Services, redis: Redis, role: str
) -> None:
    mallory = Wallet()
    roles_of(services).assign(parse(mallory.account()), role)
    curious = Visitor(app)
    curious.sign_in(mallory)
    with unchanged(redis):
        for account, handle in ((wallet.account(), handle_of(person)), (mallory.account(), handle_of(curious))):
            for method, path, form in everything(account, handle):
                answer = curious.send(method, path, data=form)
                error = answer.get_json()["error"]
                assert (answer.status_code, error["code"], error["missing"]) == (403, "permission_denied", "admin"), (
                    path
                )
    assert person.signed_in


def test_non_admin_learns_nothing_about_an_account(
    app: Flask, admin: Visitor, person: Visitor, wallet: Wallet
) -> None:
    """A known account, an unknown one and a malformed one get the same answer."""
    for account in (wallet.account(), Wallet().account(), wallet.account().lower(), "x", "eip155:1:0x1"):
        answer = person.get(f"/admin/accounts/{account}")
        assert (answer.status_code, answer.headers["Location"].partition("&")[0]) == (303, "/unauthorized?role=admin")


def test_a_stolen_cookie_of_an_administrator_changes_nothing(
    app: Flask, admin: Visitor, person: Visitor, wallet: Wallet, redis: Redis, pass_time: TimeMachine
) -> None:
    thief = Visitor(app)
    thief.session_id = admin.session_id
    handle = handle_of(person)
    with unchanged(redis):
        for path, form, _ in changes(wallet.account(), handle):
            assert code_of(thief.send("POST", path, data=form)) == "step_up_required"
    pass_time(901)
    thief.get("/session")
    with unchanged(redis):
        for method, path, form in everything(wallet.account(), handle):
            assert code_of(thief.send(method, path, data=form)) == "step_up_required", path
    forged = Wallet()
    for path, form, _ in changes(wallet.account(), handle):
        proof = thief.proof(forged, thief.send("POST", path, data=form))
        with unchanged(redis, spent=1):
            answer = thief.send("POST", path, data=form, headers=proof)
        assert answer.get_json()["error"]["problem"] == "signature_mismatch"
    assert person.signed_in


def test_dismissed_admin_is_refused_at_once(
    app: Flask, admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, services: Services, redis: Redis
) -> None:
    """Even with signatures made while they still were an administrator."""
    handle = handle_of(person)
    signed = [
        (path, form, admin.proof(boss, admin.send("POST", path, data=form)))
        for path, form, _ in changes(wallet.account(), handle)
    ]
    pages = [admin.get(path) for path in readings(wallet.account())]
    assert {page.status_code for page in pages} == {200}
    roles_of(services).assign(parse(boss.account()), "member")
    admin.get("/session")  # the id changes with the role, once
    with unchanged(redis):
        for path, form, proof in signed:
            answer = admin.send("POST", path, data=form, headers=proof)
            assert (code_of(answer), answer.get_json()["error"]["missing"]) == ("permission_denied", "admin")
        for method, path, form in everything(wallet.account(), handle):
            assert code_of(admin.send(method, path, data=form)) == "permission_denied"
    assert person.signed_in
    assert standing_of(services, wallet) == StoredStatus()


def test_dismissed_admin_can_not_use_an_earlier_signature(
    admin: Visitor, person: Visitor, boss: Wallet, wallet: Wallet, services: Services
) -> None:
    """This is the first request after the dismissal."""
    path = f"/admin/accounts/{wallet.account()}/role"
    target, form = admin.signed_form(boss, admin.submit(path, role="admin"))
    roles_of(services).assign(parse(boss.account()), "member")
    answer = admin.post(target, data=form)
    assert answer.headers["Location"].startswith("/unauthorized?role=admin")
    assert standing_of(services, wallet) == StoredStatus()


def test_each_change_needs_the_token_and_this_site(
    admin: Visitor, person: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    for path, form, _ in changes(wallet.account(), handle_of(person)):
        with refused(redis, happened, "csrf_failed"):
            assert admin.send("POST", path, data=form, headers={"X-CSRFToken": ""}).status_code == 400
        with refused(redis, happened, "cross_site_request"):
            assert admin.send("POST", path, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        with unchanged(redis):
            assert admin.get(path).status_code in (200, 405)


# -- What not even an administrator can do ---------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["member", "restricted", "admin"])
def test_admin_can_not_change_their_own_role(
    admin: Visitor, boss: Wallet, services: Services, redis: Redis, role: str
) -> None:
    """One click must not lock the last administrator out. The refusal comes before any signature."""
    with unchanged(redis):
        answer = admin.send("POST", f"/admin/accounts/{boss.account()}/role", data={"role": role})
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["reason"]) == (403, "permission_denied", "own_account")
    assert standing_of(services, boss).role == "admin"


def spellings(account: str) -> list[str]:
    chain, _, address = account.rpartition(":")
    swapped = "".join(each.swapcase() if each.isalpha() else each for each in address[2:])
    return [
        account.lower(),
        f"{chain}:0x{address[2:].upper()}",
        f"{chain}:0x{swapped}",
        f"eip155:01:{address}",
        f"EIP155:1:{address}",
        f"{account}%20",
        f"%20{account}",
        f"{account}%0A",
        f"{account}%00",
        f"solana:1:{address}",
        "eip155:1:0x1",
        "nobody",
        "Nothing will be done. Sign this",
        "%C3%A9",
    ]


def test_other_spellings_of_an_account_are_refused(
    admin: Visitor, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    """The signed text names the account as the address spells it; the refusal comes before any signature."""
    handle = handle_of(person)
    for spelling in spellings(wallet.account()):
        with unchanged(redis):
            assert admin.json(f"/admin/accounts/{spelling}").status_code in (400, 404), spelling
            for path, form, _ in changes(spelling, handle):
                if path != "/admin/everybody":
                    assert admin.send("POST", path, data=form).status_code in (400, 404), path
    assert person.signed_in


@pytest.mark.parametrize("role", ["", "root", "Admin", "admin ", "\u0430dmin", "x" * 500, "admin\0"])
def test_unknown_role_is_refused_before_signing(
    admin: Visitor, wallet: Wallet, redis: Redis, target: str, role: str, services: Services
) -> None:
    answer = admin.submit(f"{target}/role", role=role)
    assert (answer.status_code, answer.headers["Location"]) == (303, target)
    assert standing_of(services, wallet) == StoredStatus()
    assert 'data-message="invalid" data-field="role"' in admin.get(target).get_data(as_text=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("professional_id", each)
            for each in ("", "7", "lic_", "lic_7 8", "LIC_7", "lic_\u0667", "lic_" + "x" * 41, "lic_7\n")
        ),
        *(("level", each) for each in ("", "Full", "full level", "x" * 33, "\u0435", "full\n")),
        *(("days", each) for each in ("", "0", "-1", "1.5", "3651", "99999", "1e3", "\u0667", "07", " 7", "7 ")),
    ],
    ids=ascii,
)
def test_invalid_verification_is_refused_before_signing(
    admin: Visitor, wallet: Wallet, target: str, services: Services, field: str, value: str
) -> None:
    answer = admin.submit(f"{target}/verify", **VERIFY | {field: value})
    assert (answer.status_code, answer.headers["Location"]) == (303, target)
    assert standing_of(services, wallet) == StoredStatus()
    assert f'data-message="invalid" data-field="{field}"' in admin.get(target).get_data(as_text=True)


@pytest.mark.parametrize("handle", ["sess_0123456789abcdef", "foreign", "malformed"])
def test_session_of_another_account_is_404_before_signing(
    app: Flask, admin: Visitor, person: Visitor, wallet: Wallet, redis: Redis, target: str, handle: str
) -> None:
    other = Visitor(app)
    other.sign_in(Wallet())
    handle = handle_of(other) if handle == "foreign" else handle
    with unchanged(redis):
        assert admin.send("POST", f"{target}/sessions/{handle}/revoke").status_code == 404
    assert other.signed_in


def test_revoking_a_session_that_just_ended_succeeds(
    admin: Visitor, person: Visitor, boss: Wallet, target: str
) -> None:
    asked = admin.submit(f"{target}/sessions/{handle_of(person)}/revoke")
    person.sign_out()
    answer = admin.confirm(boss, asked)
    assert (answer.status_code, answer.headers["Location"]) == (303, target)


def test_a_long_list_of_sessions_comes_in_pages(make_app: Callable[..., Flask], boss: Wallet, wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_SESSIONS_PER_ACCOUNT=100)
    services: Services = app.extensions["sessions_core"]
    roles_of(services).assign(parse(boss.account()), "admin")
    started: list[LoadedSession] = [
        services.lifecycle.start(parse(wallet.account()), services.policy.standard) for _ in range(30)
    ]
    admin = Visitor(app)
    admin.sign_in(boss)
    found: list[str] = []
    for number in (1, 2):
        page = admin.get(f"/admin/accounts/{wallet.account()}?page={number}").get_data(as_text=True)
        found += re.findall(r'data-testid="session-row" data-handle="([^"]+)"', page)
    assert sorted(found) == sorted(live.record.handle for live in started)


def test_admin_page_has_25_accounts_and_few_round_trips(
    admin: Visitor, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many accounts have a role: the session, the lists, and what the accounts on the page may do."""
    for number in range(60):
        roles_of(services).verify(parse(some_account(number)), "lic_1", "licensed", 30)
        roles_of(services).note_sign_in(some_account(number))
    admin.get("/admin")
    exchanges = round_trips(services.connection, monkeypatch)
    page = admin.get("/admin").get_data(as_text=True)
    assert len(exchanges) <= 6
    assert page.count('data-testid="admin-account-row"') == 2 * 25
    assert page.count("Page 1 of 3") == 2
    following = admin.get("/admin?decided=3&seen=2").get_data(as_text=True)
    assert following.count('data-testid="admin-account-row"') == 11 + 25, "60 and the administrator's own"
    assert "Page 3 of 3" in following
    assert re.search(r'href="/admin\?seen=2&amp;decided=2" rel="prev"', following)
    assert some_account(59) in page
    assert some_account(0) in following


@pytest.mark.parametrize("name", ["decided", "seen"])
@pytest.mark.parametrize(
    ("number", "status"),
    [("0", 400), ("-1", 400), ("x", 400), ("", 400), ("1.5", 400), ("\u0661", 400), ("9" * 9, 400), ("2", 404)],
    ids=ascii,
)
def test_page_number_that_is_none_is_refused(admin: Visitor, name: str, number: str, status: int) -> None:
    answer = admin.get("/admin", query_string={name: number})
    assert answer.status_code == status


def test_admin_page_answers_503_without_redis(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis goes away between reading the session and reading the lists."""

    def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(AccountRoles, "page", gone)
    assert admin.get("/admin").status_code == 503
