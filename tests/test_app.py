"""The demo: its page, its settings by environment, and the ways to start it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

import config
from sessions_core.errors import Misconfigured
from sessions_core.part import read_options
from sessions_core.parts.contract_wallets import ContractWallets
from sessions_core.parts.reverse_proxy import ReverseProxy
from sessions_core.settings import PREFIX

from . import claims
from .actors import Visitor, Wallet
from .constants import ROOT, SECRET
from .part_settings import settings_of


def test_front_page_greets_visitors_and_signed_in_users(visitor: Visitor, wallet: Wallet) -> None:
    page = visitor.get("/")
    assert page.status_code == 200
    assert 'href="/sign-in"' in page.get_data(as_text=True)
    visitor.sign_in(wallet)
    page_of_mine = visitor.get("/").get_data(as_text=True)
    assert f"{wallet.address[:6]}…{wallet.address[-4:]}" in page_of_mine
    assert 'href="/session"' in page_of_mine


def test_overrides_come_after_config_py(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_SITE_NAME="Another Name")
    assert "Another Name" in Visitor(app).get("/sign-in").get_data(as_text=True)


# -- config.py ---------------------------------------------------------------------------------------------------


def settings_by(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    for name in ("PORT", "DEVELOPMENT", "PUBLIC_ORIGIN", "SESSION_SECRET", "SESSION_SECRET_FALLBACKS", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("RPC_URLS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        return _read_again()
    finally:
        monkeypatch.undo()
        _read_again()


def _read_again() -> dict[str, object]:
    for name in [name for name in vars(config) if name.isupper()]:
        delattr(config, name)  # settings of parts are there only if the environment has them
    importlib.reload(config)
    return {name: value for name, value in vars(config).items() if name.isupper()}


def test_without_an_environment_it_is_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_by({}, monkeypatch)
    assert found["SESSIONS_CORE_DEVELOPMENT"] is True
    assert found["SESSIONS_CORE_PUBLIC_ORIGIN"] == "http://localhost:5000"
    assert (found["SECRET_KEY"], found["SESSIONS_CORE_REDIS_URL"], found["SECRET_KEY_FALLBACKS"]) == (None, None, [])
    settings_of(found | {"SECRET_KEY": SECRET}, claims.PARTS)


def test_fast_clocks_are_for_development_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("IDLE", "ABSOLUTE", "WARN", "ABSOLUTE_WARN")

    def clocks(**environment: str) -> list[object]:
        found = settings_by(environment, monkeypatch)
        return [found[f"SESSIONS_CORE_{name}_SECONDS"] for name in names]

    assert clocks(CLOCKS="fast") == [120, 600, 60, 60]
    assert clocks(CLOCKS="fast", IDLE_SECONDS="90") == [90, 600, 60, 60]
    assert clocks() == clocks(CLOCKS="fast", PUBLIC_ORIGIN="https://app.example.org") == [1800, 43_200, 120, 300]


def test_languages_come_with_the_demo_s_own_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_by({"LANGUAGES": "en,de,ar"}, monkeypatch)
    assert found["SESSIONS_CORE_LANGUAGES"] == ["en", "de", "ar"]
    assert found["SESSIONS_CORE_TRANSLATIONS"] == ["tour/translations"]
    assert not {"SESSIONS_CORE_LANGUAGES", "SESSIONS_CORE_TRANSLATIONS"} & settings_by({}, monkeypatch).keys()


def test_a_public_origin_makes_it_production(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "PUBLIC_ORIGIN": "https://app.example.org",
        "SESSION_SECRET": SECRET,
        "SESSION_SECRET_FALLBACKS": "Zk3V8hT1mZ0xW5sY7bN2cR4dF6gJ9pLa,",
        "REDIS_URL": "rediss://redis.internal:6379/0",
        "RPC_URLS": "eip155:1=https://rpc.example.org/v3/key?a=b, eip155:8453=https://base.example.org,",
        "IDLE_SECONDS": "600",
        "TRUSTED_PROXIES": "1",
        "COOKIE_SAMESITE": "Strict",
    }
    config_py = settings_by(environment, monkeypatch)
    found = settings_of(config_py, claims.PARTS)
    assert (found.development, found.secure_origin) == (False, True)
    assert read_options(ReverseProxy, config_py, found).trusted_proxies == 1
    assert found.secrets == ("Zk3V8hT1mZ0xW5sY7bN2cR4dF6gJ9pLa", SECRET)
    assert (found.idle_seconds, found.cookie_samesite) == (600, "Strict")
    assert read_options(ContractWallets, config_py, found).rpc_urls == {
        "eip155:1": "https://rpc.example.org/v3/key?a=b",
        "eip155:8453": "https://base.example.org",
    }


@pytest.mark.parametrize(
    "value", ["https://rpc.example.org/k3y", "eip155:1", "eip155:1=", "=https://rpc.example.org"]
)
def test_nodes_that_are_not_named_by_their_chain_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    found = settings_by({"RPC_URLS": value}, monkeypatch) | {"SECRET_KEY": SECRET}
    with pytest.raises(Misconfigured, match="SESSIONS_CORE_RPC_URLS"):
        read_options(ContractWallets, found, settings_of(found, claims.PARTS))


@pytest.mark.parametrize("value", ["0", "true", "yes", "", "on"])
def test_development_is_only_on_when_asked_for_plainly(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert settings_by({"DEVELOPMENT": value}, monkeypatch)["SESSIONS_CORE_DEVELOPMENT"] is False


def test_the_port_moves_the_origin_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_by({"PORT": "5001"}, monkeypatch)
    assert (found["PORT"], found["SESSIONS_CORE_PUBLIC_ORIGIN"]) == (5001, "http://localhost:5001")


def test_every_config_py_setting_is_known_and_commented() -> None:
    text = (ROOT / "config.py").read_text()
    blocks = re.findall(r"((?:^#.*\n)*)^(?:if .*:\n +)?([A-Z_]+) = ", text, re.MULTILINE)
    assert len(blocks) >= 10
    assert [name for comment, name in blocks if not comment] == []
    known = {f"{PREFIX}{name.upper()}" for name in claims.settings()}
    assert {name for _, name in blocks} - {"PORT", "SECRET_KEY", "SECRET_KEY_FALLBACKS"} <= known


# -- Starting it ---------------------------------------------------------------------------------------------------


def test_flask_finds_the_app_and_import_has_no_side_effects(tmp_path: Path) -> None:
    code = "import app; assert callable(app.create_app); import os; assert not os.listdir('.')"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_start_loads_no_signature_libraries(redis_url: str, tmp_path: Path) -> None:
    """The slow libraries are loaded with the first signature."""
    code = (
        "import app, sys; app.create_app(); "
        "print([name for name in ('eth_account', 'Crypto', 'coincurve', 'joserfc') if name in sys.modules])"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"REDIS_URL": redis_url, "SESSION_SECRET": SECRET}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
