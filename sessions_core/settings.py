"""Frozen settings, read once from the Flask configuration and refused at start when they are unsafe.

Every key begins with `SESSIONS_CORE_`; the secrets are Flask's own `SECRET_KEY` and `SECRET_KEY_FALLBACKS`. A wrong
setting raises `Misconfigured`, whose text says which line to write instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from types import MappingProxyType
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from .errors import Misconfigured
from .sign_in.accounts import CHAINS, Chain, default_chains
from .sign_in.messages import STATEMENT_CHARACTER

PREFIX = "SESSIONS_CORE_"
MINUTE, DAY = 60, 86_400
SHORTEST, LONGEST = 2 * MINUTE, 30 * DAY
KINDS = ("", "anonymous_")  # of session, as the settings of their clocks begin
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_STATEMENT = re.compile(STATEMENT_CHARACTER + "{1,200}", re.ASCII)
# A name or an IPv4 address; Werkzeug's TRUSTED_HOSTS can't hold an IPv6 one.
_HOST = re.compile(r"[a-z0-9_.-]+", re.ASCII)
# Words in secrets that were copied from an example, letters only. Long enough never to occur by chance.
_PLACEHOLDERS = (
    *("changeme", "changethis", "changeit", "pleasechange", "replaceme", "replacethis", "replacewith", "placeholder"),
    *("yoursecret", "mysecret", "oursecret", "secretkey", "supersecret", "topsecret", "verysecret", "notsecret"),
    *("notasecret", "insecure", "unsafesecret", "defaultsecret", "examplesecret", "secrethere", "keyhere"),
    *("donotuse", "dontuse", "devonly", "developmentonly", "qwertyuiop", "asdfghjkl", "passwordpassword"),
)
_PREFIX_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)
_E_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)
# One line that is meant for readers: a single word with @ or / in it is a link that was misspelt.
_SENTENCE = re.compile(r"[^@/\s]*|(?=.* )[^\x00-\x1f\x7f]{1,200}")
_COOKIE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}", re.ASCII)
_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~/?=&%-]*", re.ASCII)
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of the package. Durations are whole seconds unless the name says milliseconds."""

    # No secret in the repr: debuggers and error trackers show the locals of a traceback.
    secrets: tuple[str, ...] = field(repr=False)
    """SECRET_KEY_FALLBACKS and SECRET_KEY, newest last."""

    development: bool = False
    """True allows plain http on this machine, a private Redis, and a secret kept in the instance folder."""
    public_origin: str = "http://localhost:5000"
    """Scheme, host and port in the address bar; it stands in every text that is signed."""
    site_name: str = "Wallet Sessions"
    """The name of the site as users read it."""
    contact: str = ""
    """How users reach an administrator: an e-mail address, an https:// URL, or one sentence."""
    statement: str = "Sign in to prove that this account is yours. This costs nothing and sends no transaction."
    """The sentence that wallets show; one line of ASCII."""
    parts: tuple[str, ...] | None = None
    """The parts to load, by the names of their folders below sessions_core/parts; None loads all of them."""
    url_prefixes: Mapping[str, str] = field(default_factory=dict)
    """For a part, where its pages are instead of their usual place: {"roles": "/staff"} moves /admin."""
    chains: tuple[str, ...] = field(default_factory=default_chains)
    """CAIP-2 ids that may sign in, each of a part that is loaded; by default those that the parts name."""

    redis_url: str | None = field(default=None, repr=False)
    """redis://, rediss://, unix://; None starts a private server in development."""
    redis_prefix: str = "sessions_core:"
    """The prefix of every key in Redis."""
    redis_timeout_ms: int = 250
    """How long one answer of Redis may take, in milliseconds."""
    revocation_replicas: int = 0
    """How many replicas must confirm that sessions have ended before an answer says so (WAIT); 0 asks none."""

    idle_seconds: int = 30 * MINUTE
    """A standard session without activity for this long has ended."""
    absolute_seconds: int = 12 * 60 * MINUTE
    """A standard session this old has ended, even if it is in use."""
    anonymous_idle_seconds: int = 30 * MINUTE
    """The same for an anonymous session: without activity."""
    anonymous_absolute_seconds: int = 4 * 60 * MINUTE
    """The same for an anonymous session, even if it is in use."""
    sessions_per_account: int = 20
    """How many sessions an account may have at once; a further sign-in ends the oldest."""
    slide_seconds: int = MINUTE
    """Activity is written at most this often."""
    warn_seconds: int = 2 * MINUTE
    """How long before the idle end users are warned."""
    absolute_warn_seconds: int = 5 * MINUTE
    """How long before the absolute end users are warned."""
    challenge_seconds: int = 5 * MINUTE
    """How long a sign-in request can be signed, a day at most; a longer time has a cost (docs/integrate.md)."""
    confirm_seconds: int = 2 * MINUTE
    """How long the request to confirm an action can be signed, a day at most."""
    confirm_body_bytes: int = 1024 * 1024
    """How large a body may be, forms apart, while its request waits for a signature. Larger ones get 413."""
    fresh_seconds: int = 5 * MINUTE
    """How long a signature counts as fresh for the permissions in `SessionType.fresh`; routes name their own time."""

    shorten_ip: bool = False
    """True keeps only the network of an IP address: 24 bits of IPv4, 48 of IPv6."""

    url_prefix: str = ""
    """The path below which the pages and the JSON service are, such as "/account"; empty: at the root."""
    cookie_name: str = "session"
    """The beginning of the cookie names, after `__Host-`. Two apps on one host need different ones."""
    cookie_secure: bool = True
    """False is for development browsers that refuse Secure cookies on http://localhost (Safari)."""
    cookie_samesite: str = "Lax"
    """Lax, or Strict if users should not arrive signed in from a link on another site."""
    hsts_subdomains: bool = False
    """True makes browsers use https for all subdomains of the public origin's host too; each must then have it."""
    csp_report_url: str = ""
    """Where browsers report what the Content-Security-Policy blocked: an https:// URL or a path; empty: nowhere."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], of_parts: Collection[str] = ()) -> Settings:
        """Read the settings from a Flask configuration; `of_parts` are the names that belong to parts.

        Raises `Misconfigured` for unknown names, wrong types and every unsafe value.
        """
        known = {field.name for field in fields(cls)} - {"secrets"}
        for key in config:
            name = key.removeprefix(PREFIX).lower()
            if key.startswith(PREFIX) and name not in known and name not in of_parts:
                near = difflib.get_close_matches(name, {*known, *of_parts}, 1)
                hint = f" Did you mean {PREFIX}{near[0].upper()}?" if near else ""
                raise Misconfigured(f"{key} is not a setting.{hint}")
        values = read(cls, config)
        fallbacks = config.get("SECRET_KEY_FALLBACKS") or ()
        if not isinstance(fallbacks, (list, tuple)):
            raise Misconfigured("SECRET_KEY_FALLBACKS must be a list of the former secrets, oldest first.")
        former = [_secret(f"SECRET_KEY_FALLBACKS[{place}]", each) for place, each in enumerate(fallbacks)]
        secrets = (*former, _secret("SECRET_KEY", config.get("SECRET_KEY")))
        settings = cls(secrets=secrets, **values)
        settings._refuse_unsafe(config)
        return settings

    @property
    def domain(self) -> str:
        """Host and port of the public origin, as EIP-4361 wants it in the text."""
        return urlsplit(self.public_origin).netloc

    @property
    def host(self) -> str:
        """Host of the public origin without the port."""
        return urlsplit(self.public_origin).hostname or ""

    @property
    def secure_origin(self) -> bool:
        """Whether users reach the site over https."""
        return self.public_origin.startswith("https://")

    @property
    def contact_link(self) -> str:
        """Where a link to the contact leads; empty for a sentence."""
        if is_safe_url(self.contact, plain=self.development):
            return self.contact
        return f"mailto:{self.contact}" if _E_MAIL.fullmatch(self.contact) else ""

    def _refuse_unsafe(self, config: Mapping[str, Any]) -> None:
        if self.public_origin != canonical_origin(self.public_origin):
            # Browsers send the canonical form in Origin: with another spelling every form would be refused.
            raise Misconfigured(
                f"{PREFIX}PUBLIC_ORIGIN is {self.public_origin!r}. Write scheme, host and port only, in lower case "
                'and without the default port, such as "https://app.example.org".'
            )
        if not self.secure_origin and not (self.development and self.host in LOOPBACK):
            raise Misconfigured(
                f"{PREFIX}PUBLIC_ORIGIN must be https:// outside development. "
                f"For this machine only, set {PREFIX}DEVELOPMENT = True and use http://localhost."
            )
        if self.development and self.host not in LOOPBACK:
            raise Misconfigured(
                f"{PREFIX}DEVELOPMENT = True is for localhost only, and {PREFIX}PUBLIC_ORIGIN is "
                f"{self.public_origin}. Remove it, and set SECRET_KEY and {PREFIX}REDIS_URL."
            )
        if config.get("DEBUG") and not self.development:
            raise Misconfigured(
                "FLASK_DEBUG=1 shows visitors the source and a console. Remove it: unset FLASK_DEBUG, and leave out "
                f"DEBUG = True and --debug. For work on this machine, set {PREFIX}DEVELOPMENT = True."
            )
        if not self.cookie_secure and not self.development:
            raise Misconfigured(f"{PREFIX}COOKIE_SECURE = False is for {PREFIX}DEVELOPMENT = True only. Remove it.")
        if self.cookie_samesite not in ("Lax", "Strict"):
            raise Misconfigured(
                f'{PREFIX}COOKIE_SAMESITE must be "Lax" or "Strict": '
                "with None other sites could make requests in the name of your visitors."
            )
        if config.get("SESSION_COOKIE_HTTPONLY") is False or config.get("SESSION_COOKIE_SAMESITE") == "None":
            raise Misconfigured(
                "SESSION_COOKIE_HTTPONLY = False and SESSION_COOKIE_SAMESITE = 'None' would weaken the session "
                "cookie. Remove them; this package sets the cookie."
            )
        self._refuse_unsafe_names()
        if self.redis_url is None and not self.development:
            raise Misconfigured(
                f'{PREFIX}REDIS_URL is missing. Set it to your Redis, such as "rediss://redis.internal:6379/0".'
            )
        self.refuse_unknown_chains(CHAINS)
        self._refuse_unsafe_report_url()
        if not (self.contact_link or _SENTENCE.fullmatch(self.contact)):
            raise Misconfigured(
                f"{PREFIX}CONTACT is {self.contact!r}. Write an e-mail address such as "
                '"help@example.org", an https:// URL, or one sentence of at most 200 characters.'
            )
        if not _STATEMENT.fullmatch(self.statement):
            raise Misconfigured(
                f"{PREFIX}STATEMENT must be one line of at most 200 ASCII characters without quotes or < >: "
                "wallets stop checking the domain of a text they don't recognise."
            )
        self._refuse_unsafe_clocks()

    def _prefixes(self) -> dict[str, str]:
        return {f"URL_PREFIXES[{part!r}]": prefix for part, prefix in self.url_prefixes.items()}

    def _refuse_unsafe_names(self) -> None:
        for name, prefix in {"URL_PREFIX": self.url_prefix, **self._prefixes()}.items():
            if prefix and (not _PREFIX_PATH.fullmatch(prefix) or {".", ".."} & set(prefix.split("/"))):
                raise Misconfigured(
                    f"{PREFIX}{name} is {prefix!r}. Begin it with a slash, end it without one, and use letters, "
                    'digits and - . _ ~ between slashes, such as "/account"; "" is the root.'
                )
        if not _COOKIE_NAME.fullmatch(self.cookie_name):
            raise Misconfigured(
                f"{PREFIX}COOKIE_NAME is {self.cookie_name!r}. Use up to 40 letters, digits, - and _, beginning with "
                'a letter and without __Host- or __Secure-, such as "shop": the cookie is then called __Host-shop.'
            )

    def refuse_unknown_chains(self, known: Mapping[str, Chain]) -> None:
        """Raise `Misconfigured` for a chain (CAIP-2) that is not among these."""
        if not self.chains:
            raise Misconfigured(f'{PREFIX}CHAINS is empty. Name at least one chain, such as ("eip155:1",).')
        for chain_id in self.chains:
            if chain_id not in known:
                raise Misconfigured(
                    f"{PREFIX}CHAINS names {chain_id!r}, which no part that is loaded knows. Remove it, load the "
                    "part of that network, or add the chain to `chains` in the part's verifier.py."
                )

    def _refuse_unsafe_report_url(self) -> None:
        url = self.csp_report_url
        safe = _PATH.fullmatch(url) or is_safe_url(url, plain=self.development)
        # A semicolon or a comma would end the directive, or the header.
        if url and (not safe or set(url) & set(";,")):
            raise Misconfigured(
                f'{PREFIX}CSP_REPORT_URL must be like "https://reports.example.org/csp" or "/csp-reports", without '
                'semicolons and commas. "" reports nowhere.'
            )

    def _refuse_unsafe_clocks(self) -> None:
        refuse_unsafe_clocks(self, KINDS, self)
        for name, least, most in (
            ("sessions_per_account", 1, 1000),
            ("slide_seconds", 1, self.idle_seconds // 2),
            # A wallet of several owners needs the signatures of all of them in that time.
            ("challenge_seconds", 30, DAY),
            ("confirm_seconds", 30, DAY),
            ("confirm_body_bytes", 16 * 1024, 64 * 1024 * 1024),
            ("fresh_seconds", 30, DAY),
            ("redis_timeout_ms", 10, 10_000),
            ("revocation_replicas", 0, 10),
        ):
            refuse_outside(self, name, least, most)


def refuse_unsafe_clocks(options: Any, kinds: Iterable[str], settings: Settings) -> None:
    """Refuse the two clocks of kinds of sessions that are too short, too long, or over before their warning.

    `options` has the fields `<kind>idle_seconds` and `<kind>absolute_seconds`. Raises `Misconfigured`.
    """
    for name in (f"{kind}{clock}" for kind in kinds for clock in ("idle_seconds", "absolute_seconds")):
        if not SHORTEST <= getattr(options, name) <= LONGEST:
            raise Misconfigured(
                f"{PREFIX}{name.upper()} = {getattr(options, name)} is outside "
                f"{SHORTEST} (2 minutes) to {LONGEST} (30 days)."
            )
    for kind in kinds:
        idle, absolute = f"{kind}idle_seconds", f"{kind}absolute_seconds"
        if getattr(options, idle) > getattr(options, absolute):
            raise Misconfigured(f"{PREFIX}{idle.upper()} must not be longer than {PREFIX}{absolute.upper()}.")
        for warning, clock in (("warn_seconds", idle), ("absolute_warn_seconds", absolute)):
            if not 20 <= getattr(settings, warning) < getattr(options, clock):
                raise Misconfigured(
                    f"{PREFIX}{warning.upper()} must be at least 20 and less than {PREFIX}{clock.upper()}: "
                    "users need 20 seconds to react (WCAG 2.2.1)."
                )


def read(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a Flask configuration has for the fields of a dataclass: `SESSIONS_CORE_<FIELD>` each, by name.

    Raises `Misconfigured` for a value of another type than the field's.
    """
    hints = get_type_hints(cls)
    keys = ((each.name, f"{PREFIX}{each.name.upper()}") for each in fields(cls) if each.name != "secrets")
    return {name: _typed(key, config[key], hints[name]) for name, key in keys if key in config}


def refuse_outside(settings: object, name: str, least: int, most: int) -> None:
    """Raise `Misconfigured` if a number of the settings is not between its limits."""
    if not least <= getattr(settings, name) <= most:
        raise Misconfigured(f"{PREFIX}{name.upper()} must be between {least} and {most}.")


def canonical_origin(origin: str) -> str | None:
    """Return scheme, host and port as a browser writes them in Origin, or `None` for what is no origin."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None or not _HOST.fullmatch(host):
        return None
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def is_safe_url(url: str, plain: bool) -> bool:
    """Whether a URL without fragment is safe to use; over plain http only if `plain`, and only on this machine."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # A control character would end the line of the request; what urlsplit drops or rewrites would be another URL.
    if not _URL.fullmatch(url) or not parts.hostname or port == 0 or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (plain and parts.scheme == "http" and parts.hostname in LOOPBACK)


_STRINGS = (tuple[str, ...], tuple[str, ...] | None)
_FUNCTION = Callable[..., Any] | None
_WANTED = dict.fromkeys(_STRINGS, "a list of strings") | {_FUNCTION: "a function or None"}


def _typed(key: str, value: Any, hint: Any) -> Any:
    if hint == Mapping[str, str]:
        if isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair):
            return MappingProxyType(dict(value))
        raise Misconfigured(f'{key} must be a mapping such as {{"name": "value"}}, of strings to strings.')
    if hint in _STRINGS and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if hint == str | None and (value is None or isinstance(value, str)):
        return value or None
    if value is None and hint in (_STRINGS[1], bool | None, _FUNCTION):
        return None
    if (hint == bool | None and isinstance(value, bool)) or (hint == _FUNCTION and callable(value)):
        return value
    if hint in (bool, int, str) and type(value) is hint:  # True is an int to isinstance
        return value
    wanted = _WANTED.get(hint) or getattr(hint, "__name__", str(hint))
    secret = key.endswith(("_URL", "_URLS", "_SECRET", "_SECRETS"))  # or holds one
    raise Misconfigured(f"{key} must be {wanted}, not {type(value).__name__ if secret else repr(value)}.")


def _secret(name: str, secret: Any) -> str:
    text = secret.decode("latin-1") if isinstance(secret, bytes) else secret
    if not isinstance(text, str) or not is_random(text):
        raise Misconfigured(
            f"{name} must have at least 32 random characters, and be no placeholder: "
            "an attacker who guesses it can forge sessions. Make one with: openssl rand -base64 32"
        )
    return text


def is_random(text: str) -> bool:
    """Whether a secret can be base64, hex or a long passphrase. A closer look would refuse some of those."""
    if len(text) < 32 or len(set(text)) < 8:
        return False
    # "abcdefghijabcdefghij…": 32 random hex digits have 25 different triples at least, a repeated text few.
    if len({text[place : place + 3] for place in range(len(text) - 2)}) < 20:
        return False
    # "abcdefghijklmnop…": the steps from one character to the next are all the same.
    if len({ord(after) - ord(before) for before, after in pairwise(text)}) < 6:
        return False
    letters = "".join(filter(str.isalpha, text.lower()))
    return not any(each in letters for each in _PLACEHOLDERS)
