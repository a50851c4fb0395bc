"""How many users a second can sign in, with the settings of `gunicorn.conf.py`.

The challenges are asked for and signed before the clock starts, each by a wallet of its own. What is counted is
`POST /sign-in`: verify the signature, consume the nonce, start the session.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from eth_account import Account
from eth_account.messages import encode_defunct
from flask import Flask
from werkzeug.test import Client

import app as demo

from .servers import ROOT, gunicorn, wrk
from .subjects import ORIGIN, SECRET

SECONDS, PER_SECOND = 1, 2500  # how long wrk sends, and what it can't exceed
_NEXT_FORM = """
local forms, last = {}, 0
for form in io.lines(os.getenv("BENCHMARK_FORMS")) do forms[#forms + 1] = form end
request = function()
  last = last + 1
  return wrk.format("POST", "/sign-in", nil, forms[last] or "")
end
"""
_UNLIMITED = {
    "SESSIONS_CORE_SIGN_INS_PER_ADDRESS": "1000000/minute",
    "SESSIONS_CORE_SIGN_INS_PER_BROWSER": "1000000/minute",
}


def served() -> Flask:
    """Return the demo as gunicorn serves it, with limits that are counted and never reached."""
    return demo.create_app(_UNLIMITED)


def measure(redis: str, rounds: int) -> list[float]:
    """Return the sign-ins per second of each round. Raises `RuntimeError` if one was refused."""
    environment = {"REDIS_URL": redis, "SESSION_SECRET": SECRET, "PUBLIC_ORIGIN": ORIGIN, "DEVELOPMENT": "1"}
    app = demo.create_app({"SECRET_KEY": SECRET, "SESSIONS_CORE_REDIS_URL": redis})
    measured = []
    with (
        tempfile.TemporaryDirectory() as folder,
        gunicorn("--config", str(ROOT / "gunicorn.conf.py"), "benchmarks.sign_ins:served()", **environment) as origin,
    ):
        script, forms = Path(folder, "next_form.lua"), Path(folder, "forms")
        script.write_text(_NEXT_FORM)
        for number in range(rounds + 1):
            cookie, lines = signed_forms(app, SECONDS * PER_SECOND if number else 200)
            forms.write_text("\n".join(lines))
            headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
            if not number:  # both workers import what verifies signatures
                wrk(origin, 1, headers, "-s", str(script), BENCHMARK_FORMS=str(forms))
                continue
            load = wrk(origin, SECONDS, headers, "-s", str(script), BENCHMARK_FORMS=str(forms))
            if load.refused or load.broken:
                raise RuntimeError(f"not every sign-in was accepted: {load}")
            measured.append(load.per_second)
    return measured


def signed_forms(app: Flask, count: int) -> tuple[str, list[str]]:
    """Return the cookie of a browser, and this many forms of it, each signed by another wallet."""
    page = Client(app).get("/sign-in", base_url=ORIGIN)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.get_data(as_text=True))
    assert token
    services = app.extensions["sessions_core"]
    browser, forms = cookie.partition("=")[2], []
    for _ in range(count):
        wallet = Account.create()
        issued = services.challenges.issue(f"eip155:1:{wallet.address}", browser)
        signature = wallet.sign_message(encode_defunct(text=issued.message)).signature.hex()
        form = {"message": issued.message, "challenge": issued.challenge, "csrf_token": token[1]}
        forms.append(urlencode(form | {"signature": "0x" + signature.removeprefix("0x")}))
    return cookie, forms
