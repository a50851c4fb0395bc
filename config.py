"""Every setting of the demo, read from the environment. Each line says the unit, the default, and what breaks without
it. Settings of parts are set only if the environment has them, so that this file can stay when a part is deleted.

Outside development set SESSION_SECRET, PUBLIC_ORIGIN and REDIS_URL; start-up refuses what is unsafe and says how to
fix it.
"""

from __future__ import annotations

import os


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


def _pairs(name: str) -> dict[str, str]:
    parts = [part.partition("=") for part in os.environ.get(name, "").split(",") if part.strip()]
    return {key.strip(): value.strip() for key, _, value in parts}


# Port to listen on; 5000. On macOS AirPlay may hold it: use PORT=5001.
PORT = _number("PORT", 5000)

# "1" for work on this machine: plain http on localhost, a private Redis, a generated secret. Default: on while
# PUBLIC_ORIGIN is unset.
SESSIONS_CORE_DEVELOPMENT = os.environ.get("DEVELOPMENT", "0" if "PUBLIC_ORIGIN" in os.environ else "1") == "1"

# "fast" in development: a session ends after two minutes without activity and after ten at the latest, and warns a
# minute before, so that the warning can be watched; the clocks below. Elsewhere it has no effect.
_fast = SESSIONS_CORE_DEVELOPMENT and os.environ.get("CLOCKS") == "fast"

# Scheme, host and port in the address bar; http://localhost:PORT. Wallets refuse or warn when it differs from what
# they see.
SESSIONS_CORE_PUBLIC_ORIGIN = os.environ.get("PUBLIC_ORIGIN", f"http://localhost:{PORT}")

# At least 32 random characters (openssl rand -base64 32); encrypts sessions and signs challenges. Losing it signs all
# users out.
SECRET_KEY = os.environ.get("SESSION_SECRET")

# Former secrets, oldest first, separated by commas; none. Sessions encrypted with them stay alive after a rotation.
SECRET_KEY_FALLBACKS = [part for part in os.environ.get("SESSION_SECRET_FALLBACKS", "").split(",") if part]

# redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; a private server in development. Without it no
# user can sign in.
SESSIONS_CORE_REDIS_URL = os.environ.get("REDIS_URL")

# How many replicas of that Redis must confirm a sign-out before it is called done; 0. Without any, a failover in the
# same instant can bring the session back.
SESSIONS_CORE_REVOCATION_REPLICAS = _number("REVOCATION_REPLICAS", 0)

# What every key begins with; "sessions_core:". Staging and production on one Redis need one each: start-up refuses
# two secrets under one prefix.
SESSIONS_CORE_REDIS_PREFIX = os.environ.get("REDIS_PREFIX") or "sessions_core:"

# "0" starts on a Redis without append-only file, with eviction, or with missing rights; "1". After a restart revoked
# sessions may live again, and under memory pressure sessions vanish: for a managed Redis that can't be changed.
if "REDIS_CHECK" in os.environ:  # a setting of the part operations
    SESSIONS_CORE_REDIS_CHECK = os.environ["REDIS_CHECK"] == "1"

# Seconds without activity after which a session ends; 1800 (30 minutes).
SESSIONS_CORE_IDLE_SECONDS = _number("IDLE_SECONDS", 120 if _fast else 1800)

# Seconds after which a session ends, even if it is in use; 43200 (12 hours).
SESSIONS_CORE_ABSOLUTE_SECONDS = _number("ABSOLUTE_SECONDS", 600 if _fast else 43_200)

# Seconds before the idle end at which users are warned; 120. Under 20 users could not react, and start-up refuses it.
SESSIONS_CORE_WARN_SECONDS = _number("WARN_SECONDS", 60 if _fast else 120)

# Seconds before the absolute end at which users are warned; 300. At least 20 as well.
SESSIONS_CORE_ABSOLUTE_WARN_SECONDS = _number("ABSOLUTE_WARN_SECONDS", 60 if _fast else 300)

# "Lax" or "Strict"; Lax. With Strict, a link from elsewhere arrives signed out.
SESSIONS_CORE_COOKIE_SAMESITE = os.environ.get("COOKIE_SAMESITE", "Lax")

# "0" in development for browsers that refuse Secure cookies on http://localhost (Safari); "1". Refused elsewhere.
SESSIONS_CORE_COOKIE_SECURE = os.environ.get("COOKIE_SECURE", "1") == "1"

# Where browsers report what the Content-Security-Policy blocked, an https:// URL or a path; nowhere.
SESSIONS_CORE_CSP_REPORT_URL = os.environ.get("CSP_REPORT_URL", "")


# -- Settings of parts: set only if the environment has them, so that the folder of a part can be deleted. -----------

# Nodes to ask about contract wallets, "eip155:1=https://…,eip155:8453=https://…"; none. A comma in a URL is %2C.
# Without one a contract wallet of that network can't sign in; a node's owner can sign in as any account of it.
if "RPC_URLS" in os.environ:
    SESSIONS_CORE_RPC_URLS = _pairs("RPC_URLS")

# "1" or "0": whether visitors without a wallet may try the site with a trial wallet. On in development only. The
# server takes part in each of its signatures, so an attacker who controls the server then gets the key.
if os.environ.get("PREGENERATED_WALLETS") in ("0", "1"):
    SESSIONS_CORE_PREGENERATED_WALLETS = os.environ["PREGENERATED_WALLETS"] == "1"

# The page of Internet Identity that sign-in opens in a window; https://id.ai/#authorize, and empty to leave it out.
# Users authenticate there: with a wrong address none can.
if "INTERNET_IDENTITY_URL" in os.environ:
    SESSIONS_CORE_INTERNET_IDENTITY_URL = os.environ["INTERNET_IDENTITY_URL"]

# Languages of the pages, separated by commas, such as en,de,ar; en. The demo's own words are in its own catalogues.
if os.environ.get("LANGUAGES"):
    SESSIONS_CORE_LANGUAGES = os.environ["LANGUAGES"].split(",")
    SESSIONS_CORE_TRANSLATIONS = ["tour/translations"]

# Reverse proxies in front that set X-Forwarded-For, -Proto and -Host; 0. Too many lets visitors forge their address.
if "TRUSTED_PROXIES" in os.environ:
    SESSIONS_CORE_TRUSTED_PROXIES = _number("TRUSTED_PROXIES", 0)

# What Prometheus sends as its bearer token to read /metrics; none. Without it /metrics is closed outside development.
if os.environ.get("METRICS_SECRET"):
    SESSIONS_CORE_METRICS_SECRET = os.environ["METRICS_SECRET"]
