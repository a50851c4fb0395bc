"""Static files: URLs with a fingerprint, what browsers may keep, compression, preloads, and a CDN."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string, url_for
from werkzeug.test import TestResponse

from sessions_core import Misconfigured, public
from sessions_core.parts.delivery import Delivery, snapshot
from sessions_core.web.services import Services

from ...actors import ORIGIN, Visitor, Wallet
from ...browser_sources import FILES, PACKAGE, code_of

CLOCK = "static/lib/clock.js"
IMMUTABLE = "public, max-age=31536000, immutable"
CDN = "https://cdn.example.org"
OTHER = "0123456789abcdef"


def current(app: Flask) -> snapshot.Snapshot:
    services: Services = app.extensions["sessions_core"]
    return services.part(Delivery).snapshots.current()


def address(app: Flask, path: str = CLOCK, site: str = ORIGIN, **options: Any) -> str:
    with app.test_request_context(base_url=site):
        return url_for("sessions.asset", path=path, **options)


def get(app: Flask, path: str, **headers: str) -> TestResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(path, base_url=ORIGIN, headers=names)


# -- Fingerprints ----------------------------------------------------------------------------------------------------


def test_url_for_names_the_fingerprint(app: Flask) -> None:
    assert address(app) == f"/sessions_core/{current(app).fingerprint}/{CLOCK}"


def test_file_under_its_fingerprint_is_kept_for_a_year(app: Flask) -> None:
    answer = get(app, address(app))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == IMMUTABLE
    assert answer.mimetype == "text/javascript"
    assert answer.data == (PACKAGE / CLOCK).read_bytes()
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("prefix", ["", f"{OTHER}/"])
def test_file_under_another_fingerprint_is_revalidated(app: Flask, prefix: str) -> None:
    """None at all, or that of another release: the file as it is now, and never for a year."""
    answer = get(app, f"/sessions_core/{prefix}{CLOCK}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    again = get(app, f"/sessions_core/{prefix}{CLOCK}", If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.headers["Cache-Control"], again.data) == (304, "no-cache", b"")


@pytest.mark.parametrize(
    "path",
    [
        f"{OTHER}/static/nothing.js",
        f"{OTHER}/{OTHER}/{CLOCK}",
        f"{OTHER.upper()}/{CLOCK}",
        f"{OTHER[:-1]}/{CLOCK}",
        f"{OTHER}/../web/assets.py",
        f"{OTHER}/",
        OTHER,
        "web/assets.py",
        "static/../web/assets.py",
        "static/",
        "static/lib",
        "parts/delivery/options.py",
        "parts/ethereum/static/%00",
        f"{OTHER}/static/%ff",
    ],
)
def test_path_without_a_file_is_404(app: Flask, path: str) -> None:
    answer = get(app, f"/sessions_core/{path}")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


def test_file_of_a_part_left_out_is_404(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_PARTS=["ethereum", "delivery"])
    assert get(app, address(app, "parts/ethereum/static/eip155.js")).status_code == 200
    solana = address(app, "parts/solana/static/solana.js")
    assert solana == "/sessions_core/parts/solana/static/solana.js"
    assert get(app, solana).status_code == 404


def test_without_the_part_files_are_revalidated(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_PARTS=["ethereum"])
    assert address(app) == f"/sessions_core/{CLOCK}"
    with get(app, address(app)) as answer:
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert "modulepreload" not in get(app, "/sign-in").text


def test_relative_import_stays_under_the_fingerprint(app: Flask) -> None:
    """So a page never runs modules of two releases, and no source has to be rewritten."""
    page = get(app, "/sign-in").text
    assert set(re.findall(r"/sessions_core/([^/\"']+)/", page)) == {current(app).fingerprint}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The static files in a folder that the test may change."""
    for folder in ("static", "parts/ethereum/static"):
        shutil.copytree(PACKAGE / folder, tmp_path / folder)
    monkeypatch.setattr(snapshot, "PACKAGE", tmp_path)
    return tmp_path


def test_changed_file_gets_another_url_in_development(copy: Path, make_app: Callable[..., Flask]) -> None:
    app = make_app()
    before = address(app)
    (copy / CLOCK).write_text("export const changed = true;\n")
    after = address(app)
    assert before != after
    assert get(app, after).text == get(app, before).text == "export const changed = true;\n"
    assert get(app, after).headers["Cache-Control"] == IMMUTABLE
    assert get(app, before).headers["Cache-Control"] == "no-cache"


def test_new_and_deleted_files_count_in_development(copy: Path, make_app: Callable[..., Flask]) -> None:
    app = make_app()
    (copy / "static/new.js").write_text("")
    assert get(app, address(app, "static/new.js")).status_code == 200
    (copy / "static/new.js").unlink()
    assert get(app, address(app, "static/new.js")).status_code == 404


def test_production_reads_files_once(copy: Path, make_app: Callable[..., Flask]) -> None:
    """An update that has written half of its files must not change what runs."""
    site = "https://app.example.org"
    app = make_app(SESSIONS_CORE_DEVELOPMENT=False, SESSIONS_CORE_PUBLIC_ORIGIN=site, SESSIONS_CORE_REDIS_CHECK=False)
    before = address(app, site=site)
    shutil.rmtree(copy / "static")
    assert app.test_client().get(before, base_url=site).data == (PACKAGE / CLOCK).read_bytes()
    assert address(app, site=site) == before


# -- The application's own files ------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path, overrides: dict[str, Any], redis: Any) -> Flask:
    from sessions_core import WalletSessions

    (tmp_path / "shop.css").write_text("b {}")
    app = Flask("shop", static_folder=str(tmp_path))
    app.config.update(overrides)
    WalletSessions(app)
    return app


def own(app: Flask, name: str = "shop.css", **options: Any) -> str:
    with app.test_request_context(base_url=ORIGIN):
        return url_for("static", filename=name, **options)


def test_own_file_is_kept_until_it_changes(shop: Flask, tmp_path: Path) -> None:
    def caching(path: str) -> str:
        with get(shop, path) as answer:
            return str(answer.headers["Cache-Control"])

    before = own(shop)
    assert caching(before) == IMMUTABLE
    (tmp_path / "shop.css").write_text("b { color: red }")
    assert own(shop) != before
    assert caching(before) == "no-cache"
    assert caching(own(shop)) == IMMUTABLE


@pytest.mark.parametrize("query", ["", "?v=", "?v=1", "?w=1"])
def test_own_file_by_another_url_is_left_alone(shop: Flask, query: str) -> None:
    path = own(shop).split("?", maxsplit=1)[0]
    with get(shop, path + query) as answer:
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["nothing.css", "../app.py", "a\0b", "", "x" * 5000])
def test_own_file_that_is_missing_has_no_digest(shop: Flask, name: str) -> None:
    assert "v=" not in own(shop, name)


def test_own_parameter_of_the_application_stays(shop: Flask) -> None:
    assert own(shop, v="7") == f"{shop.static_url_path}/shop.css?v=7"


# -- Encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("identity;q=0.1, gzip;q=0.5", "gzip"),
        ("gzip;q=0.1, identity;q=0.5", None),
        ("gzip;q=0", None),
        ("br", None),
        ("identity", None),
        ("", None),
        (";;;,q=gzip", None),
    ],
)
def test_encoding_is_what_the_browser_accepts(app: Flask, accepted: str, encoding: str | None) -> None:
    answer = get(app, address(app), Accept_Encoding=accepted)
    assert answer.status_code == 200
    assert answer.headers.get("Content-Encoding") == encoding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.content_length == len(answer.data)
    source = (PACKAGE / CLOCK).read_bytes()
    assert (gzip.decompress(answer.data) if encoding else answer.data) == source
    assert encoding is None or len(answer.data) < len(source) / 2


def test_each_encoding_has_its_own_strong_tag(app: Flask) -> None:
    plain, packed = get(app, address(app)), get(app, address(app), Accept_Encoding="gzip")
    tags = [answer.headers["ETag"] for answer in (plain, packed)]
    assert len(set(tags)) == 2
    assert not any(tag.startswith("W/") for tag in tags)
    again = get(app, address(app), Accept_Encoding="gzip", If_None_Match=tags[1])
    assert (again.status_code, again.headers["Vary"]) == (304, "Accept-Encoding")
    assert again.headers["Cache-Control"] == IMMUTABLE
    assert get(app, address(app), Accept_Encoding="gzip", If_None_Match=tags[0]).status_code == 200


def test_head_has_the_headers_of_get(app: Flask) -> None:
    headers = {"Accept-Encoding": "gzip"}
    head = app.test_client().head(address(app), base_url=ORIGIN, headers=headers)
    full = app.test_client().get(address(app), base_url=ORIGIN, headers=headers)
    assert head.data == b""
    names = ("Content-Length", "Content-Encoding", "ETag", "Cache-Control", "Vary", "Content-Type")
    assert [head.headers[name] for name in names] == [full.headers[name] for name in names]


def test_range_is_of_the_plain_file(app: Flask) -> None:
    source = (PACKAGE / CLOCK).read_bytes()
    part = get(app, address(app), Accept_Encoding="gzip", Range="bytes=10-19")
    assert (part.status_code, part.data) == (206, source[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(source)}"
    assert "Content-Encoding" not in part.headers
    beyond = get(app, address(app), Range="bytes=999999-")
    assert (beyond.status_code, beyond.headers["Cache-Control"]) == (416, "no-store")
    stale = get(app, address(app), Range="bytes=10-19", If_Range='"another"')
    assert (stale.status_code, stale.data) == (200, source)


def test_pages_are_never_compressed(app: Flask, wallet: Wallet) -> None:
    """They hold the CSRF token beside what a visitor can put there (BREACH)."""
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    for path in ("/session", "/sign-in", "/api/auth/sessions/validate", "/nothing"):
        answer = visitor.get(path, headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in answer.headers, path


# -- Preloads --------------------------------------------------------------------------------------------------------


def preloads(page: str) -> list[str]:
    found = re.findall(r'<link rel="modulepreload" href="[^"]*/sessions_core/[0-9a-f]{16}/([^"]+)"', page)
    return [str(each) for each in found]


def static_imports(path: Path) -> set[str]:
    """What a module imports before it runs, read another way: code without comments, import() left out."""
    found = re.findall(r"""(?:\bfrom|\bimport)\s*["']([^"'\n]+)["']""", code_of(path.read_text()))
    return {(path.parent / each).resolve().relative_to(PACKAGE).as_posix() for each in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_closure_has_every_import(app: Flask, path: Path) -> None:
    expected, waiting = set(), {path.relative_to(PACKAGE).as_posix()}
    while waiting:
        expected |= waiting
        waiting = {each for name in waiting for each in static_imports(PACKAGE / name)} - expected
    closure = current(app).closure([path.relative_to(PACKAGE).as_posix()])
    assert len(closure) == len(set(closure))
    assert set(closure) == expected


def test_page_preloads_what_its_scripts_import(app: Flask, wallet: Wallet) -> None:
    visitor = Visitor(app)
    pages = {"/sign-in": visitor.get("/sign-in").text}
    visitor.sign_in(wallet)
    pages |= {
        path: visitor.get(path).text for path in ("/session", "/sessions", "/activity", "/session/wallets/link")
    }
    for path, page in pages.items():
        found = preloads(page)
        assert len(found) == len(set(found)), path
        scripts = re.findall(r'<script type="module"(?: async)? src="[^"]*/sessions_core/[0-9a-f]{16}/([^"]+)"', page)
        families = re.findall(r"&#34;: &#34;[^&]*/(parts/[^&]+\.js)|: \"[^\"]*/(parts/[^\"]+\.js)\"", page)
        named = [*scripts, *(a or b for a, b in families)]
        assert len(named) > len(scripts), path
        assert {*scripts, *found} == set(current(app).closure(named)), path


def test_page_of_the_adopter_gets_preloads_by_url_for(app: Flask) -> None:
    @app.get("/own")
    @public
    def page() -> str:
        return render_template_string(
            "{% extends 'sessions/base.html' %}{% block head %}"
            "<script type='module' src='{{ url_for('sessions.asset', path='static/elements/local-times.js') }}'>"
            "</script>{% endblock %}"
        )

    assert {"static/lib/times.js", "static/lib/clock.js"} <= set(preloads(get(app, "/own").text))


# -- Prefixes --------------------------------------------------------------------------------------------------------


def test_urls_follow_every_prefix(make_app: Callable[..., Flask]) -> None:
    app = make_app(
        SESSIONS_CORE_URL_PREFIX="/account", SESSIONS_CORE_TRUSTED_PROXIES=1, SESSIONS_CORE_FORWARDED_PREFIX=True
    )
    print_ = current(app).fingerprint
    assert address(app) == f"/account/sessions_core/{print_}/{CLOCK}"
    assert get(app, address(app)).headers["Cache-Control"] == IMMUTABLE
    page = app.test_client().get(
        "/account/sign-in", base_url=ORIGIN, headers={"X-Forwarded-Prefix": "/shop", "X-Forwarded-For": "192.0.2.1"}
    )
    assert set(re.findall(r"[^\"']*/sessions_core/[^/]*", page.text)) == {f"/shop/account/sessions_core/{print_}"}


def test_external_url_names_the_site(app: Flask) -> None:
    assert address(app, _external=True) == f"{ORIGIN}{address(app)}"


# -- A CDN -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def distant(make_app: Callable[..., Flask]) -> Flask:
    return make_app(SESSIONS_CORE_ASSETS_URL=CDN, SESSIONS_CORE_URL_PREFIX="/account")


@pytest.mark.parametrize("external", [False, True])
def test_url_for_names_the_cdn(distant: Flask, external: bool) -> None:
    expected = f"{CDN}/account/sessions_core/{current(distant).fingerprint}/{CLOCK}"
    assert address(distant, _external=external) == expected


def test_every_file_of_a_page_comes_from_the_cdn(distant: Flask) -> None:
    page = get(distant, "/account/sign-in").text
    found = re.findall(r"([^\"']*)/account/sessions_core/", page)
    assert len(found) > 10
    assert set(found) == {CDN}


def test_policy_allows_exactly_the_cdn(distant: Flask, app: Flask) -> None:
    (policy,) = get(distant, "/account/sign-in").headers.getlist("Content-Security-Policy")
    directives = dict(each.split(" ", 1) for each in policy.split("; "))
    for name in ("script-src", "style-src", "font-src"):
        assert directives[name] == f"'self' {CDN}"
    assert directives["img-src"] == f"'self' {CDN} data:"
    assert policy.replace(f" {CDN}", "") == get(app, "/sign-in").headers["Content-Security-Policy"]


def test_nonce_and_cdn_share_the_policy(distant: Flask) -> None:
    @distant.get("/inline")
    @public
    def inline() -> str:
        return render_template_string("{{ csp_nonce() }}")

    answer = get(distant, "/inline")
    assert f"script-src 'self' 'nonce-{answer.text}' {CDN};" in answer.headers["Content-Security-Policy"]


def test_only_files_may_be_read_by_other_origins(distant: Flask, app: Flask) -> None:
    path = address(distant).removeprefix(CDN)
    for prefix in ("", f"{OTHER}/"):
        answer = get(distant, path.replace(f"{current(distant).fingerprint}/", prefix))
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]
    for site, refused in ((distant, "/account/sign-in"), (distant, "/account/sessions_core/x"), (app, address(app))):
        answer = get(site, refused)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers.getlist("Cross-Origin-Resource-Policy") == ["same-origin"]


def test_setting_a_cdn_changes_the_urls(distant: Flask, app: Flask) -> None:
    """What a CDN kept before then does not allow other origins."""
    assert current(distant).fingerprint != current(app).fingerprint


def test_cdn_of_this_machine_is_for_development(make_app: Callable[..., Flask]) -> None:
    assert address(make_app(SESSIONS_CORE_ASSETS_URL="http://localhost:8080")).startswith("http://localhost:8080/")


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.org/",
        "https://cdn.example.org/files",
        "https://cdn.example.org?x",
        "https://cdn.example.org#x",
        "https://cdn.example.org:443",
        "https://CDN.example.org",
        "https://user@cdn.example.org",
        "https://cdn.example.org; script-src *",
        "https://*.example.org",
        "https://a.example.org https://b.example.org",
        "https://cdn.example.org\n",
        "//cdn.example.org",
        "cdn.example.org",
        "https://",
        "https://[::1",
        "ftp://cdn.example.org",
        "data:",
        "*",
        "/files",
        " ",
    ],
)
def test_cdn_that_is_no_origin_is_refused(make_app: Callable[..., Flask], url: str) -> None:
    with pytest.raises(Misconfigured, match=r'^SESSIONS_CORE_ASSETS_URL is .* such as "https://cdn\.example\.org"'):
        make_app(SESSIONS_CORE_ASSETS_URL=url)


@pytest.mark.parametrize("url", ["http://cdn.example.org", "http://localhost.example.org"])
def test_cdn_over_plain_http_is_refused(make_app: Callable[..., Flask], url: str) -> None:
    with pytest.raises(Misconfigured, match="must be https://"):
        make_app(SESSIONS_CORE_ASSETS_URL=url)
