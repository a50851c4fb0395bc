"""The kit's pytest plugin, in runs of pytest of their own: the examples of the documentation as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from redis import Redis

import sessions_core.testing
from sessions_core.testing import browser

from .adopters import run
from .constants import ROOT
from .documented import blocks, table

PAGE = "test-your-app.md"
SHOP, TESTS, LONG_LIVED = blocks(PAGE, "With pytest", "python")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of an adopter: the application and the tests of the documentation."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_shop.py").write_text(TESTS)
    return tmp_path


def test_documented_test_file_passes(folder: Path) -> None:
    done = run(folder)
    assert re.search(r"^3 passed", done.stdout, re.M), done.stdout + done.stderr


def test_documented_test_file_is_short() -> None:
    lines = [line for line in TESTS.splitlines() if line.strip()]
    assert len(lines) <= 20


def test_application_of_a_whole_run_passes(folder: Path) -> None:
    head = (
        "import pytest\nfrom shop import create_app\nfrom sessions_core.testing import *\n"
        'pytest_plugins = ["sessions_core.testing.plugin"]\n'
    )
    body = (
        "\ndef test_one(app, signed_in_client):\n    make_admin(session_of(signed_in_client))\n"
        "    assert signed_in_client.get('/staff').text == 'Staff only'\n"
        "\ndef test_two(app, signed_in_client):\n    assert signed_in_client.get('/staff').status_code == 303\n"
    )
    (folder / "test_shop.py").write_text(head + LONG_LIVED + body)
    done = run(folder)
    assert re.search(r"^2 passed", done.stdout, re.M), done.stdout + done.stderr


def test_workers_share_a_redis_and_no_keys(folder: Path) -> None:
    (folder / "test_shop.py").write_text(
        TESTS + "\n\n@pytest.mark.parametrize('number', range(6))\ndef test_own_keys(app, signed_in_client, number, "
        "sessions_config):\n"
        "    from redis import Redis\n"
        "    prefix = sessions_config['SESSIONS_CORE_REDIS_PREFIX']\n"
        "    with Redis.from_url(sessions_config['SESSIONS_CORE_REDIS_URL']) as redis:\n"
        "        assert redis.keys(prefix + '*')\n"
        "    print(prefix, sessions_config['SESSIONS_CORE_REDIS_URL'])\n"
    )
    done = run(folder, "-n", "2", "-rP")
    assert re.search(r"^9 passed", done.stdout, re.M), done.stdout + done.stderr
    printed = re.findall(r"^(sessions_core_test:(\w+):\w+:) (unix:\S+)$", done.stdout, re.M)
    assert len({prefix for prefix, _, _ in printed}) == 6
    assert {worker for _, worker, _ in printed} == {"gw0", "gw1"}
    (url,) = {url for _, _, url in printed}
    assert not Path(url.removeprefix("unix://")).exists()


def test_own_redis_is_used_and_left_as_it_was(folder: Path, redis: Redis, redis_url: str) -> None:
    redis.set("mine", 1)
    done = run(folder, SESSIONS_CORE_TEST_REDIS_URL=redis_url)
    assert re.search(r"^3 passed", done.stdout, re.M), done.stdout + done.stderr
    assert redis.keys("*") == [b"mine"]


def test_missing_redis_part_is_named(folder: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "development_redis")
    shutil.copytree(ROOT / "sessions_core", folder / "sessions_core", ignore=ignore)
    done = run(folder, PYTHONPATH=str(folder))
    assert "needs the part 'development_redis'" in done.stdout
    assert "SESSIONS_CORE_TEST_REDIS_URL" in done.stdout


def test_documented_browser_test_passes(folder: Path) -> None:
    tests, _ = blocks(PAGE, "In a browser", "python")
    assert len([line for line in tests.splitlines() if line.strip()]) <= 30
    assert "--no-sandbox" not in tests
    headless = 'options.add_argument("--headless=new")'
    tests = tests.replace(headless, headless + '\n    options.add_argument("--no-sandbox")')
    (folder / "test_shop.py").write_text(tests)
    done = run(folder, PYTHONPATH=str(ROOT))
    assert re.search(r"^2 passed", done.stdout, re.M), done.stdout + done.stderr


def test_minimal_app_is_tested_with_the_kit_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/minimal/app.py", tmp_path)
    (tmp_path / "test_app.py").write_text(
        "from app import app\nfrom sessions_core.testing import TestWallet, expire, reset, sign_in\n"
        "\ndef test_home_is_for_users():\n    reset(app)\n"
        "    client, wallet = app.test_client(), TestWallet('solana')\n"
        "    assert client.get('/').status_code == 303\n    session = sign_in(client, wallet)\n"
        "    assert client.get('/').text == f'Hello {wallet.address}'\n    expire(session)\n"
        "    assert client.get('/').status_code == 303\n"
    )
    done = run(tmp_path)
    assert re.search(r"^1 passed", done.stdout, re.M), done.stdout + done.stderr


def test_documented_fixtures_are_those_of_the_plugin() -> None:
    source = (ROOT / "sessions_core/testing/plugin.py").read_text()
    fixtures = set(re.findall(r"^@pytest\.fixture.*\ndef (\w+)", source, re.M))
    assert set(table(f"docs/{PAGE}", "fixture")) == fixtures


def test_documented_functions_are_those_of_the_kit() -> None:
    written = {name.partition("(")[0] for name in table(f"docs/{PAGE}", "function")}
    assert written == set(sessions_core.testing.__all__) - {"KitError", "TestSession"}
    written = {name.partition("(")[0] for name in table(f"docs/{PAGE}", "for a browser")}
    own = {name for name, each in vars(browser).items() if getattr(each, "__module__", "") == browser.__name__}
    assert written == {name for name in own if not name.startswith("_")}
