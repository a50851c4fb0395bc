"""The answer to a request for a static file: its headers, its encoding, and how long it may be kept."""

from __future__ import annotations

import re

from flask import Response, request

from .snapshot import Snapshot

_FINGERPRINT = re.compile(r"[0-9a-f]{16}", re.ASCII)
IMMUTABLE = "public, max-age=31536000, immutable"


def send(snapshot: Snapshot, path: str, *, other_origin: bool) -> Response | None:
    """Return the answer for a path, with or without a fingerprint before it, or `None` if there is no such file.

    Only the fingerprint of this snapshot makes the answer immutable. With another one, which a page of the former
    release asks for, browsers get the file as it is now and ask again the next time. `other_origin` is true if pages
    load the file from a CDN.
    """
    first, _, rest = path.partition("/")
    file = snapshot.files.get(rest if _FINGERPRINT.fullmatch(first) else path)
    if file is None:
        return None
    # Only static files are compressed, never a page: the length of a compressed page tells an attacker who can add
    # text to it what else is in it, such as the CSRF token (BREACH). Parts of a file are parts of the plain one.
    wanted = "Range" not in request.headers and request.accept_encodings.best_match(["gzip", "identity"]) == "gzip"
    compressed = file.compressed if wanted else None
    content = file.content if compressed is None else compressed
    response = Response(content, mimetype=file.type)
    response.vary.add("Accept-Encoding")
    if compressed is not None:
        response.content_encoding = "gzip"
    # A strong tag names the bytes, so each encoding has its own.
    response.set_etag(file.digest[:32] + ("" if compressed is None else "-gzip"))
    response.headers["Cache-Control"] = IMMUTABLE if first == snapshot.fingerprint else "no-cache"
    if other_origin:
        # Browsers load modules and fonts of another origin by CORS only. The files hold nothing about the visitor.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.make_conditional(request, accept_ranges=True, complete_length=len(content))
    return response
