"""What start-up refuses about the migration."""

from __future__ import annotations

from typing import Any

import pytest

from sessions_core.parts.migration import Migration

from ..part_settings import DEVELOPMENT, options_of, refusal_of


def account_of(data: dict[str, Any]) -> str:
    return str(data["account"])


def test_nothing_is_moved_by_default() -> None:
    assert options_of(Migration).migrate_from == ()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"MIGRATE_FROM": ["memcached"]}, "MIGRATE_FROM names 'memcached'. Write one or more of 'redis',"),
        ({"MIGRATE_FROM": "redis"}, "MIGRATE_FROM must be a list of strings"),
        ({"MIGRATE_FROM": ["remember_cookie"]}, "MIGRATE_ACCOUNT is missing"),
        ({"MIGRATE_ACCOUNT": "shop.account_of"}, "MIGRATE_ACCOUNT must be a function or None"),
        ({"MIGRATE_UNPICKLE": True}, "MIGRATE_UNPICKLE must be a function or None"),
        ({"MIGRATE_KEY_PREFIX": ""}, "a cookie could name any key"),
        ({"MIGRATE_KEY_PREFIX": "sessions_core:x:"}, "a cookie could name any key"),
        ({"MIGRATE_COOKIE": "a;b"}, "MIGRATE_COOKIE must be the name of a cookie"),
        ({"MIGRATE_REMEMBER_COOKIE": ""}, "MIGRATE_REMEMBER_COOKIE must be the name of a cookie"),
        ({"MIGRATE_SECRETS": ["dev"]}, "MIGRATE_SECRETS[0] must have at least 32 random characters"),
        ({"MIGRATE_SECONDS": 59}, "MIGRATE_SECONDS must be between 60 and"),
        ({"MIGRATE_BESIDE": "yes"}, "MIGRATE_BESIDE must be bool"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal_of(Migration, **settings)


def test_secrets_are_in_no_sentence_and_no_repr() -> None:
    assert "hunter2" not in refusal_of(Migration, MIGRATE_SECRETS=["hunter2"])
    assert "hunter2" not in refusal_of(Migration, MIGRATE_SECRETS=["hunter2", 7])
    assert "hunter2" not in repr(options_of(Migration, MIGRATE_REDIS_URL="redis://:hunter2@redis.internal/0"))


def test_former_servers_need_another_cookie() -> None:
    settings = {"MIGRATE_FROM": ["redis"], "MIGRATE_BESIDE": True, "COOKIE_SECURE": False}
    assert "Set SESSIONS_CORE_COOKIE_NAME" in refusal_of(Migration, DEVELOPMENT, **settings)
    assert options_of(Migration, DEVELOPMENT, **settings, COOKIE_NAME="shop").migrate_beside


def test_all_sources_are_accepted() -> None:
    options = options_of(
        Migration, MIGRATE_FROM=["redis", "signed_cookie", "remember_cookie"], MIGRATE_ACCOUNT=account_of
    )
    assert options.migrate_account is account_of
