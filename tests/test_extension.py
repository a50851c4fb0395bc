"""`WalletSessions.init_app`: what it sets up, what it refuses, and the secret it makes in development."""

from __future__ import annotations

import importlib.util
import logging
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

import sessions_core
from sessions_core import Misconfigured, WalletSessions, part
from sessions_core.parts.development_redis import embedded
from sessions_core.parts.ethereum import Ethereum
from sessions_core.sessions.flask_session import SessionStore
from sessions_core.web.services import Services

from .actors import ORIGIN, Visitor, Wallet
from .constants import ROOT, SECRET


def bare(tmp_path: Path, **config: Any) -> Flask:
    """An application with an instance folder of its own and nothing set up."""
    app = Flask("bare", instance_path=str(tmp_path / "instance"), root_path=str(tmp_path))
    app.config.update(config)
    return app


def test_the_extension_may_be_made_before_the_application(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    extension = WalletSessions()
    app = bare(tmp_path, SECRET_KEY=SECRET, SESSIONS_CORE_DEVELOPMENT=True, SESSIONS_CORE_REDIS_URL=redis_url)
    extension.init_app(app)
    assert isinstance(app.session_interface, SessionStore)
    assert isinstance(app.extensions["sessions_core"], Services)


def test_one_extension_serves_two_apps_that_share_nothing(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    extension = WalletSessions()
    apps = []
    for prefix in ("one:", "two:"):
        app = bare(
            tmp_path,
            SECRET_KEY=SECRET,
            SESSIONS_CORE_DEVELOPMENT=True,
            SESSIONS_CORE_REDIS_URL=redis_url,
            SESSIONS_CORE_REDIS_PREFIX=prefix,
        )
        extension.init_app(app)
        apps.append(app.extensions["sessions_core"])
    assert apps[0] is not apps[1]
    assert [services.settings.redis_prefix for services in apps] == ["one:", "two:"]


def test_flask_cookie_settings_are_truthful(app: Flask) -> None:
    assert app.config["SESSION_COOKIE_NAME"] == "__Host-session"
    assert app.config["SESSION_COOKIE_SECURE"] is True
    assert app.config["SESSION_COOKIE_HTTPONLY"] is True
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert app.config["TRUSTED_HOSTS"] == ["localhost"]
    assert app.config["WTF_CSRF_TIME_LIMIT"] is None


def test_trusted_hosts_of_the_application_are_kept(make_app: Callable[..., Flask]) -> None:
    app = make_app(TRUSTED_HOSTS=["localhost", "internal.example"])
    assert app.test_client().get("/", base_url="http://internal.example").status_code == 200
    assert app.test_client().get("/", base_url="http://evil.example").status_code == 400


def test_the_pages_are_where_they_are_named(app: Flask) -> None:
    assert {rule.rule for rule in app.url_map.iter_rules()} >= {
        "/sign-in",
        "/session",
        "/sign-out",
        "/signed-out",
        "/api/auth/challenges",
        "/api/auth/sessions/validate",
        "/api/auth/sessions/keep-alive",
        "/api/auth/sessions/logout",
    }


@pytest.mark.parametrize(
    ("module", "package"), [("nacl", "pynacl")] + [("coincurve", "coincurve")] * (sys.version_info < (3, 14))
)
def test_missing_library_is_refused_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, package: str
) -> None:
    monkeypatch.setattr(part.importlib.util, "find_spec", lambda name: None if name == module else name)
    with pytest.raises(Misconfigured, match=f"pip install '{package}"):
        WalletSessions(bare(tmp_path))


def test_trial_wallets_of_others_are_not_signed_for_in_python(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, tmp_path: Path
) -> None:
    """On Python 3.14 coincurve has no wheel. Signing in Python takes a time that depends on the key."""

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "coincurve" else name)
    monkeypatch.setattr(Ethereum, "libraries", {})
    config = {"SECRET_KEY": SECRET, "SESSIONS_CORE_REDIS_URL": redis_url}
    config |= {"SESSIONS_CORE_PUBLIC_ORIGIN": "https://app.example.org"}
    WalletSessions(bare(tmp_path, **config))
    with pytest.raises(Misconfigured, match="PREGENERATED_WALLETS needs coincurve"):
        WalletSessions(bare(tmp_path, **config, SESSIONS_CORE_PREGENERATED_WALLETS=True))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "openssl rand -base64 32"),
        ({"SECRET_KEY": SECRET}, "PUBLIC_ORIGIN must be https"),
        ({"SECRET_KEY": SECRET, "SESSIONS_CORE_PUBLIC_ORIGIN": "https://a.example"}, "REDIS_URL is missing"),
        ({"SECRET_KEY": SECRET, "SESSIONS_CORE_DEVELOPMENT": True, "SESSIONS_CORE_REDIS_URL": "x"}, "REDIS_URL"),
        ({"SECRET_KEY": SECRET, "SESSIONS_CORE_DEVELOPMENT": True, "SESSIONS_CORE_IDLE": 5}, "is not a setting"),
    ],
)
def test_an_unsafe_application_does_not_start(tmp_path: Path, config: dict[str, Any], sentence: str) -> None:
    app = bare(tmp_path, **config)
    with pytest.raises(Misconfigured, match=sentence):
        WalletSessions(app)
    assert not (tmp_path / "instance").exists()


def test_a_production_redis_that_forgets_is_refused(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    config = {
        "SECRET_KEY": SECRET,
        "SESSIONS_CORE_PUBLIC_ORIGIN": "https://app.example.org",
        "SESSIONS_CORE_REDIS_URL": redis_url,
    }
    WalletSessions(bare(tmp_path, **config))
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Misconfigured, match="redis-cli CONFIG SET maxmemory-policy noeviction"):
            WalletSessions(bare(tmp_path, **config))
        WalletSessions(bare(tmp_path, **config, SESSIONS_CORE_REDIS_CHECK=False))
    finally:
        redis.config_set("maxmemory-policy", "noeviction")


# -- The secret of development ---------------------------------------------------------------------------------


def test_development_secret_is_created_kept_and_announced(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only its owner may read the file, and a second start reads the same secret."""
    config = {"SESSIONS_CORE_DEVELOPMENT": True, "SESSIONS_CORE_REDIS_URL": redis_url}
    first = bare(tmp_path, **config)
    WalletSessions(first)
    path = tmp_path / "instance" / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    secret = path.read_text()
    assert len(secret) >= 43
    assert first.config["SECRET_KEY"] == secret
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"Made a secret for development and kept it in {path}"
    ]
    assert secret not in caplog.text
    caplog.clear()
    second = bare(tmp_path, **config)
    WalletSessions(second)
    assert second.config["SECRET_KEY"] == secret
    assert caplog.records == []
    assert [each.name for each in path.parent.iterdir()] == ["secret_key"]


def test_a_lenient_umask_does_not_open_the_secret_to_others(redis_url: str, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        WalletSessions(bare(tmp_path, SESSIONS_CORE_DEVELOPMENT=True, SESSIONS_CORE_REDIS_URL=redis_url))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "instance" / "secret_key").stat().st_mode) == 0o600


def test_two_applications_make_two_secrets(redis_url: str, tmp_path: Path) -> None:
    secrets = []
    for name in ("a", "b"):
        app = bare(tmp_path / name, SESSIONS_CORE_DEVELOPMENT=True, SESSIONS_CORE_REDIS_URL=redis_url)
        WalletSessions(app)
        secrets.append(app.config["SECRET_KEY"])
    assert secrets[0] != secrets[1]


def test_processes_that_start_together_read_the_same_secret(redis_url: str, tmp_path: Path) -> None:
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        apps = [bare(folder, SESSIONS_CORE_DEVELOPMENT=True, SESSIONS_CORE_REDIS_URL=redis_url) for _ in range(6)]
        barrier = threading.Barrier(len(apps))

        def start(app: Flask, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            sessions_core.extension._development_secret(app)

        threads = [threading.Thread(target=start, args=(app,)) for app in apps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({app.config["SECRET_KEY"] for app in apps}) == 1
        assert len(apps[0].config["SECRET_KEY"]) >= 43


def test_a_secret_that_is_set_is_used_and_none_is_made(redis_url: str, tmp_path: Path) -> None:
    app = bare(tmp_path, SECRET_KEY=SECRET, SESSIONS_CORE_DEVELOPMENT=True, SESSIONS_CORE_REDIS_URL=redis_url)
    WalletSessions(app)
    assert app.config["SECRET_KEY"] == SECRET
    assert not (tmp_path / "instance").exists()


def test_production_makes_no_secret(redis_url: str, tmp_path: Path) -> None:
    app = bare(tmp_path, SESSIONS_CORE_PUBLIC_ORIGIN="https://a.example", SESSIONS_CORE_REDIS_URL=redis_url)
    with pytest.raises(Misconfigured, match="openssl rand"):
        WalletSessions(app)
    assert not (tmp_path / "instance").exists()


def test_development_without_a_redis_starts_a_private_one(tmp_path: Path, wallet: Wallet) -> None:
    app = Flask("own", instance_path=str(tmp_path / "instance"), root_path=str(ROOT))
    app.config.update(SESSIONS_CORE_DEVELOPMENT=True, SESSIONS_CORE_PUBLIC_ORIGIN=ORIGIN)
    WalletSessions(app)
    visitor = Visitor(app)
    try:
        visitor.sign_in(wallet)
        assert visitor.signed_in
        assert (tmp_path / "instance" / "redis" / "appendonlydir").exists() or list(
            (tmp_path / "instance" / "redis").glob("*.aof")
        )
    finally:
        embedded._kept.pop((tmp_path / "instance" / "redis").resolve()).stop()
    assert visitor.get("/session").status_code == 503


def test_extension_hooks_are_used(redis_url: str, redis: Redis, tmp_path: Path, wallet: Wallet) -> None:
    app = Flask("own", instance_path=str(tmp_path), root_path=str(ROOT))
    app.config.update(
        SECRET_KEY=SECRET,
        SESSIONS_CORE_DEVELOPMENT=True,
        SESSIONS_CORE_PUBLIC_ORIGIN=ORIGIN,
        SESSIONS_CORE_REDIS_URL=redis_url,
    )
    WalletSessions(app, role_for=lambda account: f"owner of {account.address}", clock=lambda: 1_700_000_000.5)
    visitor = Visitor(app)
    challenge = visitor.challenge(wallet.account())
    assert "Issued At: 2023-11-14T22:13:20Z" in challenge["message"]
    visitor.attempt(wallet, challenge)
    assert visitor.json("/api/auth/sessions/validate").get_json()["data"]["role"] == f"owner of {wallet.address}"


def test_failed_role_lookup_grants_nothing(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """The user stays signed in."""

    def role_for(account: object) -> str:
        raise LookupError("the table of roles is gone")

    visitor = Visitor(make_app({"role_for": role_for}))
    visitor.sign_in(wallet)
    response = visitor.get("/session")
    assert response.status_code == 200
    assert "table of roles" not in response.get_data(as_text=True)
    state = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert (state["role"], state["permissions"]) == ("", [])
    assert visitor.sign_out().status_code == 303
    assert not visitor.signed_in


def test_the_docstring_s_wiring_is_that_of_the_example() -> None:
    wiring = (sessions_core.__doc__ or "").partition("\n\n")[2].split()
    assert wiring == (ROOT / "examples" / "minimal" / "app.py").read_text().split()
