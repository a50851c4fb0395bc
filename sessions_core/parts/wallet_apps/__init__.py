"""Opening the sign-in page inside a wallet's app on a phone, by a link or a QR code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...part import Part

if TYPE_CHECKING:
    from flask import Blueprint


class WalletApps(Part):
    """The way into a wallet's app on a phone: links and QR codes."""

    libraries = {"segno": "segno>=1.6.6"}
    slots = {"phone_wallets": "sessions/_wallet_app_rows.html", "wallets_elsewhere": "sessions/_phone_link.html"}

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the page with the links and codes."""
        from .pages import pages

        return (pages,)

    def apps(self, namespaces: list[str]) -> Sequence[Any]:
        """Return the apps that have accounts of one of these namespaces (CAIP-2), for templates."""
        from .wallet_apps import apps

        return apps(namespaces)
