"""What tests call of the parts that keep something for accounts."""

from __future__ import annotations

from flask import Flask

from sessions_core.parts.devices import Devices
from sessions_core.parts.devices.recent_sign_ins import RecentSignIns
from sessions_core.parts.linked_wallets import LinkedWallets
from sessions_core.parts.linked_wallets.linked_accounts import AccountLinking
from sessions_core.parts.roles import Roles
from sessions_core.parts.roles.roles import AccountRoles
from sessions_core.web.services import Services


def roles_of(of: Services | Flask) -> AccountRoles:
    """Return what reads and changes the roles of an application's accounts."""
    return _services(of).part(Roles).roles


def recent_sign_ins_of(of: Services | Flask) -> RecentSignIns:
    """Return what reads the last sign-ins of an application's accounts."""
    return _services(of).part(Devices).recent_sign_ins


def linked_accounts_of(of: Services | Flask) -> AccountLinking:
    """Return what reads and changes which accounts of an application are linked."""
    return _services(of).part(LinkedWallets).linked_accounts


def _services(of: Services | Flask) -> Services:
    return of.extensions["sessions_core"] if isinstance(of, Flask) else of
