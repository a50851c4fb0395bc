"""What the content security policy blocks in an adopter's page, as docs/integrate.md says it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, render_template_string

from sessions_core import public

from ..documented import table
from .pages import Browser

# A page that does it, and the directive that stops it.
BLOCKED = {
    "inline script": ("<script>window.ran = true</script>", "script-src-elem"),
    "handler in markup": (
        "<img src='/sessions_core/static/favicon.svg' onload='window.ran = true'>",
        "script-src-attr",
    ),
    "inline style": ("<style>h1 { color: red }</style>", "style-src-elem"),
    "style in markup": ("<h1 style='color: red'>A</h1>", "style-src-attr"),
    "a script of another host": ("<script src='https://cdn.example/a.js'></script>", "script-src-elem"),
    "a style of another host": ("<link rel='stylesheet' href='https://cdn.example/a.css'>", "style-src-elem"),
    "a picture of another host": ("<img src='https://cdn.example/a.png' alt=''>", "img-src"),
    "a frame of one's own": ("<iframe src='/livez'></iframe>", "frame-src"),
    "video": ("<video src='/static/a.mp4'></video>", "media-src"),
}
# A script of the page's own that does it, and the directive, or the error that it throws.
FORBIDDEN = {
    "eval": ("eval('1')", "EvalError"),
    "new Function": ("new Function('1')", "EvalError"),
    "WebAssembly": ("new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))", "CompileError"),
    "innerHTML": ("document.body.innerHTML = '<b>x</b>'", "TypeError"),
    "document.write": ("document.write('x')", "TypeError"),
    "a worker": ("new Worker('/sessions_core/static/lib/clock.js')", "TypeError"),
}
NOTE = """
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
"""


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.get("/page/<name>")
    @public
    def page(name: str) -> str:
        return f"<!doctype html><title>A</title><link rel=icon href='data:,'><h1>A</h1>{BLOCKED[name][0]}"

    @app.get("/nonce")
    @public
    def with_nonce() -> str:
        return render_template_string(
            "<!doctype html><title>A</title><link rel=icon href='data:,'><h1>A</h1>"
            "<style nonce='{{ csp_nonce() }}'>h1 { color: rgb(1, 2, 3) }</style>"
            "<script nonce='{{ csp_nonce() }}'>window.ran = true</script>"
            "<script nonce='of another response'>window.ranToo = true</script>"
        )

    @app.get("/script/<name>")
    @public
    def script(name: str) -> str:
        return render_template_string(
            "<!doctype html><title>A</title><link rel=icon href='data:,'><body><script nonce='{{ csp_nonce() }}'>"
            f"let said = 'ran'; try {{ {FORBIDDEN[name][0]} }} catch (error) {{ said = error.name }} "
            "document.documentElement.dataset.said = said</script>"
        )

    return app


@pytest.fixture(autouse=True)
def quiet(browser: Browser) -> None:
    """The console says what is blocked: that is what the tests look for."""
    browser.expected_complaints += ["Content Security Policy", "Trusted", "TrustedHTML", "unsafe-eval", "script-src"]


@pytest.mark.parametrize("name", BLOCKED)
def test_policy_blocks_everything_the_docs_list(browser: Browser, name: str) -> None:
    directive = BLOCKED[name][1]
    with browser.before_scripts(NOTE):
        browser.open(f"/page/{name}")
        browser.wait(lambda: directive in browser.run("return violations"), f"not blocked: {name}")
    assert browser.run("return window.ran ?? null") is None
    directives = " ".join(cells[0] for cells in table("docs/integrate.md", "your page").values())
    assert directive.removesuffix("-elem").removesuffix("-attr") in directives


@pytest.mark.parametrize("name", FORBIDDEN)
def test_scripts_are_denied_everything_the_docs_list(browser: Browser, name: str) -> None:
    browser.open(f"/script/{name}")
    assert browser.run("return document.documentElement.dataset.said") == FORBIDDEN[name][1]


def test_a_nonce_lets_an_inline_script_and_style_in(browser: Browser) -> None:
    browser.open("/nonce")
    assert browser.run("return [window.ran, window.ranToo ?? null]") == [True, None]
    assert browser.run("return getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
