"""The reasons why sessions end: one table for the JSON service, pages, metrics and the documentation.

A part that ends sessions for a reason of its own registers it when it is imported:

    UNLINKED = register(EndReason("wallet_unlinked", "the account was unlinked from its user"))
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndReason:
    """A reason: its `name` in the API, and its `meaning` as part of a sentence for developers.

    `has_page` says that the page has its own words for it (`sessions/_endings.html`); otherwise they are those of
    `unknown`. `is_counted` says that a single session can end for it, which the metrics count.
    """

    name: str
    meaning: str
    has_page: bool = True
    is_counted: bool = True

    def __str__(self) -> str:
        return self.name


_REASONS: dict[str, EndReason] = {}


def register(reason: EndReason) -> EndReason:
    """Add a reason to the table, and return it. It replaces one of the same name."""
    _REASONS[reason.name] = reason
    return reason


def meanings() -> dict[str, str]:
    """Return the meanings of a 401's `reason`, by name. An application may end sessions for further reasons."""
    return {each.name: each.meaning for each in sorted(_REASONS.values(), key=lambda each: each.name == "unknown")}


def with_pages() -> list[str]:
    """Return the names of the reasons that pages explain to users in their own words."""
    return [each.name for each in _REASONS.values() if each.has_page]


def counted() -> list[str]:
    """Return the names of the reasons that metrics have a series for."""
    return [each.name for each in _REASONS.values() if each.is_counted]


for _reason in (
    EndReason("no_token", "no session cookie and no bearer came along", has_page=False, is_counted=False),
    EndReason("idle", "no activity for the idle time", is_counted=False),
    EndReason("absolute", "the session reached its longest age", is_counted=False),
    EndReason("signed_out", "the user signed out"),
    EndReason("replaced", "the same browser signed in again"),
    EndReason(
        "rotated",
        "the session got a new id, or is about to, and this one is good no more or came from another browser",
        is_counted=False,
    ),
    EndReason("everywhere", "the account signed out everywhere", is_counted=False),
    EndReason("revoked", "it was ended from elsewhere"),
    EndReason("limit", "newer sessions of the account took its place: an account can have only so many at once"),
    EndReason("unknown", "there is no such session, its record was lost, or can't be opened", is_counted=False),
):
    register(_reason)
