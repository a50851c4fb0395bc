"""What the shop could do before wallets, and still can."""

import io
import re

import pytest

ALICE = {"email": "alice@example.org", "password": "the password of alice"}
ROOT = {"email": "root@example.org", "password": "the password of root"}
PARTNER = "https://partner.example"


def token(client):
    """Return the CSRF token on a page with a form."""
    return re.search(r'name="csrf_token"[^>]* value="([^"]+)"', client.get("/login").text)[1]


def send(client, path, **fields):
    return client.post(path, data={"csrf_token": token(client)} | fields)


def log_in(client, who, **fields):
    return send(client, "/login", **who, **fields)


def test_user_logs_in_and_out(client):
    assert client.get("/settings").location.startswith("/login")
    assert log_in(client, ALICE | {"password": "wrong"}).location == "/login"
    assert log_in(client, ALICE).location == "/settings"
    assert "alice@example.org" in client.get("/settings").text
    assert "You have signed out." in client.get(send(client, "/logout").location).text
    assert client.get("/settings").status_code == 302


def test_user_is_remembered_until_the_logout(client):
    log_in(client, ALICE, remember="on")
    for cookie in ("session", "__Host-session"):
        client.delete_cookie(cookie)
    assert client.get("/settings").status_code == 200
    send(client, "/logout")
    assert client.get("/settings").status_code == 302


@pytest.mark.parametrize("path", ["/login", "/logout", "/settings", "/files"])
def test_forms_need_their_token(client, path):
    log_in(client, ALICE)
    assert client.post(path, data=ALICE).status_code in (400, 403)


def test_file_of_50_mb_is_stored(app, client):
    log_in(client, ALICE)
    content = b"12345678" * (50 * 1024 * 1024 // 8)
    answer = send(client, "/files", file=(io.BytesIO(content), "novel.pdf"))
    assert f"{len(content)} bytes" in client.get(answer.location).text
    assert (app.config["UPLOADS"] / "1").read_bytes() == content


def test_larger_file_is_refused(app, client):
    log_in(client, ALICE)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    answer = send(client, "/files", file=(io.BytesIO(b"x" * 2**20), "novel.pdf"))
    assert answer.status_code == 413


def test_page_speaks_the_language_of_the_browser(client):
    assert "Willkommen" in client.get("/", headers={"Accept-Language": "de"}).text
    assert "Welcome" in client.get("/", headers={"Accept-Language": "fr, en"}).text


def test_user_chooses_a_language(client):
    log_in(client, ALICE)
    send(client, "/settings", language="de")
    assert "Einstellungen" in client.get("/settings", headers={"Accept-Language": "en"}).text


def test_office_is_for_administrators(client):
    assert client.get("/admin/").location == "/login"
    log_in(client, ALICE)
    assert [client.get(path).status_code for path in ("/admin/", "/admin/users/")] == [403, 403]
    send(client, "/logout")
    log_in(client, ROOT)
    assert client.get("/admin/").status_code == 200
    assert "alice@example.org" in client.get("/admin/users/").text


def test_office_changes_a_user(client):
    log_in(client, ROOT)
    path = "/admin/users/edit/?id=1"
    given = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', client.get(path).text)[1]
    fields = {"email": "alice@example.org", "language": "de"}
    assert client.post(path, data=fields | {"csrf_token": "x"}).status_code in (200, 400, 403)
    assert "<td>de" not in re.sub(r"\s", "", client.get("/admin/users/").text)
    assert client.post(path, data=fields | {"csrf_token": given}).status_code == 302
    assert 'value="de"' in client.get(path).text


def test_pages_of_partners_read_books_without_cookies(client):
    asked = {"Origin": PARTNER, "Access-Control-Request-Method": "GET"}
    preflight = client.options("/api/books", headers=asked)
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (200, PARTNER)
    answer = client.get("/api/books", headers={"Origin": PARTNER, "Sec-Fetch-Site": "cross-site"})
    assert (answer.json["1"], answer.headers["Access-Control-Allow-Origin"]) == ("Effi Briest", PARTNER)
    for each in (preflight, answer):
        assert "Access-Control-Allow-Credentials" not in each.headers


@pytest.mark.parametrize(("path", "origin"), [("/api/books", "https://evil.example"), ("/api/orders", PARTNER)])
def test_other_pages_may_read_nothing(client, path, origin):
    log_in(client, ALICE)
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (client.options(path, headers=asked), client.get(path, headers={"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_script_of_a_page_orders_a_book(client):
    assert client.post("/api/orders", json={"book": "1"}).status_code in (400, 403)
    log_in(client, ALICE)
    headers = {"X-CSRFToken": token(client)}
    answer = client.post("/api/orders", json={"book": "1"}, headers=headers)
    assert (answer.status_code, answer.json) == (201, {"book": "Effi Briest", "for": "alice@example.org"})
