"""`flask roles list | grant | revoke | verify | withdraw`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ...access.policy import MEMBER
from ...errors import BadRequest
from ...sign_in.accounts import Account
from ...web.services import current_services
from ...web.session_view import iso, moment
from ..command_line.output import (
    Commands,
    answer,
    confirm,
    force_option,
    json_option,
    minute,
    parse_account,
    refuse_unknown_secret,
    table,
)
from . import Roles
from .admin import LEVEL, MOST_DAYS, PROFESSIONAL_ID
from .roles import AccountRoles, Member

roles = Commands("roles", help="Give and take roles and verifications.")


@roles.command("list")
@json_option
def list_roles(as_json: bool) -> None:
    """List the accounts with a role or a verification, and what they have."""
    now = current_services().repository.time()
    shown = [_member(member, now) for member in _roles().decided()]
    shown.sort(key=lambda row: (row["role"], row["account"]))
    answer(shown if as_json else _role_table(shown), as_json)


@roles.command("grant")
@click.argument("account")
@click.argument("role")
@force_option
@json_option
def grant_role(account: str, role: str, force: bool, as_json: bool) -> None:
    """Give a CAIP-10 ACCOUNT a ROLE. It holds for this account on this network, from the next request on."""
    _assign(parse_account(account), role, force, as_json)


@roles.command("revoke")
@click.argument("account")
@force_option
@json_option
def revoke_role(account: str, force: bool, as_json: bool) -> None:
    """Make a CAIP-10 ACCOUNT an ordinary member again."""
    _assign(parse_account(account), MEMBER, force, as_json)


@roles.command("verify")
@click.argument("account")
@click.argument("professional_id")
@click.argument("level")
@click.option("--days", type=click.IntRange(1, MOST_DAYS), required=True, help="How long it holds.")
@force_option
@json_option
def verify(account: str, professional_id: str, level: str, days: int, force: bool, as_json: bool) -> None:
    """Verify a CAIP-10 ACCOUNT as a professional, such as lic_12345 with the level licensed."""
    found = parse_account(account)
    if not PROFESSIONAL_ID.fullmatch(professional_id):
        raise BadRequest("A professional id is lic_ and 1 to 40 letters, digits, underscores and hyphens.")
    if not LEVEL.fullmatch(level):
        raise BadRequest("A level is 1 to 32 lower-case letters, digits, underscores and hyphens.")
    refuse_unknown_secret(force)
    _confirm_replacing(found)
    status = _roles().verify(found, professional_id, level, days)
    until = moment(status.verified_until)
    shown = {"account": str(found), "professional_id": professional_id, "verification_level": level}
    shown |= {"verified_until": iso(until)}
    answer(shown if as_json else [f"{found} is verified until {minute(until)}."], as_json)


@roles.command("withdraw")
@click.argument("account")
@force_option
@json_option
def withdraw(account: str, force: bool, as_json: bool) -> None:
    """Take the verification of a CAIP-10 ACCOUNT away."""
    found = parse_account(account)
    refuse_unknown_secret(force)
    _confirm_replacing(found)
    changed = _roles().revoke_verification(found)
    said = f"{found} is {'not verified any more' if changed else 'not verified, and was not before'}."
    answer({"account": str(found), "changed": changed} if as_json else [said], as_json)


def _assign(account: Account, role: str, force: bool, as_json: bool) -> None:
    services = current_services()
    if services.role_for is not None:
        # Also when a role is taken away: the operator must not believe that it is gone.
        raise BadRequest("This application has a role_for of its own, so roles are changed there and not here.")
    if role not in services.policy.roles:
        raise BadRequest(f"There is no such role; the roles are {', '.join(services.policy.roles)}.")
    refuse_unknown_secret(force)
    _confirm_replacing(account)
    changed = _roles().assign(account, role)
    said = f"{account} is {role} {'now' if changed else 'already'}."
    answer({"account": str(account), "role": role, "changed": changed} if as_json else [said], as_json)


def _confirm_replacing(account: Account) -> None:
    # A shell with a secret of before would take a verification away without a word, or lift a restriction.
    known = _roles().knows(account)
    confirm("What was decided about it before is encrypted with a secret that is not known here. Replace it?", known)


def _member(member: Member, now: int) -> dict[str, Any]:
    status = member.status
    return {
        "account": member.account,
        "role": _role(member),
        "professional_id": status.professional_id,
        "verification_level": status.verification_level,
        "verified": status.verified(now),
        "verified_until": iso(moment(status.verified_until)) if status.verified_until else None,
        "last_sign_in": iso(moment(member.seen_at)) if member.seen_at else None,
    }


def _role_table(rows: list[dict[str, Any]]) -> Iterable[str]:
    if not rows:
        return ["No account has a role or a verification."]
    cells = [
        (
            row["account"],
            row["role"],
            row["professional_id"],
            row["verification_level"],
            (row["verified_until"] or "")[:10] + ("" if row["verified"] or not row["verified_until"] else " (past)"),
        )
        for row in rows
    ]
    return table([("ACCOUNT", "ROLE", "PROFESSIONAL", "LEVEL", "UNTIL"), *cells], flexible=2)


def _role(member: Member) -> str:
    services = current_services()
    if services.role_for is None:
        return member.status.role
    return services.account_status(member.account, services.repository.account_values(member.account)).role


def _roles() -> AccountRoles:
    return current_services().part(Roles).roles
