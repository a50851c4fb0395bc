"""Opening the sign-in page inside a wallet's app on a phone, by a link or a QR code."""

from __future__ import annotations

from ...part import Part


class WalletApps(Part):
    """The way into a wallet's app on a phone: links and QR codes."""

    libraries = {"segno": "segno>=1.6.6"}
