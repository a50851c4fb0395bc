"""What `flask sessions check` finds out about how the site answers at its public address.

`/checkz` tells what the app makes of the proxies in front: the address, scheme and host that it reads from a request.
Only holders of `SECRET_KEY` can ask it. The answer tells a client nothing but how that client's own request arrived,
so a request that is sent again does no harm.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import parse_http_list

import msgspec
from flask import Request

from ...settings import PREFIX, Settings
from ...storage.encryption import DecryptionFailed, KeyRing
from .checklist import Finding, advice, clocks, ok, reason_of, unsafe

PATH = "/checkz"
STRANGER = "192.0.2.1"
"""An address that no client has (RFC 5737): the check claims to come from it, and no app may believe that."""

_PATIENCE = 5.0  # seconds for each step of a request
_CERTIFICATE_DAYS = 14
_HOPS = f"{PREFIX}TRUSTED_PROXIES"


class Arrived(msgspec.Struct):
    """How a request arrived at the app. `trusted` is the number of trusted proxies, `forwarded` how many addresses
    `X-Forwarded-For` names, and `time` the clock of the app, in seconds since the epoch.
    """

    address: str
    scheme: str
    host: str
    trusted: int
    forwarded: int
    request_id: str
    time: float


class Answer(NamedTuple):
    """An answer of the site. `at` is when it came, and `took` how long, in seconds."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    certificate: dict[str, Any]
    at: float
    took: float


class Site:
    """The running site, asked as a client does: over the network, at the address that users type."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.parts = urlsplit(url)
        self._domain = settings.domain
        self._keys = KeyRing(settings.secrets, "sessions_core check 1")

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path. Raises `OSError`, and `HTTPException` if the answer is no HTTP."""
        host, port = self.parts.hostname or "", self.parts.port
        connection: http.client.HTTPConnection
        if self.parts.scheme == "https":
            trusted = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=trusted)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.connect()
            certificate: dict[str, Any] = getattr(connection.sock, "getpeercert", dict)() or {}
            began = time.time()
            connection.request("GET", self.parts.path.rstrip("/") + path, headers={"Host": self._domain} | sent)
            response = connection.getresponse()
            body = response.read(1024 * 1024)
            at = time.time()
            return Answer(response.status, response.headers, body, certificate, at, at - began)
        finally:
            connection.close()

    def seen(self, **headers: str) -> tuple[Answer, Arrived | None]:
        """Return how a request with these headers arrives, or `None` if the site does not tell this shell."""
        token = base64.urlsafe_b64encode(self._keys.encrypt(b"check", PATH.encode())).decode()
        answer = self.get(PATH, Authorization=f"Bearer {token}", **headers)
        try:
            return answer, msgspec.json.decode(answer.body, type=Arrived)
        except msgspec.MsgspecError:  # the envelope of a 404, or a page of another server
            return answer, None


def arrived(request: Request, secrets: tuple[str, ...], trusted: int) -> Arrived | None:
    """Return what the app, which trusts so many proxies, makes of a request; `None` for a client that does not know
    one of the secrets.
    """
    given = request.headers.get("Authorization", "").partition(" ")[2]
    try:
        encrypted = base64.urlsafe_b64decode(given.strip().encode("ascii"))
        KeyRing(secrets, "sessions_core check 1").decrypt(encrypted, PATH.encode())
    except (ValueError, DecryptionFailed):
        return None
    return Arrived(
        address=request.remote_addr or "",
        scheme=request.scheme,
        host=request.host,
        trusted=trusted,
        forwarded=len(parse_http_list(request.headers.get("X-Forwarded-For", ""))),
        request_id=request.headers.get("X-Request-ID", ""),
        time=time.time(),
    )


def of_site(site: Site, settings: Settings) -> Iterator[Finding]:
    """Yield how the site answers: TLS, cookies, what it makes of the proxies, and its clock. Never raises."""
    try:
        yield from _pages(site)
        yield from _proxies(site, settings)
    except ssl.SSLCertVerificationError as error:
        yield unsafe(
            "tls",
            f"Browsers refuse the certificate of {site.url} ({error.verify_message}). Install one for "
            f"{site.parts.hostname} that a public authority signed, with its chain.",
        )
    except (OSError, http.client.HTTPException) as error:
        yield unsafe(
            "site",
            f"{site.url} does not answer this machine ({reason_of(error)}), so TLS, cookies and proxies were not "
            "checked. Start the site, name another address with --url, or leave these checks out with --offline.",
        )


def _pages(site: Site) -> Iterator[Finding]:
    answer = site.get("/sign-in")
    if site.parts.scheme == "https":
        yield _certificate(site, answer.certificate)
        yield from _plain_http(site)
    else:
        yield advice("tls", f"{site.url} is asked without TLS. Ask the public address to check its TLS.")
    if answer.status != 200:
        yield unsafe(
            "site",
            f"{site.url}/sign-in answers {answer.status}, and not with the sign-in page. Say where the pages are "
            "with --url, or look for the reason in the log of the app and of the proxy.",
        )
        return
    if answer.headers["Strict-Transport-Security"]:
        yield ok("tls", "Browsers are told to use https only (Strict-Transport-Security).")
    else:
        yield unsafe("tls", "The header Strict-Transport-Security is gone. Have the proxy pass the app's headers on.")
    yield _cookies(answer.headers.get_all("Set-Cookie", []))


def _certificate(site: Site, certificate: Mapping[str, Any]) -> Finding:
    days = int((ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) // 86_400)
    if days < _CERTIFICATE_DAYS:
        return advice("tls", f"The certificate of {site.url} ends in {days} days. Renew it now.")
    return ok("tls", f"The certificate of {site.url} is valid for another {days} days.")


def _plain_http(site: Site, port: int = 80) -> Iterator[Finding]:
    """Yield what the plain http port says, if the site has the default port of https."""
    if site.parts.port not in (None, 443) and port == 80:
        return
    plain = http.client.HTTPConnection(site.parts.hostname or "", port, timeout=_PATIENCE)
    try:
        plain.request("GET", "/")
        answer = plain.getresponse()
        redirects = answer.status in (301, 302, 303, 307, 308)
        if redirects and (answer.headers["Location"] or "").startswith("https://"):
            yield ok("tls", "Plain http redirects to https.")
        else:
            yield unsafe(
                "tls",
                f"http://{site.parts.hostname} answers {answer.status} without TLS. Have the proxy redirect every "
                "path there to https.",
            )
    except (OSError, http.client.HTTPException):
        yield ok("tls", "Nothing answers over plain http.")
    finally:
        plain.close()


def _cookies(cookies: list[str]) -> Finding:
    for cookie in cookies:
        name, *attributes = [each.strip() for each in cookie.split(";")]
        words = {each.partition("=")[0].lower() for each in attributes}
        if not name.startswith("__Host-") or not words >= {"secure", "httponly", "samesite"}:
            return unsafe(
                "cookies",
                f"The cookie {name.partition('=')[0]!a} lacks __Host-, Secure, HttpOnly or SameSite. Have the "
                "proxy pass Set-Cookie on as the app wrote it.",
            )
    if not cookies:
        return unsafe(
            "cookies",
            "The sign-in page sets no cookie, so no user can sign in. Have proxies and caches pass Set-Cookie on, "
            "and store no page that says no-store.",
        )
    return ok("cookies", "Cookies have __Host-, Secure, HttpOnly and SameSite.")


def _proxies(site: Site, settings: Settings) -> Iterator[Finding]:
    answer, plain = site.seen()
    if plain is None:
        yield unsafe(
            "secret",
            f"{site.url}{PATH} answers {answer.status}: the server there has another SECRET_KEY than this shell, or "
            "a proxy keeps the path from it. Give this shell the environment of the servers, and pass the path on.",
        )
        return
    _, forged = site.seen(X_Forwarded_For=STRANGER, Forwarded=f"for={STRANGER}", X_Request_ID="chosen-by-the-client")
    named, hops = plain.forwarded, plain.trusted
    count = f"{named} address{'' if named == 1 else 'es'}"
    if named < hops:
        yield unsafe(
            "proxies",
            f"Visitors can choose their IP address: {_HOPS} is {hops}, and the proxies in front name {count}. Set it "
            f"to {named}, or have each proxy write X-Forwarded-For.",
        )
    elif forged is None or forged.address == STRANGER:
        yield unsafe(
            "proxies",
            "Visitors can choose their IP address: a proxy in front passes on X-Forwarded-For as a client sent it. "
            "Have it replace the header, or append the client's address to it.",
        )
    elif named > hops:
        yield unsafe(
            "proxies",
            f"All visitors share the IP address of a proxy, and its limit: {_HOPS} is {hops}, and the proxies in "
            f"front name {count}. Set it to {named}.",
        )
    elif not hops:
        yield advice(
            "proxies",
            "No proxy is in front of the app. Put one there that buffers requests (docs/integrate.md, "
            '"A proxy that buffers").',
        )
    else:
        yield ok("proxies", f"The app believes {count} of X-Forwarded-For, and no other.")
    yield from _other_headers(plain, forged or plain, settings)
    yield clocks("The app's clock", plain.time - answer.at + answer.took / 2, answer.took / 2)


def _other_headers(plain: Arrived, forged: Arrived, settings: Settings) -> Iterator[Finding]:
    if plain.scheme != "https" and settings.secure_origin:
        yield advice(
            "proxies",
            "The app takes requests for plain http, and writes http:// into full links. Have the proxy set "
            "X-Forwarded-Proto: https.",
        )
    if plain.host != settings.domain:
        yield advice(
            "proxies",
            f"The app takes its own host for {plain.host!a}. Have the proxy pass the Host of the browser on, "
            "with its port.",
        )
    if forged.request_id == "chosen-by-the-client":
        yield advice(
            "proxies",
            "Clients choose the request id of the log. Have the proxy set X-Request-ID.",
        )
