"""What the tests of the administration share."""

from __future__ import annotations

import pytest
from flask import Flask

from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet
from ...part_services import roles_of


@pytest.fixture
def boss() -> Wallet:
    return Wallet()


@pytest.fixture
def admin(app: Flask, services: Services, boss: Wallet) -> Visitor:
    """An administrator who has just signed in."""
    roles_of(services).assign(parse(boss.account()), "admin")
    admin = Visitor(app)
    admin.sign_in(boss)
    return admin
