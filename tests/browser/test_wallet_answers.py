"""The plain module `wallets/answers.js`: what wallets of every family answer."""

from __future__ import annotations

from .pages import Browser


def test_a_promise_given_up_rejects_at_once_and_its_answer_goes_nowhere(page: Browser) -> None:
    outcome = page.module(
        "answers",
        "(async () => { const attempt = new AbortController(); let answer;"
        " const waiting = module.withAbort(new Promise((resolve) => { answer = resolve }), attempt.signal);"
        " attempt.abort('given up'); const said = await waiting.catch((reason) => reason);"
        " answer('late'); return said })()",
    )
    assert outcome == "given up"
