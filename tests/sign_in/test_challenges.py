"""Challenges: written by the server, bound to a browser, short-lived, and good for one attempt."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer
from redis import Redis

from sessions_core.errors import (
    AccountMalformed,
    ChainUnsupported,
    ChallengeExpired,
    ChallengeForeign,
    ChallengeMalformed,
    ChallengeUsed,
    MessageChanged,
    MessageNotYetValid,
    SessionsError,
    SignatureMalformed,
    SignatureMismatch,
    SignInRefused,
    StoreUnavailable,
)
from sessions_core.parts.linked_wallets import LINK
from sessions_core.sign_in import messages, verifiers
from sessions_core.sign_in.accounts import parse
from sessions_core.sign_in.challenges import API, CONFIRM, SIGN_IN, Challenge, Challenges
from sessions_core.web.services import Services

from ..actors import ORIGIN, Wallet
from ..changed_texts import ANOTHER_ADDRESS, CHANGES
from ..constants import BROWSER, REDIS_PREFIX, SECRET
from ..snapshot import unchanged
from ..time_machine import Clock

OTHER_BROWSER = "c" * 43


@pytest.fixture
def challenges(services: Services) -> Challenges:
    return services.challenges


@pytest.fixture
def issued(challenges: Challenges, wallet: Wallet) -> Challenge:
    return challenges.issue(wallet.account(), BROWSER)


def refused(error: type[SessionsError], attempt: Callable[[], object]) -> SessionsError:
    with pytest.raises(SessionsError) as caught:
        attempt()
    assert type(caught.value) is error, caught.value
    return caught.value


# -- Issuing ---------------------------------------------------------------------------------------------------


def test_the_server_writes_the_whole_text(issued: Challenge, wallet: Wallet, clock: Clock) -> None:
    text = messages.read(issued.message)
    assert (text.scheme, text.domain, text.uri) == ("http", "localhost:5000", ORIGIN + "/")
    assert (text.address, text.chain_id, text.version) == (wallet.address, "1", "1")
    assert text.expiration_time is not None
    assert messages.seconds(text.expiration_time) - messages.seconds(text.issued_at) == 300
    assert issued.expires_at == messages.seconds(text.expiration_time)
    assert abs(messages.seconds(text.issued_at) - clock()) < 5
    assert issued.message.isascii()
    assert len(issued.message) <= messages.MAX_BYTES
    assert str(issued.account) == wallet.account()


def test_an_https_origin_is_written_without_a_scheme(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_DEVELOPMENT=False, SESSIONS_CORE_PUBLIC_ORIGIN="https://app.example.org")
    services: Services = app.extensions["sessions_core"]
    issued = services.challenges.issue(wallet.account(), BROWSER)
    assert issued.message.startswith("app.example.org wants you to sign in with your Ethereum account:\n0x")
    assert "\nURI: https://app.example.org/\n" in issued.message
    signed = services.challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER)
    assert str(signed.account) == wallet.account()


def test_lower_case_address_is_written_with_its_checksum(challenges: Challenges, wallet: Wallet) -> None:
    issued = challenges.issue(f"eip155:1:{wallet.address.lower()}", BROWSER)
    assert wallet.address in issued.message


def test_issuing_stores_nothing_and_asks_redis_nothing(challenges: Challenges, redis: Redis, wallet: Wallet) -> None:
    before = redis.info("stats")["total_commands_processed"]
    for _ in range(50):
        challenges.issue(wallet.account(), BROWSER)
    assert redis.info("stats")["total_commands_processed"] - before == 1  # the INFO itself
    assert redis.dbsize() == 0


def test_nonces_are_long_random_and_never_twice(challenges: Challenges, wallet: Wallet) -> None:
    nonces = {messages.read(challenges.issue(wallet.account(), BROWSER).message).nonce for _ in range(500)}
    assert len(nonces) == 500
    assert all(re.fullmatch(r"[A-Za-z0-9]{22}", nonce) for nonce in nonces)
    for at in range(22):
        assert len({nonce[at] for nonce in nonces}) > 40


@pytest.mark.parametrize(
    "account", ["", "x", "eip155:1:0x00", "eip155:1:" + "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"]
)
def test_malformed_account_gets_no_challenge(challenges: Challenges, account: str) -> None:
    refused(AccountMalformed, lambda: challenges.issue(account, BROWSER))


def test_no_challenge_for_a_chain_that_is_not_enabled(challenges: Challenges, wallet: Wallet) -> None:
    for chain in ("eip155:5", "eip155:31337", "eip155:0", "eip155:9999999999999999999"):
        refused(ChainUnsupported, lambda chain=chain: challenges.issue(wallet.account(chain), BROWSER))


def test_the_value_shows_neither_the_cookie_nor_the_secret(issued: Challenge) -> None:
    content = URLSafeSerializer("x").loads_unsafe(issued.challenge)[1]
    assert BROWSER not in str(content)
    assert SECRET not in str(content)


# -- Checking, for whoever signs for a person -------------------------------------------------------------------


def test_issued_text_may_be_signed_and_checks_consume_no_nonce(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis
) -> None:
    with unchanged(redis):
        for _ in range(2):
            assert str(challenges.check(issued.message, issued.challenge, BROWSER)) == wallet.account()
    challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER)
    refused(ChallengeUsed, lambda: challenges.check(issued.message, issued.challenge, BROWSER))


def test_texts_that_redeeming_refuses_may_not_be_signed(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis, clock: Clock
) -> None:
    """This covers every refusal before the signature is checked."""
    other = challenges.issue(wallet.account(), BROWSER)
    confirmation = challenges.issue_confirmation(issued.account, "Do it.", "sess_x")
    for_tokens = challenges.issue(wallet.account(), None)
    attempts: list[tuple[str, str, str | None, str]] = [
        (issued.message, issued.challenge, OTHER_BROWSER, SIGN_IN),
        (issued.message, issued.challenge, None, SIGN_IN),
        (issued.message, issued.challenge, BROWSER, "confirm"),
        (confirmation.message, confirmation.challenge, "sess_x", SIGN_IN),
        (confirmation.message, confirmation.challenge, "sess_y", "confirm"),
        (for_tokens.message, for_tokens.challenge, BROWSER, SIGN_IN),
        (other.message, issued.challenge, BROWSER, SIGN_IN),
        (issued.message.replace("localhost", "elsewhere", 1), issued.challenge, BROWSER, SIGN_IN),
        ("x" * (messages.MAX_BYTES + 1), issued.challenge, BROWSER, SIGN_IN),
        (issued.message, "x" * 2000, BROWSER, SIGN_IN),
        (issued.message, "x", BROWSER, SIGN_IN),
    ]

    def both(message: str, challenge: str, binding: str | None, purpose: str) -> tuple[SessionsError, SessionsError]:
        signature = wallet.sign(message)
        with pytest.raises(SessionsError) as checked:
            challenges.check(message, challenge, binding, purpose)
        with pytest.raises(SessionsError) as redeemed:
            challenges.redeem(message, challenge, signature, binding, purpose)
        return checked.value, redeemed.value

    with unchanged(redis):
        for attempt in attempts:
            checked, redeemed = both(*attempt)
            assert type(checked) is type(redeemed), attempt
            assert getattr(checked, "account", None) == getattr(redeemed, "account", None)
        clock.ahead += 301
        assert [type(each) for each in both(issued.message, issued.challenge, BROWSER, SIGN_IN)] == [
            ChallengeExpired,
            ChallengeExpired,
        ]


# -- Redeeming -------------------------------------------------------------------------------------------------


def test_a_signed_challenge_proves_the_account(challenges: Challenges, issued: Challenge, wallet: Wallet) -> None:
    account, proof = challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER)
    assert proof is None
    assert str(account) == wallet.account()


def test_a_challenge_is_good_once(challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis) -> None:
    signature = wallet.sign(issued.message)
    challenges.redeem(issued.message, issued.challenge, signature, BROWSER)
    with unchanged(redis):
        error = refused(
            ChallengeUsed, lambda: challenges.redeem(issued.message, issued.challenge, signature, BROWSER)
        )
    assert isinstance(error, SignInRefused)
    assert error.account == wallet.account()


def test_wrong_signature_consumes_the_challenge(challenges: Challenges, issued: Challenge, wallet: Wallet) -> None:
    wrong = Wallet().sign(issued.message)
    refused(SignatureMismatch, lambda: challenges.redeem(issued.message, issued.challenge, wrong, BROWSER))
    right = wallet.sign(issued.message)
    refused(ChallengeUsed, lambda: challenges.redeem(issued.message, issued.challenge, right, BROWSER))


def test_nonce_is_consumed_before_any_elliptic_curve_work(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(verifiers, "verify", lambda *_: seen.append(redis.exists(f"{REDIS_PREFIX}nonce:{nonce}")))
    nonce = messages.read(issued.message).nonce
    challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER)
    assert seen == [1]


def test_no_elliptic_curve_work_for_a_replay_or_a_forgery(
    challenges: Challenges, issued: Challenge, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = wallet.sign(issued.message)
    challenges.redeem(issued.message, issued.challenge, signature, BROWSER)
    monkeypatch.setattr(verifiers, "verify", lambda *_: pytest.fail("verified"))
    for challenge, browser in ((issued.challenge, BROWSER), ("forged", BROWSER), (issued.challenge, OTHER_BROWSER)):
        with pytest.raises(SignInRefused):
            challenges.redeem(issued.message, challenge, signature, browser)


def test_several_challenges_may_be_open_at_once(challenges: Challenges, wallet: Wallet) -> None:
    other = Wallet()
    opened = [challenges.issue(each.account(), BROWSER) for each in (wallet, other, wallet)]
    for each, signer in reversed(list(zip(opened, (wallet, other, wallet), strict=True))):
        signed = challenges.redeem(each.message, each.challenge, signer.sign(each.message), BROWSER)
        assert signed.account == each.account


def test_the_text_of_one_challenge_is_not_good_for_another(
    challenges: Challenges, wallet: Wallet, redis: Redis
) -> None:
    first, second = (challenges.issue(wallet.account(), BROWSER) for _ in range(2))
    with unchanged(redis):
        refused(
            MessageChanged,
            lambda: challenges.redeem(first.message, second.challenge, wallet.sign(first.message), BROWSER),
        )


def test_one_nonce_proves_one_account_under_a_race(challenges: Challenges, issued: Challenge, wallet: Wallet) -> None:
    signature = wallet.sign(issued.message)
    verifiers.warm("eip155")
    barrier = threading.Barrier(20)
    outcomes: list[str] = []

    def attempt() -> None:
        barrier.wait()
        try:
            challenges.redeem(issued.message, issued.challenge, signature, BROWSER)
            outcomes.append("signed in")
        except SignInRefused as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["challenge_used"] * 19 + ["signed in"]


@pytest.mark.parametrize("browser", [None, "", OTHER_BROWSER, BROWSER + "b", BROWSER.upper()])
def test_a_challenge_of_one_browser_is_nothing_in_another(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis, browser: str | None
) -> None:
    signature = wallet.sign(issued.message)
    with unchanged(redis):
        refused(ChallengeForeign, lambda: challenges.redeem(issued.message, issued.challenge, signature, browser))
    challenges.redeem(issued.message, issued.challenge, signature, BROWSER)


def test_api_challenge_never_becomes_a_cookie_session(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis
) -> None:
    """And a browser's challenge never becomes an API session."""
    api = challenges.issue(wallet.account(), None)
    for challenge, browser, purpose in (
        (api, None, SIGN_IN),
        (api, "", SIGN_IN),
        (api, BROWSER, SIGN_IN),
        (api, BROWSER, API),
        (issued, BROWSER, API),
        (issued, None, API),
    ):
        signature = wallet.sign(challenge.message)
        with unchanged(redis):
            refused(
                ChallengeForeign,
                lambda c=challenge, s=signature, b=browser, p=purpose: challenges.redeem(
                    c.message, c.challenge, s, b, p
                ),
            )
    account = challenges.redeem(api.message, api.challenge, wallet.sign(api.message), None, API).account
    assert str(account) == wallet.account()


def test_challenge_is_valid_only_for_its_own_purpose(challenges: Challenges, wallet: Wallet, redis: Redis) -> None:
    """This holds even where both purposes bind it to the same value; a refused attempt does not consume the nonce."""
    written = {
        SIGN_IN: challenges.issue(wallet.account(), BROWSER),
        CONFIRM: challenges.issue_confirmation(parse(wallet.account()), "Do this.", BROWSER),
        LINK: challenges.issue_for(LINK, wallet.account(), "Link this.", BROWSER),
    }
    for purpose, issued in written.items():
        signature = wallet.sign(issued.message)
        for other in written.keys() - {purpose}:
            refused(
                ChallengeForeign,
                lambda issued=issued, signature=signature, other=other: challenges.redeem(  # type: ignore[misc]
                    issued.message, issued.challenge, signature, BROWSER, other
                ),
            )
        assert redis.keys("*nonce*") == [], "and is not spent by that"
    for purpose, issued in written.items():
        redeemed = challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER, purpose)
        assert str(redeemed.account) == wallet.account()


def test_a_challenge_can_be_signed_for_five_minutes(
    challenges: Challenges, wallet: Wallet, redis: Redis, clock: Clock
) -> None:
    in_time, too_late = (challenges.issue(wallet.account(), BROWSER) for _ in range(2))
    clock.ahead += 298
    challenges.redeem(in_time.message, in_time.challenge, wallet.sign(in_time.message), BROWSER)
    clock.ahead += 2
    with unchanged(redis):
        refused(
            ChallengeExpired,
            lambda: challenges.redeem(too_late.message, too_late.challenge, wallet.sign(too_late.message), BROWSER),
        )


def test_consumed_nonce_outlives_its_challenge(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis, clock: Clock
) -> None:
    clock.ahead += 299
    challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER)
    (key,) = redis.keys(f"{REDIS_PREFIX}nonce:*")
    assert 30 < redis.ttl(key) <= 400


def test_a_text_issued_ahead_of_our_clock_is_not_valid_yet(
    challenges: Challenges, wallet: Wallet, redis: Redis, clock: Clock
) -> None:
    clock.ahead += 60
    early = challenges.issue(wallet.account(), BROWSER)
    clock.ahead -= 60
    with unchanged(redis):
        refused(
            MessageNotYetValid,
            lambda: challenges.redeem(early.message, early.challenge, wallet.sign(early.message), BROWSER),
        )
    clock.ahead += 35  # two of our servers may differ by half a minute
    challenges.redeem(early.message, early.challenge, wallet.sign(early.message), BROWSER)


@pytest.mark.parametrize(("error", "change"), CHANGES.values(), ids=CHANGES)
def test_changed_text_is_refused_with_a_precise_error(
    challenges: Challenges,
    wallet: Wallet,
    redis: Redis,
    error: type[SessionsError],
    change: Callable[[str], str],
) -> None:
    """The challenge is not consumed by it."""
    issued = challenges.issue(wallet.account(), BROWSER)
    changed = change(issued.message)
    assert changed != issued.message
    signature = wallet.sign(changed) if "\ud800" not in changed else wallet.sign(issued.message)
    with unchanged(redis):
        refusal = refused(error, lambda: challenges.redeem(changed, issued.challenge, signature, BROWSER))
    # The challenge was not spent: who repairs the text can go on.
    challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER)
    assert isinstance(refusal, SignInRefused)
    assert refusal.account in (wallet.account(), None)


def test_text_changed_in_any_byte_is_refused(challenges: Challenges, wallet: Wallet, redis: Redis) -> None:
    """The wallet signed the changed text."""
    issued = challenges.issue(wallet.account(), BROWSER)
    with unchanged(redis):
        for at, byte in enumerate(issued.message):
            for other in (chr(ord(byte) ^ 1), "\n", "0"):
                changed = issued.message[:at] + other + issued.message[at + 1 :]
                if changed == issued.message:
                    continue
                with pytest.raises(SignInRefused):
                    challenges.redeem(changed, issued.challenge, wallet.sign(changed), BROWSER)


def test_a_challenge_changed_in_any_character_is_refused(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis
) -> None:
    signature = wallet.sign(issued.message)
    value = issued.challenge
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    with unchanged(redis):
        for at, character in enumerate(value):
            # Base64's last character has bits that mean nothing: change one that does.
            other = alphabet[alphabet.index(character) ^ 32] if character in alphabet else "A"
            changed = value[:at] + other + value[at + 1 :]
            refused(ChallengeMalformed, lambda c=changed: challenges.redeem(issued.message, c, signature, BROWSER))


def _forged(**options: Any) -> str:
    return str(
        URLSafeSerializer(
            options.get("secret", SECRET),
            salt=options.get("salt", "sessions_core.challenge"),
            signer_kwargs={"digest_method": __import__("hashlib").sha256, "key_derivation": "hmac"},
        ).dumps({"n": "x" * 22, "a": "eip155:1:" + ANOTHER_ADDRESS, "t": "0" * 64, "p": SIGN_IN})
    )


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        ".",
        "..",
        "a.b",
        "null",
        "\0",
        "é",
        "\ud800",
        "{}",
        "eyJuIjoiIn0.",
        "." + "A" * 900,
        "A" * 1025,
        _forged(secret=SECRET[::-1]),
        _forged(salt="itsdangerous"),
        _forged(salt="cookie-session"),
        URLSafeTimedSerializer(SECRET, salt="sessions_core.challenge").dumps({"p": SIGN_IN}),
    ],
    ids=itertools.count(),  # one of them holds the time, and workers must agree on the names of tests
)
def test_a_challenge_that_was_not_issued_here_is_refused(
    challenges: Challenges, issued: Challenge, wallet: Wallet, redis: Redis, challenge: str
) -> None:
    signature = wallet.sign(issued.message)
    with unchanged(redis):
        error = refused(ChallengeMalformed, lambda: challenges.redeem(issued.message, challenge, signature, BROWSER))
    assert isinstance(error, SignInRefused)
    assert error.account is None


def test_too_long_signature_consumes_no_nonce(challenges: Challenges, issued: Challenge, redis: Redis) -> None:
    with unchanged(redis):
        refused(
            SignatureMalformed,
            lambda: challenges.redeem(
                issued.message, issued.challenge, "0" * (verifiers.max_signature() + 1), BROWSER
            ),
        )


def test_a_challenge_signed_with_a_former_secret_is_still_good(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis
) -> None:
    old: Services = make_app().extensions["sessions_core"]
    issued = old.challenges.issue(wallet.account(), BROWSER)
    signature = wallet.sign(issued.message)
    rotated: Services = make_app(
        SECRET_KEY="b2VhZ3Vlc3Mgd2hhdCBpdCBpcyBub3QgdGhpcw", SECRET_KEY_FALLBACKS=[SECRET]
    ).extensions["sessions_core"]
    forgetful: Services = make_app(SECRET_KEY="b2VhZ3Vlc3Mgd2hhdCBpdCBpcyBub3QgdGhpcw").extensions["sessions_core"]
    refused(
        ChallengeMalformed,
        lambda: forgetful.challenges.redeem(issued.message, issued.challenge, signature, BROWSER),
    )
    rotated.challenges.redeem(issued.message, issued.challenge, signature, BROWSER)


def test_a_chain_that_was_disabled_meanwhile_is_refused(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis
) -> None:
    before: Services = make_app().extensions["sessions_core"]
    issued = before.challenges.issue(wallet.account("eip155:10"), BROWSER)
    after: Services = make_app(SESSIONS_CORE_CHAINS=("eip155:1",)).extensions["sessions_core"]
    with unchanged(redis):
        refused(
            ChainUnsupported,
            lambda: after.challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER),
        )


def test_without_redis_nothing_is_proven(make_app: Callable[..., Flask], wallet: Wallet, tmp_path: Any) -> None:
    services: Services = make_app(SESSIONS_CORE_REDIS_URL=f"unix://{tmp_path}/nobody.sock").extensions[
        "sessions_core"
    ]
    issued = services.challenges.issue(wallet.account(), BROWSER)
    refused(
        StoreUnavailable,
        lambda: services.challenges.redeem(issued.message, issued.challenge, wallet.sign(issued.message), BROWSER),
    )


def test_the_longest_challenge_we_issue_is_far_below_the_limit(challenges: Challenges, wallet: Wallet) -> None:
    assert len(challenges.issue(wallet.account("eip155:11155111"), BROWSER).challenge) < 512
