"""Why something of the former session store is not moved."""

from __future__ import annotations

CODES = {
    "expired": "it is not there: it has expired, or its user has signed out",
    "used": "it was moved already",
    "revoked": "its user has signed out here since it was made",
    "unsigned": "no secret of ours has signed it",
    "malformed": "the cookie has another form than those of the former store",
    "unreadable": "it is damaged, no mapping, nested too deeply, or of another type of Redis",
    "pickled": "it is a pickle, which can run code when it is read",
    "too_large": "it is larger than 256 kB",
    "account": "`SESSIONS_CORE_MIGRATE_ACCOUNT` failed, or named no account that may sign in",
}
"""The closed set of codes of `MigrationRefused`, and what each means."""

KEPT = ("unsigned", "malformed", "pickled", "account")
"""Codes after which the browser keeps its cookie: it is not ours, or another setting would accept it."""


class Refused(Exception):
    """What a request presented is not moved. `code` is one of `CODES`, `cause` is for developers."""

    def __init__(self, code: str, cause: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.cause = cause or CODES[code]
