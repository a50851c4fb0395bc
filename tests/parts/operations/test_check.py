"""`flask sessions check`: each line is true of the deployment, and one unsafe line makes the command fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core.parts.operations import checklist, site_checks
from sessions_core.settings import Settings

from ...constants import ANOTHER, PRODUCTION, REDIS_PREFIX, ROOT, SECRET
from ...processes import BIN
from ...servers import Listener, Server, free_port, running, serving, tls_for, with_rights

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Lines = list[dict[str, str]]
CLIENT = "198.51.100.7"


class Deployment:
    """A production app over TLS behind a proxy. A test may spoil what the proxy does: `environ`, `answer`."""

    def __init__(self, make_app: Callable[..., Flask], url: str, folder: Path) -> None:
        self._make, self._redis, self._folder = make_app, url, folder
        self.settings: dict[str, Any] = {"SESSIONS_CORE_TRUSTED_PROXIES": 1}
        self.of_server: dict[str, Any] = {}
        self.path = ""

    def environ(self, environ: dict[str, Any]) -> None:
        """Do what the documented nginx does."""
        environ["HTTP_X_FORWARDED_FOR"] = CLIENT
        environ["HTTP_X_FORWARDED_PROTO"] = "https"
        environ["HTTP_X_FORWARDED_HOST"] = environ["HTTP_HOST"]
        environ["HTTP_X_REQUEST_ID"] = "0123456789abcdef0123456789abcdef"

    def answer(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return headers

    def app(self, **settings: Any) -> Flask:
        config = {**PRODUCTION, "SESSIONS_CORE_REDIS_URL": self._redis, **self.settings, **settings}
        return self._make(**config)

    def proxied(self, app: WSGIApplication) -> WSGIApplication:
        def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            self.environ(environ)

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                return start_response(status, self.answer(headers), *rest)

            return app(environ, start)

        return call

    def check(self, *options: str) -> tuple[int, Lines]:
        """Run the command while the site is served; return its exit code and its lines."""
        server = self.app(**self.of_server)
        with serving(self.proxied(server), tls_for(self._folder, "localhost")) as port:
            return run(self.app(), "--url", f"https://localhost:{port}{self.path}", *options)


def run(app: Flask, *options: str) -> tuple[int, Lines]:
    result = app.test_cli_runner().invoke(args=["sessions", "check", "--json", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = json.loads(result.stdout)
    for line in lines:
        assert set(line) == {"state", "about", "sentence"}
        assert line["state"] in ("ok", "advice", "unsafe")
        assert "\n" not in line["sentence"]
        assert SECRET not in line["sentence"]
    assert (result.exit_code == 1) == ("unsafe" in [line["state"] for line in lines])
    return result.exit_code, lines


def said(lines: Lines, state: str, about: str) -> str:
    return "\n".join(line["sentence"] for line in lines if (line["state"], line["about"]) == (state, about))


@pytest.fixture
def deployment(
    make_app: Callable[..., Flask], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Deployment:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
    return Deployment(make_app, server.url, tmp_path)


@pytest.fixture
def offline(make_app: Callable[..., Flask], server: Server) -> Callable[..., tuple[int, Lines]]:
    """Check settings and Redis alone, of an app that started while all was well."""

    def check(url: str = server.url, **settings: Any) -> tuple[int, Lines]:
        return run(make_app(**{**PRODUCTION, "SESSIONS_CORE_REDIS_URL": url, **settings}), "--offline")

    return check


def test_sound_deployment_passes_every_check(deployment: Deployment) -> None:
    code, lines = deployment.check()
    assert code == 0
    abouts = {line["about"] for line in lines if line["state"] == "ok"}
    assert abouts == {"settings", "redis", "rights", "clocks", "secret", "tls", "cookies", "proxies"}
    advised = [line["sentence"] for line in lines if line["state"] == "advice"]
    assert [each.split(".")[0] for each in advised if "METRICS" not in each and "certificate" not in each] == []
    assert "ends in 0 days" in said(lines, "advice", "tls"), "the certificate of the test lives for an hour"


def test_text_output_has_one_line_for_each_finding(offline: Any, make_app: Any, server: Server) -> None:
    _, lines = offline()
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url)
    result = app.test_cli_runner().invoke(args=["sessions", "check", "--offline"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{line['state']:6}  {line['about']:8}  {line['sentence']}" for line in lines
    ]


# -- Proxies, cookies and TLS ------------------------------------------------------------------------------------


def appending(environ: dict[str, Any], *addresses: str) -> None:
    before = environ.get("HTTP_X_FORWARDED_FOR")
    environ["HTTP_X_FORWARDED_FOR"] = ", ".join([*([before] if before else []), *addresses])


def test_proxies_that_append_their_client_are_sound(deployment: Deployment) -> None:
    """As Cloudflare, Azure and AWS do."""
    usual = deployment.environ

    def environ(environ: dict[str, Any]) -> None:
        brought = environ.get("HTTP_X_FORWARDED_FOR")
        usual(environ)
        environ.pop("HTTP_X_FORWARDED_FOR")
        environ.update({"HTTP_X_FORWARDED_FOR": brought} if brought else {})
        appending(environ, CLIENT, "203.0.113.60:443")
        environ["HTTP_X_FORWARDED_PROTO"] = "https, https"

    deployment.environ = environ  # type: ignore[method-assign]
    deployment.settings["SESSIONS_CORE_TRUSTED_PROXIES"] = 2
    code, lines = deployment.check()
    assert (code, said(lines, "ok", "proxies")) == (
        0,
        "The app believes 2 addresses of X-Forwarded-For, and no other.",
    )


@pytest.mark.parametrize(("hops", "words"), [(0, "All visitors share"), (2, "Visitors can choose their IP address")])
def test_wrong_number_of_proxies_is_named(deployment: Deployment, hops: int, words: str) -> None:
    deployment.settings["SESSIONS_CORE_TRUSTED_PROXIES"] = hops
    code, lines = deployment.check()
    assert code == 1
    sentence = said(lines, "unsafe", "proxies")
    assert words in sentence
    assert f"TRUSTED_PROXIES is {hops}" in sentence
    assert "Set it to 1" in sentence


def test_proxy_that_keeps_a_clients_header_is_found(deployment: Deployment) -> None:
    usual = deployment.environ

    def environ(environ: dict[str, Any]) -> None:
        brought = environ.get("HTTP_X_FORWARDED_FOR")
        usual(environ)
        environ["HTTP_X_FORWARDED_FOR"] = brought or CLIENT

    deployment.environ = environ  # type: ignore[method-assign]
    code, lines = deployment.check()
    assert code == 1
    assert "passes on X-Forwarded-For" in said(lines, "unsafe", "proxies")


def test_app_without_a_proxy_is_advised_to_have_one(deployment: Deployment) -> None:
    deployment.environ = lambda environ: None  # type: ignore[method-assign]
    deployment.settings["SESSIONS_CORE_TRUSTED_PROXIES"] = 0
    code, lines = deployment.check()
    assert code == 0
    advised = said(lines, "advice", "proxies")
    assert "buffers requests" in advised
    assert "X-Request-ID" in advised


def test_proxy_that_hides_https_and_host_gets_advice(deployment: Deployment) -> None:
    usual = deployment.environ

    def environ(environ: dict[str, Any]) -> None:
        usual(environ)
        environ["HTTP_X_FORWARDED_PROTO"] = "http"
        environ["HTTP_X_FORWARDED_HOST"] = "app.example.org:8000"

    deployment.environ = environ  # type: ignore[method-assign]
    code, lines = deployment.check()
    assert code == 0
    advised = said(lines, "advice", "proxies")
    assert "X-Forwarded-Proto: https" in advised
    assert "'app.example.org:8000'" in advised


Headers = list[tuple[str, str]]
SPOILED: dict[str, tuple[Callable[[Headers], Headers], str, str]] = {
    "not Secure": (
        lambda all_: [(k, v.replace("; Secure", "")) for k, v in all_],
        "cookies",
        "lacks __Host-, Secure",
    ),
    "no cookie": (lambda all_: [each for each in all_ if each[0] != "Set-Cookie"], "cookies", "sets no cookie"),
    "no HSTS": (
        lambda all_: [e for e in all_ if not e[0].startswith("Strict-T")],
        "tls",
        "Strict-Transport-Security",
    ),
}


@pytest.mark.parametrize(("spoil", "about", "words"), SPOILED.values(), ids=SPOILED)
def test_headers_that_a_proxy_spoils_are_named(
    deployment: Deployment, spoil: Callable[[Headers], Headers], about: str, words: str
) -> None:
    deployment.answer = spoil  # type: ignore[method-assign]
    code, lines = deployment.check()
    assert code == 1
    assert words in said(lines, "unsafe", about)


def test_certificate_that_browsers_refuse_is_named(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    code, lines = deployment.check()
    assert code == 1
    assert "Browsers refuse the certificate" in said(lines, "unsafe", "tls")


def test_site_that_is_elsewhere_is_named(deployment: Deployment) -> None:
    deployment.path = "/nowhere"
    code, lines = deployment.check()
    assert code == 1
    assert "/nowhere/sign-in answers 404" in said(lines, "unsafe", "site")


def test_site_that_is_down_gives_one_line(make_app: Callable[..., Flask], server: Server) -> None:
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url)
    code, lines = run(app, "--url", f"https://localhost:{free_port()}")
    assert code == 1
    assert "does not answer this machine" in said(lines, "unsafe", "site")


def test_site_that_speaks_no_http_gives_one_line(make_app: Callable[..., Flask], server: Server) -> None:
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url)
    with Listener(lambda _: b"SSH-2.0-OpenSSH_9.2\r\n") as other:
        code, lines = run(app, "--url", f"http://127.0.0.1:{other.port}")
    assert code == 1
    assert "does not answer this machine" in said(lines, "unsafe", "site")


@pytest.mark.parametrize("body", [b"{}", b'{"address": 1, "forwarded": "x"}', b"\xff", b"[" * 5000])
def test_server_of_another_kind_gives_a_line(make_app: Callable[..., Flask], server: Server, body: bytes) -> None:
    def other(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Set-Cookie", "id=1")])
        return [body]

    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url)
    with serving(other) as port:
        code, lines = run(app, "--url", f"http://127.0.0.1:{port}")
    assert code == 1
    assert "/checkz answers 200" in said(lines, "unsafe", "secret")
    assert "The cookie 'id' lacks __Host-" in said(lines, "unsafe", "cookies")


@pytest.mark.parametrize("url", ["app.example.org", "ftp://x", "https://", "https://x:port", "https://x/\u00e9", ""])
def test_address_that_is_none_is_refused(app: Flask, url: str) -> None:
    result = app.test_cli_runner().invoke(args=["sessions", "check", "--url", url])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "bad_request: The --url is no address such as https://app.example.org/account.\n"


@pytest.mark.parametrize(
    ("status", "location", "state"),
    [("301 Moved", "https://app.example.org/", "ok"), ("200 OK", "", "unsafe"), ("302 Found", "http://x/", "unsafe")],
)
def test_plain_http_must_redirect_to_https(status: str, location: str, state: str) -> None:
    def plain(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [("Location", location)])
        return [b""]

    settings = Settings(secrets=(SECRET,))
    site = site_checks.Site("https://localhost", settings)
    with serving(plain) as port:
        (finding,) = site_checks._plain_http(site, port)
    assert (finding.state, finding.about) == (state, "tls")
    (finding,) = site_checks._plain_http(site, free_port())
    assert (finding.state, finding.sentence) == ("ok", "Nothing answers over plain http.")


# -- What the site tells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer !", "Bearer \xff", f"Bearer {SECRET}", "Basic YQ=="]
)
def test_checkz_answers_only_those_with_the_secret(deployment: Deployment, given: str) -> None:
    client = deployment.app().test_client()
    answer = client.get("/checkz", base_url="https://app.example.org", headers={"Authorization": given})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")
    assert answer.headers.getlist("Set-Cookie") == []


def test_shell_with_another_secret_is_told(deployment: Deployment, raw: Redis) -> None:
    deployment.of_server = {"SECRET_KEY": ANOTHER, "SECRET_KEY_FALLBACKS": []}
    with pytest.raises(Exception, match="another SECRET_KEY"):  # start-up of the second one
        deployment.check()
    raw.delete(f"{REDIS_PREFIX}secret")
    deployment.of_server["SESSIONS_CORE_REDIS_PREFIX"] = "other:"
    code, lines = deployment.check()
    assert code == 1
    assert "/checkz answers 404: the server there has another SECRET_KEY" in said(lines, "unsafe", "secret")


def test_servers_that_lack_the_new_secret_are_counted(
    make_app: Callable[..., Flask], deployment: Deployment, raw: Redis
) -> None:
    deployment.app()  # a server, which notes its keys
    code, lines = run(deployment.app(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[SECRET]), "--offline")
    assert code == 1
    assert "1 server process does not know" in said(lines, "unsafe", "secret")
    assert "holds 1 former secret" in said(lines, "advice", "secret")


# -- Settings and Redis ------------------------------------------------------------------------------------------


def test_development_is_unsafe(app: Flask) -> None:
    code, lines = run(app, "--offline")
    assert code == 1
    assert "DEVELOPMENT is True" in said(lines, "unsafe", "settings")


def test_redis_that_forgets_is_unsafe(offline: Any, raw: Redis, make_app: Any, server: Server) -> None:
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url)
    raw.config_set("appendonly", "no")
    raw.config_set("maxmemory-policy", "allkeys-lru")
    code, lines = run(app, "--offline")
    assert code == 1
    sentence = said(lines, "unsafe", "redis")
    assert "CONFIG SET appendonly yes" in sentence
    assert "CONFIG SET maxmemory-policy noeviction" in sentence
    code, lines = offline(SESSIONS_CORE_REDIS_CHECK=False)
    assert code == 1
    assert "REDIS_CHECK is False" in said(lines, "advice", "settings")


def test_redis_that_is_almost_full_is_unsafe(offline: Any, raw: Redis) -> None:
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] + 100_000)
    code, lines = offline()
    assert code == 1
    assert "Raise it" in said(lines, "unsafe", "redis")


def test_redis_that_became_a_replica_is_unsafe(offline: Any, make_app: Any, server: Server, raw: Redis) -> None:
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url)
    raw.replicaof("127.0.0.1", str(free_port()))
    code, lines = run(app, "--offline")
    assert code == 1
    assert "is a replica" in said(lines, "unsafe", "redis")


def test_missing_rights_are_lines_of_the_checklist(make_app: Any, server: Server) -> None:
    url = with_rights(server, "~*", "&*", "+@all")
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=url)
    with_rights(server, "~*", "&*", "+@all", "-zadd", "-xadd")
    code, lines = run(app, "--offline")
    assert code == 1
    assert "+zadd" in said(lines, "unsafe", "rights")
    assert "+xadd" in said(lines, "unsafe", "rights")


def test_redis_that_hides_info_gets_advice(make_app: Any, server: Server) -> None:
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=with_rights(server, "~*", "&*", "+@all", "-info"))
    code, lines = run(app, "--offline")
    assert code == 0
    assert "does not let the app ask INFO" in said(lines, "advice", "redis")
    assert said(lines, "ok", "rights")


@pytest.fixture
def refusing(server: Server) -> Iterator[dict[str, str]]:
    """URLs of servers that don't keep a session, by what is wrong with them."""
    with Listener(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as web, Listener() as silent:
        yield {
            "nothing there": f"redis://127.0.0.1:{free_port()}/0",
            "no Redis": web.url,
            "silent": silent.url,
            "wrong password": with_rights(server, "~*", "+@all").replace("secret", "wrong"),
        }


@pytest.mark.parametrize("what", ["nothing there", "no Redis", "silent", "wrong password"])
def test_bad_redis_gives_a_line_and_no_traceback(folder: Path, refusing: dict[str, str], what: str) -> None:
    done = flask(folder, refusing[what], "sessions", "check", "--offline")
    assert done.returncode == 1
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("unsafe")]
    assert ("password" if what == "wrong password" else "does not answer") in line
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "advised"),
    [
        ("redis://10.0.0.5:6379/0", True),
        ("redis+sentinel://:pass@s1:26379,s2:26379/service/0", True),
        ("rediss://10.0.0.5:6379/0", False),
        ("redis://user:p%2F@localhost:6379", False),
        ("unix:///run/redis.sock", False),
    ],
)
def test_redis_over_plain_text_gets_advice(url: str, advised: bool) -> None:
    found = list(checklist._transport(url))
    assert [each.state for each in found] == ["advice"] * advised
    assert "pass" not in "".join(each.sentence for each in found)


@pytest.mark.parametrize(("ahead", "words"), [(90.0, "90.0 s behind"), (-3.5, "3.5 s ahead of")])
def test_clocks_that_differ_are_unsafe(
    offline: Any, monkeypatch: pytest.MonkeyPatch, ahead: float, words: str
) -> None:
    """Ours is `ahead` of Redis's, as far as the check can tell."""

    class Clock:
        @staticmethod
        def time() -> float:
            return real() + ahead

    real = checklist.time.time
    monkeypatch.setattr(checklist, "time", Clock)
    code, lines = offline()
    assert code == 1
    assert words in said(lines, "unsafe", "clocks")


# -- As an operator runs it --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The production example beside the package."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "app.py").symlink_to(ROOT / "examples/production/app.py")
    (tmp_path / "site" / "sessions_core").symlink_to(ROOT / "sessions_core")
    return tmp_path / "site"


def flask(folder: Path, url: str | None, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "FLASK_SECRET_KEY": SECRET,
        "FLASK_SESSIONS_CORE_PUBLIC_ORIGIN": "https://app.example.org",
        **({"FLASK_SESSIONS_CORE_REDIS_URL": url} if url else {}),
        **settings,
    }
    return subprocess.run(
        [str(BIN / "flask"), "--app", "app", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_redis_url_gives_a_line_and_no_traceback(folder: Path) -> None:
    done = flask(folder, None, "sessions", "check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: SESSIONS_CORE_REDIS_URL is missing. Set it to your Redis")
    assert len(done.stderr.splitlines()) == 1


def test_check_lists_all_that_start_up_refuses(folder: Path, tmp_path: Path) -> None:
    """Start-up stops at the first fault. Other commands are still refused."""
    with running(Server(tmp_path / "r", "--appendonly", "no", "--maxmemory-policy", "allkeys-lru")) as server:
        done = flask(folder, server.url, "sessions", "check", "--offline")
        assert done.returncode == 1
        assert [line.split()[0] for line in done.stdout.splitlines()].count("unsafe") == 2
        assert re.fullmatch(r"Unsafe: 2 of \d+\.\n", done.stderr)
        refused = flask(folder, server.url, "sessions", "list")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("Error: Redis has appendonly no")
