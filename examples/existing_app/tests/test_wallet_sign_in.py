"""Wallet sign-in beside the passwords that the shop had before. Nothing is needed but `sessions_core.testing`."""

import io

import pytest
from test_shop import ALICE, PARTNER, ROOT, log_in, send

from sessions_core.testing import TestWallet, age, csrf, expire, revoke, session_of, sign_in, visitor_session


def is_in(client):
    return client.get("/settings").status_code == 200


@pytest.fixture
def linked(app, wallet):
    """The wallet, which Alice has linked in another browser."""
    link(app.test_client(), wallet, ALICE)
    return wallet


def link(client, wallet, who):
    sign_in(client, wallet)
    return client.post("/link-wallet", data={"csrf_token": csrf(client)} | who)


def test_wallet_is_linked_by_a_password(client, wallet):
    assert client.get("/link-wallet").location.startswith("/wallet/sign-in?next=/link-wallet")
    sign_in(client, wallet)
    assert not is_in(client)
    assert wallet.account in client.get("/link-wallet").text
    link(client, wallet, ALICE | {"password": "wrong"})
    assert not is_in(client)
    assert link(client, wallet, ALICE).location == "/settings"
    assert "alice@example.org" in client.get("/settings").text
    assert client.get("/link-wallet").location == "/settings"


def test_user_signs_in_with_either(client, linked):
    sign_in(client, linked)
    assert "alice@example.org" in client.get("/settings").text
    send(client, "/logout")
    log_in(client, ALICE)
    assert "alice@example.org" in client.get("/settings").text


def test_other_wallet_is_nobody(client, linked):
    sign_in(client, TestWallet(seed="another"))
    assert not is_in(client)


def test_latest_sign_in_counts(client, linked):
    log_in(client, ROOT)
    session = sign_in(client, linked)
    assert "alice@example.org" in client.get("/settings").text
    log_in(client, ROOT)
    assert "root@example.org" in client.get("/settings").text
    assert session.end_reason == "replaced"


def test_unlinked_wallet_is_signed_out_everywhere(app, client, linked):
    elsewhere = app.test_client()
    sign_in(elsewhere, linked)
    log_in(client, ALICE)
    send(client, "/unlink-wallet")
    assert is_in(client)
    assert not is_in(elsewhere)
    sign_in(elsewhere, linked)
    assert not is_in(elsewhere)


def test_wallet_that_replaces_another_ends_its_sessions(app, client, linked):
    session = sign_in(app.test_client(), linked)
    link(client, TestWallet(seed="new"), ALICE)
    assert is_in(client)
    assert session.end_reason == "everywhere"


# -- Signing out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/logout", "/wallet/sign-out"])
@pytest.mark.parametrize("remember", [{}, {"remember": "on"}])
@pytest.mark.parametrize("wallet_too", [True, False])
def test_each_sign_out_ends_both(client, linked, path, remember, wallet_too):
    log_in(client, ALICE, **remember)
    if wallet_too:
        session = sign_in(client, linked)
    assert is_in(client)
    client.post(path, data={"csrf_token": csrf(client)})
    assert not is_in(client)
    if wallet_too:
        assert session.end_reason == "signed_out"


# -- How long each lasts -------------------------------------------------------------------------------------


def test_wallet_session_ends_after_30_idle_minutes(client, linked):
    session = sign_in(client, linked)
    age(session, minutes=29)
    assert is_in(client)
    age(session, minutes=31)
    assert not is_in(client)


def test_password_lasts_as_long_as_before(client):
    log_in(client, ALICE)
    login = visitor_session(client)
    age(login, hours=29 * 24)
    assert is_in(client)
    expire(login)
    assert not is_in(client)


def test_wallet_that_expires_takes_a_password_along(client, linked):
    log_in(client, ALICE)
    expire(sign_in(client, linked))
    assert not is_in(client)


def test_remembered_password_outlasts_the_wallet(client, linked):
    log_in(client, ALICE, remember="on")
    revoke(sign_in(client, linked))
    assert is_in(client)


# -- The rest of the shop, for users of wallets --------------------------------------------------------------


def test_user_of_a_wallet_uploads_50_mb(client, linked):
    sign_in(client, linked)
    content = b"x" * (50 * 1024 * 1024)
    fields = {"csrf_token": csrf(client), "file": (io.BytesIO(content), "novel.pdf")}
    answer = client.post("/files", data=fields)
    assert answer.location == f"/files?size={len(content)}"


def test_pages_of_the_package_keep_their_own_limit(client, linked):
    assert client.post("/wallet/sign-in", data={"message": "x" * 20_000}).status_code == 413


def test_office_is_for_administrators_with_wallets(client, linked):
    sign_in(client, linked)
    assert client.get("/admin/").status_code == 403
    admin = TestWallet(seed="admin")
    link(client, admin, ROOT)
    assert client.get("/admin/users/").status_code == 200


def test_office_alone_has_a_policy_of_its_own(client):
    log_in(client, ROOT)
    policies = [client.get(path).headers["Content-Security-Policy"] for path in ("/admin/", "/admin/users/", "/")]
    assert ["unsafe-inline" in policy for policy in policies] == [True, True, False]
    assert ["require-trusted-types-for" in policy for policy in policies] == [False, False, True]


@pytest.mark.parametrize("path", ["/logout", "/settings", "/files", "/link-wallet", "/unlink-wallet"])
def test_forms_need_the_token_of_the_session(client, linked, path):
    before = csrf(client)
    sign_in(client, linked)
    for fields in ({}, {"csrf_token": before}):
        answer = client.post(path, data=ALICE | fields, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "csrf_failed")
    assert session_of(client).end_reason is None


def test_pages_of_partners_send_no_changes(client, linked):
    sign_in(client, linked)
    headers = {"X-CSRFToken": csrf(client), "Origin": PARTNER, "Sec-Fetch-Site": "cross-site"}
    answer = client.post("/api/orders", json={"book": "1"}, headers=headers)
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "cross_site_request")
    for each in (answer, client.options("/wallet/api/auth/challenges", headers=headers)):
        assert "Access-Control-Allow-Credentials" not in each.headers
        assert "Access-Control-Allow-Origin" not in each.headers


def test_script_of_a_page_orders_for_the_wallet_s_user(client, linked):
    sign_in(client, linked)
    answer = client.post("/api/orders", json={"book": "2"}, headers={"X-CSRFToken": csrf(client)})
    assert (answer.status_code, answer.json["for"]) == (201, "alice@example.org")


def test_user_of_a_wallet_reads_their_language(client, linked):
    sign_in(client, linked)
    client.post("/settings", data={"csrf_token": csrf(client), "language": "de"})
    assert "Einstellungen" in client.get("/settings").text
    assert '<html lang="de"' in client.get("/wallet/session").text
