"""The plain module `wallets/answers.js`: what wallets of every family answer."""

from __future__ import annotations

from .pages import Browser


def test_aborted_promise_rejects_and_drops_the_late_answer(page: Browser) -> None:
    outcome = page.module(
        "answers",
        "(async () => { const attempt = new AbortController(); let answer;"
        " const waiting = module.withAbort(new Promise((resolve) => { answer = resolve }), attempt.signal);"
        " attempt.abort('given up'); const said = await waiting.catch((reason) => reason);"
        " answer('late'); return said })()",
    )
    assert outcome == "given up"
